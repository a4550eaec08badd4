"""What experiments on brains share: simulated scans of the ICBM152 template.

Every subject has a rotation, size, elastic deformation, contrast, shading and noise of its own.
All are deformations of one average anatomy: right for telling whether a method works, and for
no claim about patients. A subject is on one side of a split only, and so is every slice of the
template, with a gap of 5 mm between sides; deformations stay within the plane of a slice, so
that none reaches across a gap. The template is symmetric: nothing tells left from right.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from scipy import ndimage

from medjax.core.files import replacing
from medjax.core.random import generator
from medjax.data import icbm152
from medjax.training.samples import grid

SIDES = ("train", "validation", "test")
ORIGIN = np.array([98.0, 134.0, 72.0])  # voxel of the template at 0 mm
ELASTIC = 2.0  # mm, standard deviation of displacements

AXIAL_SLABS = {
    "train": ((12, 26), (50, 64), (88, 102), (126, 149)),
    "validation": ((69, 83),),
    "test": ((31, 45), (107, 121)),
}
"""Side to intervals of the template's axial slices, ends excluded."""

CENTRE = 0.6  # brightness that networks of images in [-1, 1] see as 0

TISSUES = ("background", "fluid", "grey matter", "white matter")
BRIGHTNESS = {  # of each tissue, in contrasts that are made of the tissues' shares
    "t2": np.array([0.0, 1.0, 0.62, 0.42]),
    "pet": np.array([0.0, 0.05, 0.9, 0.25]),  # uptake of FDG, about four to one
}


class Scan:
    """One simulated subject in one simulated scanner.

    Args:
        rng: all that is particular to the subject is drawn from it.
        axis: of the template that slices are cut along; deformations stay across it.
        variety: of contrast and shading between scanners: 0 for one scanner without shading.
    """

    def __init__(self, rng: np.random.Generator, axis: int, variety: float = 1.0):
        self.across = [other for other in range(3) if other != axis]
        angle = np.deg2rad(rng.uniform(-12, 12))
        zoom = rng.uniform(0.88, 1.14)
        self.matrix = np.eye(3)
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        self.matrix[np.ix_(self.across, self.across)] = zoom * np.asarray(turn)
        # A node every 30 mm, in the plane of the slices; the same for all of the subject.
        self.field = rng.normal(scale=ELASTIC, size=(2, 8, 9))
        self.gamma = 2 ** (variety * rng.uniform(-0.7, 0.7))
        self.shading = variety * rng.normal(scale=0.25, size=3)
        self.noise = rng.uniform(0.005, 0.03)

    def places(self, centre: np.ndarray, size: tuple[int, int, int], spacing: float) -> np.ndarray:
        """Where in the template the voxels of a box are, in voxels, ``(3, voxel)``.

        Args:
            centre: of the box, a voxel of the template.
            size: voxels along each axis.
            spacing: of them in mm.
        """
        axes = [(np.arange(n) - (n - 1) / 2) * spacing for n in size]
        grid = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
        where = centre[:, None] + self.matrix @ grid
        nodes = where[self.across] / 30
        for axis, field in zip(self.across, self.field, strict=True):
            where[axis] += ndimage.map_coordinates(field, nodes, order=2, mode="nearest")
        return where

    def acquired(
        self, values: np.ndarray, where: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """What the scanner makes of true values at some places: contrast, shading, noise."""
        values = np.clip(values, 0, 1) ** self.gamma
        values = values * np.exp(self.shading @ ((where - ORIGIN[:, None]) / 70))
        # Rician, as magnitude images are.
        real, imaginary = rng.normal(scale=self.noise, size=(2, values.size))
        return np.hypot(values + real, imaginary)


@dataclasses.dataclass(frozen=True)
class Slices:
    """Whole axial slices of simulated subjects.

    Attributes:
        t1: float32 ``(slice, y, x, 1)``, about 0 to 1 and not negative; row 0 is posterior.
        t2: likewise, with tissues as `BRIGHTNESS` says; its noise is its own.
        pet: likewise, as sharp as the template is: a truth that no scanner has.
        tissue: int32 ``(slice, y, x)``, indices of `TISSUES`.
        subject: of each slice, int32 ``(slice,)``.
        slab: which of the side's slabs each is from, int32 ``(slice,)``.
    """

    t1: np.ndarray
    t2: np.ndarray
    pet: np.ndarray
    tissue: np.ndarray
    subject: np.ndarray
    slab: np.ndarray

    def __len__(self) -> int:
        return len(self.t1)

    def take(self, chosen: np.ndarray) -> Slices:
        """Some of them."""
        fields = dataclasses.fields(self)
        return Slices(**{field.name: getattr(self, field.name)[chosen] for field in fields})


def scaled(images: np.ndarray) -> np.ndarray:
    """Brightness 0 to 1.2 as -1 to 1; brighter is cut."""
    return np.clip(images / CENTRE - 1, -1, 1).astype(np.float32)


def unscaled(images: np.ndarray) -> np.ndarray:
    """Brightness of what networks make."""
    return (np.clip(np.asarray(images, np.float32), -1, 1) + 1) * CENTRE


def picture(rows: Sequence[np.ndarray], path: Path) -> None:
    """A row for each kind of image, a column for each slice, twice as large, anterior up.

    Args:
        rows: brightness, ``(slice, y, x)`` of one shape; 0 is black and 1.2 white.
        path: of the PNG.
    """
    shown = np.concatenate(rows)[:, ::-1, :, None].repeat(2, 1).repeat(2, 2)
    drawn = grid(shown, window=(0.0, 2 * CENTRE), columns=len(rows[0]))
    with replacing(path) as draft:
        Pillow.fromarray(drawn).save(draft, "PNG")


@functools.lru_cache(maxsize=1)
def _maps() -> tuple[np.ndarray, np.ndarray]:
    """T1 and the share of each tissue, ``(tissue, x, y, z)``."""
    t1, grey, white = (icbm152.load(name).array for name in icbm152.CONTRASTS)
    inside = (t1 > 0.05).astype(np.float32)
    fluid = np.clip(inside - grey - white, 0, 1)
    background = np.clip(1 - fluid - grey - white, 0, 1)
    return t1, np.stack([background, fluid, grey, white])


def volumes(
    subjects: int,
    *,
    size: tuple[int, int, int],
    spacing: float,
    seed: int = 0,
) -> np.ndarray:
    """T1 volumes of simulated subjects, about the middle of the brain.

    They reach across the slabs of `slices`: for what is judged by its own training images alone.

    Args:
        subjects: how many.
        size: voxels, ``(z, y, x)``.
        spacing: of them in mm.
        seed: of the subjects.

    Returns:
        float32 ``(subject, z, y, x, 1)``, brightness as in `Slices`.
    """
    template, _ = _maps()
    centre = (np.asarray(template.shape) - 1) / 2
    found = []
    for subject in range(subjects):
        rng = generator(65, seed, subject)
        scan = Scan(rng, axis=2)
        where = scan.places(centre, size[::-1], spacing)
        values = ndimage.map_coordinates(template, where, order=1)
        found.append(scan.acquired(values, where, rng).reshape(size[::-1]).T)
    return np.stack(found)[..., None].astype(np.float32)


def slices(
    side: str,
    subjects: int,
    *,
    each: int = 3,
    size: int = 64,
    spacing: float = 3.0,
    seed: int = 0,
    variety: float = 1.0,
) -> Slices:
    """Axial slices of simulated subjects.

    Args:
        side: of the split, one of `SIDES`.
        subjects: how many.
        each: slices of a subject, at random places in the slabs of the side.
        size: pixels along both axes.
        spacing: of them in mm; the brain needs about 190 mm.
        seed: of the subjects.
        variety: of their scanners, see `Scan`.
    """
    template, tissues = _maps()
    heights = np.concatenate([np.arange(*slab) for slab in AXIAL_SLABS[side]])
    starts = [start for start, _ in AXIAL_SLABS[side]]
    middle = (np.asarray(template.shape[:2]) - 1) / 2
    found: dict[str, list[np.ndarray]] = {"t1": [], "t2": [], "pet": [], "tissue": []}
    slabs = []
    for subject in range(subjects):
        rng = generator(64, seed, SIDES.index(side), subject)
        scan = Scan(rng, axis=2, variety=variety)
        for height in rng.choice(heights, size=each, replace=False):
            where = scan.places(np.array([*middle, height]), (size, size, 1), spacing)
            shares = np.stack([ndimage.map_coordinates(one, where, order=1) for one in tissues])
            values = ndimage.map_coordinates(template, where, order=1)
            found["t1"].append(scan.acquired(values, where, rng))
            for name, brightness in BRIGHTNESS.items():
                found[name].append(scan.acquired(brightness @ shares, where, rng))
            found["tissue"].append(np.argmax(shares, axis=0))
            slabs.append(np.searchsorted(starts, height, side="right") - 1)

    def stacked(name: str) -> np.ndarray:
        # The template's axes are x and y; pictures have y first.
        return np.stack(found[name]).reshape(-1, size, size).swapaxes(1, 2)

    return Slices(
        t1=stacked("t1")[..., None].astype(np.float32),
        t2=stacked("t2")[..., None].astype(np.float32),
        pet=stacked("pet")[..., None].astype(np.float32),
        tissue=stacked("tissue").astype(np.int32),
        subject=np.repeat(np.arange(subjects), each).astype(np.int32),
        slab=np.asarray(slabs, np.int32),
    )
