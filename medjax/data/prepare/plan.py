"""What the whole set decides for each case: the channels, the spacing, the histogram."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

from medjax.core.errors import InputError
from medjax.data.case import Case
from medjax.data.formats import read_header
from medjax.data.geometry import to_ras
from medjax.data.image import Image
from medjax.data.store.layout import folder, get_json, require_version, wait

from .normalise import Normalisation, landmark_values, standard_histogram
from .reading import read_case
from .resample import THICK
from .steps import MEDIAN, Settings, channels_of

_FINE = 10  # percentile of the spacings along a thick axis, nnU-Net's

SETTINGS = "settings.json"
Each = Callable[[str, Callable[[Case], Any], Sequence[Case]], list[Any]]
Spatial = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Plan:
    """Settings with nothing left open.

    Attributes:
        settings: with the spacing in numbers and the channels by name.
        landmarks: channel -> standard histogram; empty for other normalisations.
    """

    settings: Settings
    landmarks: Mapping[str, Sequence[float]] = dataclasses.field(default_factory=dict)


def plan_settings(plan: Plan, asked: Settings) -> dict[str, Any]:
    """What a store keeps of how it was made: what was asked for, and what was decided."""
    decided = {
        "spacing": plan.settings.spacing and list(plan.settings.spacing),
        "channels": list(plan.settings.channels),
        "landmarks": {name: list(values) for name, values in plan.landmarks.items()},
    }
    return {**_words(asked), "plan": decided}


def existing_plan(store: str | Path, asked: Settings) -> Plan | None:
    """The plan that a store was begun with; None where there is no store.

    A store without a case binds nobody: its settings are removed.

    Raises:
        InputError: for a store of other settings, telling which, or of another kind, and
            for a folder that holds something else.
    """
    place, options = folder(store), {"what": store, "expected": "a store that can be written"}
    found = get_json(place, SETTINGS, what=store)
    if found is None:
        if "://" not in str(store) and Path(store).is_dir() and any(Path(store).iterdir()):
            got = "a folder that holds something else"
            raise InputError(store, "a new or empty folder, or a prepared store", got)
        return None
    require_version(found, what=store)
    if not wait(place.list, ts.KvStore.KeyRange("cases/", "cases0"), **options):
        wait(place.write, SETTINGS, None, **options)
        return None
    kept = found.get("settings") or {}
    for name, value in _words(asked).items():
        if name in kept and kept[name] != value:
            expected = f"{name} {kept[name]}, as the store was begun with (or another STORE)"
            raise InputError(store, expected, value)
    return _decided(store, kept, lambda: asked)


def stored_plan(store: str | Path, settings: Mapping[str, Any]) -> Plan:
    """The plan of a finished store, to bring further scans to the same grid and scale.

    Args:
        store: its path, for errors.
        settings: of `medjax.data.Store`.

    Raises:
        InputError: for a store that `medjax.data.prepare.prepare` did not make.
    """

    def asked() -> Settings:
        words = {field.name: settings[field.name] for field in dataclasses.fields(Settings)}
        method, *window = words["normalise"]
        found = Normalisation(str(method), tuple(map(float, window)) or None)
        return Settings(**{**words, "normalise": found, "spacing": None, "channels": ()})

    return _decided(store, settings, asked)


def _decided(store: str | Path, kept: Mapping[str, Any], asked: Callable[[], Settings]) -> Plan:
    try:
        plan, settings = kept["plan"], asked()
        spacing = plan["spacing"] and tuple(float(n) for n in plan["spacing"])
        channels = tuple(map(str, plan["channels"]))
        landmarks = {str(c): [float(v) for v in row] for c, row in plan["landmarks"].items()}
        return Plan(dataclasses.replace(settings, spacing=spacing, channels=channels), landmarks)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(store, "a store that was prepared", "one made otherwise") from None


def first_plan(cases: Sequence[Case], asked: Settings, each: Each) -> Plan:
    """What the settings leave open, decided by the cases.

    Args:
        cases: that can be read. A histogram is learnt from those of the split "train",
            or from all where no case is of a split.
        asked: with the channels by name.
        each: goes through the cases with a function, and gives what comes of it.
    """
    settings = asked
    if settings.spacing == MEDIAN:
        grids = each("reading headers", partial(grid_of, channels=asked.channels), cases)
        settings = dataclasses.replace(settings, spacing=median_spacing(_required(grids)))
    if settings.normalise.method != "histogram":
        return Plan(settings)
    training = [case for case in cases if case.split == "train"] or cases
    rows = each("learning the histogram", partial(landmarks_of, settings=settings), training)
    names = dict.fromkeys(name for row in _required(rows) for name in row)
    columns = {name: [row[name] for row in rows if name in row] for name in names}
    return Plan(settings, {name: standard_histogram(column) for name, column in columns.items()})


def all_channels(cases: Sequence[Case]) -> tuple[str, ...]:
    """Every channel that any case has, in the order of their first appearance."""
    return tuple(dict.fromkeys(name for case in cases for name in case.images))


def grid_of(case: Case, channels: Sequence[str]) -> tuple[tuple[int, int, int], Spatial]:
    """Shape and spacing of a case on RAS axes, from its header."""
    path = case.images[channels[0]] if case.images else case.label
    header = read_header(path)
    nothing = np.broadcast_to(np.zeros((), np.uint8), header.shape[: header.ndim])
    turned = to_ras(Image(nothing, header.affine))[0]
    return turned.array.shape, turned.spacing


def median_spacing(grids: Sequence[tuple[Sequence[int], Sequence[float]]]) -> Spatial:
    """The spacing that nnU-Net would plan (Isensee et al. 2021, supplement).

    The median along each axis; but where the longest of the three is more than `THICK`
    times the others, and images have that many fewer voxels along it, the 10th
    percentile along that axis, if it is not less than the others. nnU-Net takes shapes
    after cropping, this whole ones, as headers tell them.
    """
    shapes = np.asarray([shape for shape, _ in grids], np.float64)
    spacings = np.asarray([spacing for _, spacing in grids], np.float64)
    median, size = np.median(spacings, axis=0), np.median(shapes, axis=0)
    worst = int(np.argmax(median))
    others = [axis for axis in range(3) if axis != worst]
    if median[worst] > THICK * median[others].max() and size[worst] * THICK < size[others].min():
        fine = np.percentile(spacings[:, worst], _FINE)
        median[worst] = max(float(fine), float(median[others].max()))
    x, y, z = (float(n) for n in median)
    return x, y, z


def landmarks_of(case: Case, settings: Settings) -> dict[str, list[float]]:
    """Every channel's landmarks in one case, as `standard_histogram` takes them."""
    image, _, _ = read_case(dataclasses.replace(case, label=None), settings.channels)
    return {
        name: landmark_values(f"case {case.id}" + (f", {name}" if name else ""), channel)
        for name, channel in channels_of(image)
    }


def _words(settings: Settings) -> dict[str, Any]:
    """Settings as JSON."""
    asked = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    normalise = [settings.normalise.method, *(settings.normalise.window or ())]
    lists = {name: list(v) for name, v in asked.items() if isinstance(v, tuple)}
    return {**asked, **lists, "normalise": normalise}


def _required(found: list[Any]) -> list[Any]:
    if not found:
        raise InputError("SOURCE", "at least one case that can be prepared", "none")
    return found
