"""Labelled patches at hand: regions of a brain in 2D and 3D, and tiles of pictures.

Brains are simulated scans of the ICBM152 T1 template, which nilearn carries: every subject has
its own rotation, size, elastic deformation, contrast, shading and noise. All are deformations
of one average anatomy. A subject is on one side only, and so is every slice (2D: axial slabs)
or voxel (3D: coronal slabs) of the template, with a gap of 5 mm. Deformations stay within the
plane of a slab, so that none reaches across a gap. The template is symmetric: no class tells
left from right.

Tiles are parts of pictures that scikit-image carries, each turned, scaled and with a contrast of
its own; the class is the picture, and left, middle and right parts of all pictures train,
validate and test.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from scipy import ndimage

from medjax.core.random import generator
from medjax.data import icbm152
from medjax.training.protocols import Labelled, Sets

SIDES = ("train", "validation", "test")
ORIGIN = np.array([98.0, 134.0, 72.0])  # voxel of the template at 0 mm
ELASTIC = 2.0  # mm, standard deviation of displacements


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
    slabs={
        "train": ((12, 26), (50, 64), (88, 102), (126, 149)),
        "validation": ((69, 83),),
        "test": ((31, 45), (107, 121)),
    },
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
    size=(24, 12, 24),
    spacing=1.5,
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
            scan = _Scan(rng, cut)
            for label, candidates in enumerate(places[side]):
                for centre in candidates[rng.integers(len(candidates), size=each)]:
                    images.append(scan.patch(template, centre, rng))
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


class _Scan:
    """One simulated subject in one simulated scanner."""

    def __init__(self, rng: np.random.Generator, cut: Cut):
        self.cut = cut
        self.across = [axis for axis in range(3) if axis != cut.axis]
        angle = np.deg2rad(rng.uniform(-12, 12))
        zoom = rng.uniform(0.88, 1.14)
        self.matrix = np.eye(3)
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        self.matrix[np.ix_(self.across, self.across)] = zoom * np.asarray(turn)
        # A node every 30 mm, in the plane of the slab; the same for all of the subject.
        self.field = rng.normal(scale=ELASTIC, size=(2, 8, 9))
        self.gamma = 2 ** rng.uniform(-0.7, 0.7)
        self.shading = rng.normal(scale=0.25, size=3)
        self.noise = rng.uniform(0.005, 0.03)

    def patch(self, template: np.ndarray, centre: np.ndarray, rng: np.random.Generator):
        """The patch about a voxel of the template, float ``size``."""
        axes = [(np.arange(n) - (n - 1) / 2) * self.cut.spacing for n in self.cut.size]
        grid = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
        where = centre[:, None] + self.matrix @ grid
        nodes = where[self.across] / 30
        for axis, field in zip(self.across, self.field, strict=True):
            where[axis] += ndimage.map_coordinates(field, nodes, order=2, mode="nearest")
        values = ndimage.map_coordinates(template, where, order=1, mode="constant")
        values = np.clip(values, 0, 1) ** self.gamma
        values = values * np.exp(self.shading @ ((where - ORIGIN[:, None]) / 70))
        # Rician, as magnitude images are.
        real, imaginary = rng.normal(scale=self.noise, size=(2, values.size))
        return np.hypot(values + real, imaginary).reshape(self.cut.size)


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
