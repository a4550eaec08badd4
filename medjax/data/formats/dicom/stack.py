"""Frames in any order as a grid: slices at even steps, and what is at each of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medjax.core.errors import InputError

from .frames import Frame

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM's axes run to the left and to the back
_SAME = 1e-2  # millimetres within which two frames are at one place
_TILT = 1e-2  # of a step that may lie in the slices' plane
_TIMES = ("index", "offset", "reference", "trigger", "clock", "acquisition", "frame time", "frame")
_SECONDS = ("offset", "reference", "trigger", "clock", "frame time")
_NAMES = {
    "segment": "segment {:g}",
    "component": "{}",
    "kind": "{}",
    "echo": "TE {:g} ms",
    "inversion": "TI {:g} ms",
    "flip": "flip {:g}°",
    "b": "b {:g}",
    "direction": "{}",
}


class Stack(NamedTuple):
    """Frames on a grid.

    Attributes:
        grid: for each slice, in the order of positions along the normal, its frames in
            the order of the last axis.
        affine: ``(4, 4)``, from (along a row, along a column, slice) to LPS+ millimetres;
            None for a picture that does not say where it lies.
        names: of the entries of the last axis; empty where there is one frame a slice.
        interval: seconds between those entries, where they are times at even steps.
    """

    grid: list[list[Frame]]
    affine: np.ndarray | None
    names: tuple[str, ...]
    interval: float | None

    @property
    def tilt(self) -> float:
        """Degrees between the steps from slice to slice and the slices' normal."""
        if self.affine is None:
            return 0.0
        step = self.affine[:3, 2]
        normal = np.cross(self.affine[:3, 0], self.affine[:3, 1])
        across = np.linalg.norm(np.cross(step, normal))
        return math.degrees(math.atan2(across, float(step @ normal)))

    @property
    def tilted(self) -> bool:
        """Whether slices are shifted in their plane, as those of a tilted gantry are."""
        return math.tan(math.radians(self.tilt)) > _TILT


def stacked(path: Path, frames: Sequence[Frame]) -> Stack:
    """Put frames in order.

    Args:
        path: for errors.
        frames: of one series and one size.

    Raises:
        InputError: naming the path, for frames that differ in spacing or orientation,
            miss neighbours, do not lie on a line, or repeat each other.
    """
    if all(frame.position is None for frame in frames):
        files = len({frame.file.path for frame in frames})
        if files > 1:
            got = f"{files} files that have none: read them one by one"
            raise InputError(path, "slices with a position and an orientation", got)
        places = [list(frames)]
    elif any(frame.position is None for frame in frames):
        without = sum(frame.position is None for frame in frames)
        got = f"{without} of {len(frames)} that have none"
        raise InputError(path, "slices with a position and an orientation", got)
    else:
        places = _places(path, frames)
    grid, names, interval = _sorted(path, places)
    affine = None if frames[0].position is None else _affine(path, [row[0] for row in grid])
    return Stack(grid, affine, names, interval)


def _places(path: Path, frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames by their place along the normal."""
    for name in ("orientation", "spacing"):
        given = np.array([getattr(frame, name) for frame in frames]).reshape(len(frames), -1)
        others = ~np.isclose(given, given[0], atol=1e-3).all(1)
        if others.any():
            kinds = len(np.unique(given.round(3), axis=0))
            first = frames[int(others.argmax())].file.path.name
            got = f"{kinds} different ones, another in {first}"
            raise InputError(path, f"slices of one {name}", got)
    normal = np.cross(*frames[0].orientation)
    along = np.array([frame.position @ normal for frame in frames])
    order = np.argsort(along, kind="stable")
    starts = np.flatnonzero(np.diff(along[order]) > _SAME) + 1
    return [[frames[i] for i in part] for part in np.split(order, starts)]


def _sorted(
    path: Path, places: list[list[Frame]]
) -> tuple[list[list[Frame]], tuple[str, ...], float | None]:
    """Frames of each place in one order: by contrast, then by time."""
    counts = [len(place) for place in places]
    if max(counts) == 1:
        return places, (), None
    if min(counts) != max(counts):
        usual = max(set(counts), key=counts.count)
        odd = sum(count != usual for count in counts)
        got = f"another number at {odd} of {len(places)} places: incomplete or repeated"
        raise InputError(path, f"{usual} image{'s' * (usual > 1)} at each place", got)
    _require_one_place(path, places)
    varying = [name for name in _NAMES if any(_varies(place, name) for place in places)]
    rows = [_by_contrast(place, varying) for place in places]
    contrasts = list(rows[0])
    sizes = {len(frames) for row in rows for frames in row.values()}
    if any(list(row) != contrasts for row in rows) or len(sizes) > 1:
        raise InputError(path, "the same contrasts at each place", "others at some")
    order = _order(path, [frames for row in rows for frames in row.values()])
    if order is not None:
        rows = [
            {key: sorted(frames, key=lambda f: f.times[order]) for key, frames in row.items()}
            for row in rows
        ]
    grid = [[frame for frames in row.values() for frame in frames] for row in rows]
    labels = [_label(varying, key) for key in contrasts]
    if order is None:
        return grid, tuple(labels), None
    times, interval = _clock(grid[0][: sizes.pop()], order)
    names = tuple(f"{label} {time}".strip() for label in labels for time in times)
    return grid, names, interval if len(contrasts) == 1 else None


def _require_one_place(path: Path, places: list[list[Frame]]) -> None:
    for place in places:
        positions = [frame.position for frame in place if frame.position is not None]
        if positions and np.abs(np.array(positions) - positions[0]).max() > 2 * _SAME:
            raise InputError(path, "one image at each place of a plane", "several side by side")


def _varies(place: list[Frame], name: str) -> bool:
    return any(f.contrast.get(name) != place[0].contrast.get(name) for f in place)


def _by_contrast(place: list[Frame], varying: list[str]) -> dict[tuple[Any, ...], list[Frame]]:
    """Frames by the values of what varies, in the order of those values."""
    found: dict[tuple[Any, ...], list[Frame]] = {}
    for frame in place:
        found.setdefault(tuple(frame.contrast.get(name) for name in varying), []).append(frame)
    # Values of one name are of one kind, or missing; those come first.
    order = sorted(found, key=lambda key: [(v is not None, () if v is None else v) for v in key])
    return {key: found[key] for key in order}


def _order(path: Path, groups: list[list[Frame]]) -> str | None:
    """The time that tells apart the frames of each group; None where each holds one."""
    if max(len(group) for group in groups) == 1:
        return None
    for name in _TIMES:
        if all(_distinct(group, name) for group in groups):
            return name
    repeated = sum(len(group) - 1 for group in groups)
    got = f"{repeated} more that nothing tells apart: repeated files?"
    raise InputError(path, "one image at each place, or times or contrasts", got)


def _distinct(group: list[Frame], name: str) -> bool:
    values = [frame.times[name] for frame in group if name in frame.times]
    return len(values) == len(set(values)) == len(group)


def _clock(frames: list[Frame], order: str) -> tuple[list[str], float | None]:
    """Names of times, and seconds between them where those are even."""
    for name in _SECONDS:
        if all(name in frame.times for frame in frames):
            times = np.array([frame.times[name] for frame in frames])
            steps = np.diff(times)
            if steps.min() > 0:
                usual = float(np.median(steps))
                even = np.abs(steps - usual).max() <= max(0.02 * usual, 2e-3)
                names = [f"{time:.6g} s" for time in times - times[0]]
                return names, float(steps.mean()) if even else None
    resolution = frames[0].times.get("resolution") if order == "index" else None
    return [str(i) for i in range(len(frames))], resolution


def _label(varying: list[str], key: tuple[Any, ...]) -> str:
    words = []
    for name, value in zip(varying, key, strict=True):
        if isinstance(value, tuple):
            value = f"({', '.join(f'{n:.4g}' for n in value)})"
        if value is not None:
            words.append(_NAMES[name].format(value))
    return " ".join(words)


def _affine(path: Path, slices: list[Frame]) -> np.ndarray:
    first, last = slices[0], slices[-1]
    affine = np.eye(4)
    # A step along a row crosses columns, whose spacing is the second number.
    affine[:3, 0] = first.orientation[0] * first.spacing[1]
    affine[:3, 1] = first.orientation[1] * first.spacing[0]
    normal = np.cross(*first.orientation)
    if len(slices) > 1:
        steps = np.diff([frame.position for frame in slices], axis=0)
        _require_even(path, steps, steps @ normal)
        affine[:3, 2] = (last.position - first.position) / (len(slices) - 1)
    else:
        affine[:3, 2] = normal * first.thickness
    affine[:3, 3] = first.position
    return affine


def _require_even(path: Path, steps: np.ndarray, along: np.ndarray) -> None:
    """Steps from slice to slice, as vectors and along the normal, must be one and the same."""
    usual = float(np.median(along))
    ratios = along / along.min()
    if np.abs(ratios - np.round(ratios)).max() < 0.05:
        usual = float(along.min())  # the median is a gap's where gaps are many
    if along.max() > 1.5 * usual:
        lacking = int(np.sum(np.round(along / usual) - 1))
        wide = np.flatnonzero(along > 1.5 * usual) + 1
        after = ", ".join(map(str, wide[:5])) + (", ..." if len(wide) > 5 else "")
        got = f"about {lacking} missing slices, after slice {after} of {len(along) + 1}"
        raise InputError(path, "a series without gaps", got)
    if np.abs(steps - np.median(steps, axis=0)).max() > 0.05 * usual:
        raise InputError(path, "slices at even distances on a line", "uneven ones")


def require_same(path: Path, expected: str, values: Iterable[object]) -> None:
    """Raise for values of more than one kind."""
    number = len(set(values))
    if number > 1:
        raise InputError(path, expected, f"{number} different ones")
