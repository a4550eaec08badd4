"""Slides as sharded OME-Zarr, made in bounded memory and again from where it stopped."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorstore as ts

from medjax.core.errors import InputError, MedjaxError
from medjax.data.formats.slide import Slide, open_slide
from medjax.data.formats.slide.omezarr import VERSION, folder, read_json, read_tissue

from .store import group_metadata, open_level, put_array
from .tissue import Tissue, find_tissue

_PLAN = "prepare.json"
_PLACE = tuple[int, int]


class Prepared(NamedTuple):
    """What a prepared slide holds.

    Attributes:
        levels: resolutions.
        shards: stored, over all levels.
        tiles: squares of a chunk's size with tissue, at the finest level.
        tissue: the fraction of the slide's area that is tissue.
    """

    levels: int
    shards: int
    tiles: int
    tissue: float


def prepare_slide(
    path: str | Path,
    target: str | Path,
    *,
    spacing: float | None = None,
    tissue_only: bool = False,
    chunk: int = 256,
    shard: int = 2048,
    workers: int = 2,
    update: Callable[..., None] | None = None,
) -> Prepared:
    """Write a slide as OME-Zarr 0.5, with its tissue mask, to be read by `open_slide`.

    The store has a level for every halving, each an array ``(c, y, x)`` of shards, losslessly
    compressed; ``tissue``, the mask; ``tile_position`` int32 ``(n, 2)`` and ``tile_tissue``
    float32 ``(n,)``, x, y and tissue of the squares of a chunk's size that have any. Its
    group's ``zarr.json`` is written last, so that an unfinished store is not taken for one.

    At any time ``workers`` shards are in memory, whatever the slide's size. A shard is
    written whole or not at all; one that is there is not made again, so that the same call
    goes on after a kill and does nothing to a finished store.

    Args:
        path: of a slide, as `open_slide`'s.
        target: a new folder, or URL such as ``gs://bucket/slide.zarr``.
        spacing: micrometres per pixel of the finest level stored; by default the slide's.
        tissue_only: leave out shards without tissue; they read as white.
        chunk: edge of what is read at once, in pixels.
        shard: edge of what is in one file; a multiple of ``chunk``.
        workers: threads.
        update: called with the number of shards done and ``total=`` how many there are.

    Returns:
        What the store holds.

    Raises:
        InputError: naming the slide or the target, for what cannot be read or written, and
            for a target that holds anything else than this very slide, so prepared.
    """
    if chunk < 1 or shard % chunk or shard < 1 or shard % 2:
        raise InputError("shard", f"an even multiple of the chunk, {chunk}", shard)
    if workers < 1:
        raise InputError("workers", "at least 1", workers)
    with open_slide(path) as slide, _written(target):
        job = _Job(slide, target, spacing, tissue_only, chunk, shard)
        if not job.finished:
            job.run(workers, update or (lambda done, total: None))
        return job.summary()


class _Job:
    """One slide's preparation: its plan, and what of it is done."""

    def __init__(
        self,
        slide: Slide,
        target: str | Path,
        spacing: float | None,
        tissue_only: bool,
        chunk: int,
        shard: int,
    ):
        self.slide, self.store, self.chunk, self.shard = slide, folder(target), chunk, shard
        self.scale = (1.0, 1.0) if spacing is None else slide.downsample(spacing)
        width, height, _ = slide.levels[0]
        self.sizes = [
            tuple(math.ceil(n / d) for n, d in zip((width, height), self.scale, strict=True))
        ]
        while max(self.sizes[-1]) > chunk:
            self.sizes.append(tuple(-(-n // 2) for n in self.sizes[-1]))
        self.spacing = slide.spacing and [
            s * d for s, d in zip(slide.spacing, self.scale, strict=True)
        ]
        self.tissue_only = tissue_only
        self.finished = self._begin(target)
        self.tissue = self._tissue()
        self.keys = {key.decode() for key in self.store.list().result()}

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides what the store will hold."""
        path = Path(str(self.slide.path))
        size = path.stat().st_size if path.is_file() else 0
        source = {
            "name": path.name,
            "bytes": size,
            "levels": [list(n[:2]) for n in self.slide.levels],
        }
        return {
            "version": VERSION,
            "source": source,
            "spacing": self.spacing,
            "chunk": self.chunk,
            "shard": self.shard,
            "tissue_only": self.tissue_only,
        }

    def _begin(self, target: str | Path) -> bool:
        """Write the plan, or hold the one that is there to be the same; whether it is done."""
        group = read_json(self.store, "zarr.json")
        own = group.get("attributes", {}).get("medjax") if group else None
        found = own or read_json(self.store, _PLAN)
        if found is None:
            if self.store.list().result():
                raise InputError(target, "a new folder", "one with other contents")
            self._write(_PLAN, self.settings)
        elif found["version"] > VERSION:
            got = f"version {int(found['version'])}"
            raise InputError(target, f"a store of version {VERSION}: update medjax", got)
        elif found != self.settings:
            wrong = ", ".join(k for k, v in self.settings.items() if found.get(k) != v)
            raise InputError(target, "a new folder, or this slide's store", f"another {wrong}")
        return group is not None

    def _tissue(self) -> Tissue:
        """The mask on the grid of the store's finest level; found once, and kept."""
        if self.store.read("tissue/c/0/0").result().state == "value":
            return Tissue(*read_tissue(self.store))
        found = find_tissue(self.slide)
        downsample = tuple(d / s for d, s in zip(found.downsample, self.scale, strict=True))
        put_array(self.store, "tissue", found.mask, ["y", "x"], {"downsample": downsample})
        return Tissue(found.mask, downsample)

    def run(self, workers: int, update: Callable[..., None]) -> None:
        """Make what is missing, level by level, and then the metadata."""
        levels = self.needed()
        total, done = sum(len(places) for places in levels), 0
        with ThreadPoolExecutor(workers) as pool:
            try:
                for level, places in enumerate(levels):
                    array = self._level(level)
                    above = self._level(level - 1) if level else None
                    left = [p for p in places if self._key(level, p) not in self.keys]
                    done += len(places) - len(left)
                    update(done, total=total)
                    for _ in pool.map(partial(self._make, array, above), left):
                        done += 1
                        update(done, total=total)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        position, fraction = self.tiles()
        put_array(self.store, "tile_position", position, ["tile", "axis"])
        put_array(self.store, "tile_tissue", fraction, ["tile"])
        self._write("zarr.json", group_metadata(len(self.sizes), self.spacing, self.settings))
        self.store.write(_PLAN, None).result()

    def needed(self) -> list[list[_PLACE]]:
        """Rows and columns of the shards of each level."""
        width, height = self.sizes[0]
        columns, rows = -(-width // self.shard), -(-height // self.shard)
        keep = np.ones((rows, columns), bool)
        if self.tissue_only:
            x, y = np.arange(columns) * self.shard, np.arange(rows) * self.shard
            keep = self.tissue.fractions(x, y, self.shard, self.shard) > 0
        levels = []
        for _ in self.sizes:
            levels.append([(int(i), int(j)) for i, j in np.argwhere(keep)])
            keep = np.pad(keep, [(0, n % 2) for n in keep.shape])
            keep = keep[::2, ::2] | keep[1::2, ::2] | keep[::2, 1::2] | keep[1::2, 1::2]
        return levels

    def tiles(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners of a chunk's squares with tissue at the finest level, and how much."""
        x, y = (np.arange(0, n, self.chunk) for n in self.sizes[0])
        found = self.tissue.fractions(x, y, self.chunk, self.chunk)
        rows, columns = np.nonzero(found > 0)
        position = np.stack([x[columns], y[rows]], axis=1).astype(np.int32)
        return position, found[rows, columns].astype(np.float32)

    def summary(self) -> Prepared:
        shards = sum(len(places) for places in self.needed())
        area = self.tissue.mask.mean() if self.tissue.mask.size else 0.0
        return Prepared(len(self.sizes), shards, len(self.tiles()[1]), float(area))

    def _make(self, array: ts.TensorStore, above: ts.TensorStore | None, place: _PLACE) -> None:
        """One shard, from the slide or from the level above it."""
        height, width = array.shape[1:]
        top, left = (n * self.shard for n in place)
        bottom, right = min(top + self.shard, height), min(left + self.shard, width)
        if above is None:
            at = (left * self.scale[0], top * self.scale[1])
            block = self.slide.read_scaled(self.scale, *at, right - left, bottom - top)
            block = block.transpose(2, 0, 1)
        else:
            block = np.empty((3, bottom - top, right - left), np.uint8)
            half = self.shard // 2
            for y in range(top, bottom, half):  # a quarter at a time: it is four times as large
                for x in range(left, right, half):
                    y1, x1 = min(y + half, bottom), min(x + half, right)
                    fine = _read(above, 2 * y, 2 * y1, 2 * x, 2 * x1)
                    block[:, y - top : y1 - top, x - left : x1 - left] = halved(fine)
        array[:, top:bottom, left:right].write(block).result()

    def _write(self, key: str, contents: dict[str, Any]) -> None:
        self.store.write(key, json.dumps(contents, indent=1).encode()).result()

    def _level(self, level: int) -> ts.TensorStore:
        return open_level(self.store, level, self.sizes[level], self.chunk, self.shard)

    def _key(self, level: int, place: _PLACE) -> str:
        return f"{level}/c/0/{place[0]}/{place[1]}"


def halved(fine: np.ndarray) -> np.ndarray:
    """uint8 ``(c, y, x)`` averaged over squares of two; an odd last row or column stands twice."""
    fine = np.pad(fine, [(0, 0), *((0, n % 2) for n in fine.shape[1:])], mode="edge")
    pairs = fine[:, ::2].astype(np.uint16) + fine[:, 1::2]
    return ((pairs[..., ::2] + pairs[..., 1::2] + 2) // 4).astype(np.uint8)


def _read(array: ts.TensorStore, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    height, width = array.shape[1:]
    return array[:, top : min(bottom, height), left : min(right, width)].read().result()


@contextlib.contextmanager
def _written(target: str | Path) -> Iterator[None]:
    """TensorStore tells of a full disk and the like by errors that name no target."""
    try:
        yield
    except (MedjaxError, MemoryError):
        raise
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        got = "no space left" if "No space left" in str(error) else "a failed write or read"
        raise InputError(target, "a store that can be written", got) from error
