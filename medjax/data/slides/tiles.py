"""Tiles of whole slides: samples from where tissue is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medjax.core.errors import InputError
from medjax.data.formats.slide import Slide, open_slide
from medjax.data.host import Recent
from medjax.data.sources import subject

from .polygons import Outlines, draw_outlines, require_outlines
from .tissue import find_tissue

Annotation = Mapping[int, Sequence[np.ndarray]] | Sequence[np.ndarray] | str | Path | None
"""Outlines by label, outlines of label 1, the path of a mask, or nothing known."""


class _Grid(NamedTuple):
    """The places of one slide's tiles.

    Attributes:
        scales: downsamples of the picture's resolutions.
        columns: places in a row.
        kept: int32, those that are samples, numbered row by row.
    """

    scales: tuple[tuple[float, float], ...]
    columns: int
    kept: np.ndarray


class Tiles:
    """Square tiles on a regular grid over one or many slides, where there is tissue.

    Samples are ``{"image": uint8 (y, x, 3), "index": int32, "position": int32 (2,),
    "slide": int32}``: x and y of the tile's upper left corner in pixels of level 0, and the
    slide's place in ``paths``. With several resolutions the image is ``(resolution, y, x,
    3)``, all about one centre and of one size in pixels, and the position is the first
    one's. With annotations there is ``label``, uint8 ``(y, x)``, for the first resolution.

    ``source[index]`` is the tile on the grid. ``source.draw(index, rng)`` is one beside it,
    up to half a stride away in x and in y, within the slide.

    Every slide is opened once to find its tissue, which takes seconds for a slide that is
    not prepared (see `prepare_slide`). Afterwards at most ``recent`` are held open in each
    process, and 4 bytes for each tile.

    Args:
        paths: of slides, as `open_slide`'s.
        size: edge of a tile, in pixels.
        spacing: micrometres per pixel, or several; tiles are averaged down from the next
            finer level, and taken as they are from a level within 1 % of it.
        level: in place of ``spacing``: of the slides' own levels, one or several.
        stride: pixels from tile to tile; by default ``size``.
        tissue: the smallest fraction of a tile's area that must be tissue, by
            `find_tissue`; 0 takes all tiles and looks for no tissue.
        annotations: for each slide, polygons ``(n, 2)`` of x and y in pixels of level 0
            (label 1, or a mapping from labels to polygons, the last on top); or the path of
            a mask, a slide of the same size whose first colour is the label; or None.
        subjects: whose slide each is; by default what `subject` says of its path.
        recent: slides to keep open.

    Raises:
        InputError: for arguments that do not fit each other, naming the slide for one that
            cannot be read, whose spacing is unknown or coarser, or that lacks the level.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        *,
        size: int = 256,
        spacing: float | Sequence[float] | None = None,
        level: int | Sequence[int] | None = None,
        stride: int | None = None,
        tissue: float = 0.5,
        annotations: Sequence[Annotation] | None = None,
        subjects: Sequence[str] | None = None,
        recent: int = 8,
    ):
        if not paths:
            raise InputError("paths", "at least one slide", "none")
        if (spacing is None) == (level is None):
            raise InputError("spacing, level", "one of the two", "both" if spacing else "none")
        if size < 1 or (stride is not None and stride < 1):
            raise InputError("size, stride", "positive numbers of pixels", (size, stride))
        if not 0 <= tissue <= 1:
            raise InputError("tissue", "a fraction of 0 to 1", tissue)
        for name, given in (("annotations", annotations), ("subjects", subjects)):
            if given is not None and len(given) != len(paths):
                raise InputError(name, f"one for each of {len(paths)} slides", len(given))
        self.paths, self.size, self.stride = tuple(paths), size, stride or size
        self.tissue = tissue
        self.single = np.ndim(level if spacing is None else spacing) == 0
        self.spacing = None if spacing is None else tuple(float(s) for s in np.atleast_1d(spacing))
        self.level = None if level is None else tuple(int(n) for n in np.atleast_1d(level))
        self.subjects = tuple(subjects or (subject(p) for p in self.paths))
        self._slides = Recent(open_slide, recent)
        self.annotations = None
        if annotations is not None:
            pairs = zip(self.paths, annotations, strict=True)
            self.annotations = tuple(self._annotation(p, a) for p, a in pairs)
        self._grids = tuple(self._grid(open_slide(path)) for path in self.paths)
        self._ends = np.cumsum([len(grid.kept) for grid in self._grids])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return self._sample(index, *self._place(index))

    def draw(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """A tile near one of the grid.

        Args:
            index: of the tile on the grid.
            rng: two numbers are drawn from it.
        """
        number, *corner = self._place(index)
        level, scales = self._slides(self.paths[number]).levels[0], self._grids[number].scales[0]
        ways = rng.uniform(-0.5, 0.5, 2) * self.stride * np.asarray(scales)
        ends = (level.width - self.size * scales[0], level.height - self.size * scales[1])
        moved = (
            # A tile of the grid may reach over the edge; drawn ones reach no further.
            float(np.clip(round(at + way), 0, max(math.floor(end), at)))
            for at, way, end in zip(corner, ways, ends, strict=True)
        )
        return self._sample(index, number, *moved)

    @property
    def groups(self) -> tuple[str, ...]:
        pairs = zip(self.subjects, self._grids, strict=True)
        return tuple(s for who, grid in pairs for s in (who,) * len(grid.kept))

    def _place(self, index: int) -> tuple[int, int, int]:
        """A sample's slide, and its tile's corner on the grid."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        number = int(np.searchsorted(self._ends, index, side="right"))
        grid = self._grids[number]
        place = int(grid.kept[index - int(self._ends[number])])
        row, column = divmod(place, grid.columns)
        x, y = (self.stride * scale for scale in grid.scales[0])
        return number, round(column * x), round(row * y)

    def _sample(self, index: int, number: int, x: float, y: float) -> dict[str, np.ndarray]:
        slide, scales = self._slides(self.paths[number]), self._grids[number].scales
        middle = [at + self.size * d / 2 for at, d in zip((x, y), scales[0], strict=True)]
        images = [
            slide.read_scaled(
                scale,
                middle[0] - self.size * scale[0] / 2,
                middle[1] - self.size * scale[1] / 2,
                self.size,
                self.size,
            )
            for scale in scales
        ]
        sample = {
            "image": images[0] if self.single else np.stack(images),
            "index": np.asarray(index, np.int32),
            "position": np.asarray((x, y), np.int32),
            "slide": np.asarray(number, np.int32),
        }
        if self.annotations is not None:
            sample["label"] = self._label(self.annotations[number], slide, scales[0], x, y)
        return sample

    def _label(
        self,
        annotation: Outlines | str | Path,
        slide: Slide,
        scale: tuple[float, float],
        x: float,
        y: float,
    ) -> np.ndarray:
        if isinstance(annotation, Mapping):
            return draw_outlines(annotation, scale, x, y, self.size, self.size)
        mask = self._slides(annotation)
        if mask.levels[0] != slide.levels[0]:
            width, height, _ = slide.levels[0]
            got = f"{mask.levels[0].width} x {mask.levels[0].height}"
            raise InputError(annotation, f"a mask of {width} x {height} pixels", got)
        return _nearest(mask, scale, x, y, self.size)

    @staticmethod
    def _annotation(path: str | Path, annotation: Annotation) -> Outlines | str | Path:
        if isinstance(annotation, str | Path):
            return annotation
        return require_outlines(f"annotations of {path}", annotation or {})

    def _grid(self, slide: Slide) -> _Grid:
        with slide:
            scales = self._scales(slide)
            width, height, _ = slide.levels[0]
            steps = [self.stride * d for d in scales[0]]
            columns, rows = (math.ceil(n / s) for n, s in zip((width, height), steps, strict=True))
            kept = np.arange(columns * rows, dtype=np.int32)
            if self.tissue > 0:
                x, y = (np.arange(n) * s for n, s in zip((columns, rows), steps, strict=True))
                sides = [self.size * d for d in scales[0]]
                found = find_tissue(slide).fractions(x, y, *sides)
                # Rounding must not lose a tile that is full.
                kept = kept[found.ravel() >= self.tissue - 1e-9]
            return _Grid(scales, columns, kept)

    def _scales(self, slide: Slide) -> tuple[tuple[float, float], ...]:
        if self.level is None:
            return tuple(slide.downsample(s) for s in self.spacing)
        count = len(slide.levels)
        if not 0 <= min(self.level) <= max(self.level) < count:
            raise InputError(slide.path, f"level {max(self.level)}", f"{count} levels from 0")
        return tuple(slide.levels[n].downsample for n in self.level)


def _nearest(
    mask: Slide, downsample: tuple[float, float], x: float, y: float, size: int
) -> np.ndarray:
    """Labels of a region, never averaged, uint8 ``(size, size)``; 0 outside the mask."""
    fine = [
        i
        for i, level in enumerate(mask.levels)
        if all(a <= b * (1 + 1e-6) for a, b in zip(level.downsample, downsample, strict=True))
    ]
    level = mask.levels[fine[-1]]
    at_x, at_y = (
        np.floor((start + (np.arange(size) + 0.5) * step) / scale).astype(int)
        for start, step, scale in zip((x, y), downsample, level.downsample, strict=True)
    )
    left, top = int(at_x[0]), int(at_y[0])
    width, height = int(at_x[-1]) - left + 1, int(at_y[-1]) - top + 1
    found = mask.read(fine[-1], left, top, width, height)[..., 0]
    labels = found[np.ix_(at_y - top, at_x - left)]
    outside = np.logical_or.outer(
        (at_y < 0) | (at_y >= level.height), (at_x < 0) | (at_x >= level.width)
    )
    return np.where(outside, np.uint8(0), labels)
