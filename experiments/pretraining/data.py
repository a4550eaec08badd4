"""Labelled patches at hand: regions of a brain in 2D and 3D, and tiles of pictures.

Brains are scans of `simulated_brain`, in axial (2D) or coronal (3D) slabs of the template.

Tiles are parts of pictures that scikit-image carries, each turned, scaled and with a contrast of
its own; the class is the picture, and left, middle and right parts of all pictures train,
validate and test.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from scipy import ndimage

from medjax.core.random import generator
from medjax.data import icbm152
from medjax.training.protocols import Labelled, Sets

sys.path.insert(0, str(Path(__file__).parents[1]))
from simulated_brain import AXIAL_SLABS, ORIGIN, SIDES, Scan


@dataclasses.dataclass(frozen=True)
class Task:
    """A data set to pretrain on and to be judged by.

    Attributes:
        sets: images ``(sample, *spatial, 1)``, float32, about 0 to 1 and not negative.
        names: of the classes.
        modality: of `medjax.augment.policy.PRESETS`; views are built by it.
        statement: what the data is, in a sentence.
    """

    sets: Sets
    names: tuple[str, ...]
    modality: str
    statement: str


@dataclasses.dataclass(frozen=True)
class Cut:
    """How patches are cut out of the template.

    Attributes:
        axis: that slabs are cut along; deformations stay across it.
        slabs: side to intervals of voxels along it, ends excluded; patches lie within.
        size: voxels of a patch along each axis, 1 along ``axis`` for slices.
        spacing: of its voxels in mm.
        sideways: the distance from the midline, in mm, that divides medial from lateral.
        along: another axis, and the two places on it, in mm, that divide three parts.
        parts: names of the three.
    """

    axis: int
    slabs: dict[str, tuple[tuple[int, int], ...]]
    size: tuple[int, int, int]
    spacing: float
    sideways: float
    along: tuple[int, float, float]
    parts: tuple[str, str, str]


AXIAL = Cut(
    axis=2,
    slabs=AXIAL_SLABS,
    size=(32, 32, 1),
    spacing=1.5,
    sideways=24.0,
    along=(1, -45.0, 10.0),
    parts=("posterior", "central", "anterior"),
)

CORONAL = Cut(
    axis=1,
    slabs={
        "train": ((29, 49), (79, 99), (129, 149), (179, 206)),
        "validation": ((104, 124),),
        "test": ((54, 74), (154, 174)),
    },
    size=(16, 8, 16),
    spacing=2.25,
    sideways=24.0,
    along=(2, -5.0, 30.0),
    parts=("inferior", "middle", "superior"),
)


def brain(dimensions: int, subjects: Sequence[int] = (100, 20, 60), each: int = 3) -> Task:
    """Which of six regions a patch of a brain is from.

    Args:
        dimensions: 2 for axial slices of 48 mm, 3 for boxes of 36 x 18 x 36 mm.
        subjects: simulated ones to train, validate and test.
        each: patches of each region that a subject gives.
    """
    cut = AXIAL if dimensions == 2 else CORONAL
    template = icbm152.load().array
    places = {side: _places(template, cut, side) for side in SIDES}
    parts = {}
    for number, (side, count) in enumerate(zip(SIDES, subjects, strict=True)):
        images, labels, groups = [], [], []
        for subject in range(count):
            rng = generator(152, dimensions, number, subject)
            scan = Scan(rng, cut.axis)
            for label, candidates in enumerate(places[side]):
                for centre in candidates[rng.integers(len(candidates), size=each)]:
                    where = scan.places(centre, cut.size, cut.spacing)
                    values = ndimage.map_coordinates(template, where, order=1, mode="constant")
                    images.append(scan.acquired(values, where, rng).reshape(cut.size))
                    labels.append(label)
                    groups.append(f"{side}{subject}")
        stacked = np.stack(images).astype(np.float32)[..., None]
        parts[side] = Labelled(
            stacked[:, :, :, 0] if dimensions == 2 else stacked, np.asarray(labels), tuple(groups)
        )
    names = tuple(f"{part} {side}" for part in cut.parts for side in ("medial", "lateral"))
    extent = " x ".join(f"{n * cut.spacing:g}" for n in cut.size if n > 1)
    return Task(
        sets=Sets(**parts, classes=len(names)),
        names=names,
        modality="mri",
        statement=(
            f"region of {extent} mm patches of simulated T1 scans of one template (ICBM152), "
            "split by subject and slab"
        ),
    )


def _places(template: np.ndarray, cut: Cut, side: str) -> list[np.ndarray]:
    """Voxels of brain of each class that patches of one side may be centred at."""
    allowed = np.zeros(template.shape, bool)
    half = 0.5 * cut.size[cut.axis] * cut.spacing if cut.size[cut.axis] > 1 else 0.0
    for start, stop in cut.slabs[side]:
        along = np.arange(template.shape[cut.axis])
        inside = (along - half >= start) & (along + half <= stop - 1)
        index = [None, None, None]
        index[cut.axis] = slice(None)
        allowed |= inside[tuple(index)]
    voxels = np.argwhere(allowed & (template > 0.1))
    mm = voxels - ORIGIN
    lateral = np.abs(mm[:, 0]) > cut.sideways
    axis, low, high = cut.along
    part = (mm[:, axis] > low).astype(int) + (mm[:, axis] > high)
    # Patches about a border belong to neither side of it.
    clear = np.abs(np.abs(mm[:, 0]) - cut.sideways) > 4
    clear &= np.minimum(np.abs(mm[:, axis] - low), np.abs(mm[:, axis] - high)) > 4
    return [voxels[clear & (2 * part + lateral == label)] for label in range(6)]


PICTURES = ("ihc.png", "retina.jpg", "brick.png", "grass.png", "gravel.png", "moon.png")
PARTS = {"train": (0.0, 0.5), "validation": (0.55, 0.68), "test": (0.73, 1.0)}


def tiles(counts: Sequence[int] = (300, 40, 150), size: int = 32) -> Task:
    """Which of six pictures a grey tile is from: stained colon, a retina, surfaces, the moon.

    Args:
        counts: tiles of each picture to train, validate and test.
        size: of a tile in pixels.
    """
    folder = Path(importlib.util.find_spec("skimage").submodule_search_locations[0]) / "data"
    pictures = []
    for name in PICTURES:
        grey = np.asarray(Pillow.open(folder / name).convert("L"), np.float32) / 255
        if name == "retina.jpg":
            grey = grey[350:1060, 200:1210]  # within the round field of view
        pictures.append(grey)
    parts = {}
    for number, (side, count) in enumerate(zip(SIDES, counts, strict=True)):
        images, labels = [], []
        for label, picture in enumerate(pictures):
            low, high = (round(part * picture.shape[1]) for part in PARTS[side])
            for tile in range(count):
                rng = generator(2, number, label, tile)
                images.append(_tile(picture[:, low:high], size, rng))
                labels.append(label)
        stacked = np.stack(images).astype(np.float32)[..., None]
        parts[side] = Labelled(stacked, np.asarray(labels))
    return Task(
        sets=Sets(**parts, classes=len(PICTURES)),
        names=tuple(name.partition(".")[0] for name in PICTURES),
        modality="tiles",
        statement="which of six pictures a grey tile is from, split by parts of the pictures",
    )


def _tile(picture: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A square of a picture, turned and scaled; all of it within the picture."""
    angle, zoom = rng.uniform(0, 2 * np.pi), 2 ** rng.uniform(-0.4, 0.4)
    turn = np.asarray([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    axis = np.arange(size) - (size - 1) / 2
    grid = zoom * turn @ np.stack(np.meshgrid(axis, axis, indexing="ij")).reshape(2, -1)
    reach = np.abs(grid).max(axis=1)
    centre = rng.uniform(reach, np.asarray(picture.shape) - 1 - reach)
    values = ndimage.map_coordinates(picture, centre[:, None] + grid, order=1)
    values = np.clip(values, 0, 1) ** (2 ** rng.uniform(-0.7, 0.7))
    return np.clip(values + rng.normal(scale=0.02, size=values.size), 0, None).reshape(size, size)
