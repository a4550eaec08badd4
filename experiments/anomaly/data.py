"""Slices of simulated brains, and lesions put into those of other subjects.

Lesions are drawn, not acquired: they change a slice after noise and shading. Four kinds: bright
and dark blobs, regions of another texture, and masses that push the tissue around them away
without being of another brightness. All are marked where they change the image.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import simulated_brain
from scipy import ndimage

from medjax.core.random import generator

SIZE, SPACING = (32, 32), 6.0  # pixels, mm
KINDS = ("bright", "dark", "texture", "mass")
TRAIN, UNLABELLED, OTHERS = range(3)  # seeds of subjects, of whom none is in two
SCANNERS = {"one": 0.1, "many": 1.0}  # variety of contrast and shading between subjects


@dataclasses.dataclass(frozen=True)
class Test:
    """What detectors are judged on.

    Attributes:
        image: ``(slice, y, x, 1)``, float32 as networks see it, -1 to 1.
        kind: index of `KINDS`, -1 for healthy, ``(slice,)``.
        mask: what a lesion changed, bool ``(slice, y, x)``.
    """

    image: np.ndarray
    kind: np.ndarray
    mask: np.ndarray


@functools.cache
def slices(subjects: int, seed: int, scanners: str) -> simulated_brain.Slices:
    """Four slices of each subject, of the same slabs for all seeds, which are other subjects."""
    return simulated_brain.slices(
        "train",
        subjects,
        each=4,
        size=SIZE[0],
        spacing=SPACING,
        seed=1000 + seed,
        variety=SCANNERS[scanners],
    )


def normal(subjects: int, scanners: str) -> np.ndarray:
    """Healthy slices to train on, as networks see them; ``scanners`` is one of `SCANNERS`."""
    return simulated_brain.scaled(slices(subjects, TRAIN, scanners).t1)


def unlabelled(subjects: int, scanners: str) -> np.ndarray:
    """Slices of which half have a lesion, nobody knows which: for methods that learn from them."""
    found = slices(subjects, UNLABELLED, scanners)
    images = [
        lesion(found.t1[i, ..., 0], found.tissue[i], i // 2 % len(KINDS), generator(5, 1, i))[0]
        if i % 2
        else found.t1[i, ..., 0]
        for i in range(len(found))
    ]
    return simulated_brain.scaled(np.stack(images)[..., None])


def test(subjects: int, scanners: str) -> Test:
    """Each slice as it is, and with a lesion, so that nothing but lesions tells them apart."""
    found = slices(subjects, OTHERS, scanners)
    kinds = np.arange(len(found)) % len(KINDS)
    pairs = [
        lesion(found.t1[i, ..., 0], found.tissue[i], kind, generator(5, 2, i))
        for i, kind in enumerate(kinds)
    ]
    images, masks = (np.stack(part) for part in zip(*pairs, strict=True))
    return Test(
        simulated_brain.scaled(np.concatenate([found.t1, images[..., None]])),
        np.concatenate([np.full(len(found), -1), kinds]),
        np.concatenate([np.zeros(masks.shape, bool), masks]),
    )


def lesion(
    image: np.ndarray, tissue: np.ndarray, kind: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A slice with a lesion about a place in the brain, and what it changed.

    Args:
        image: brightness ``(y, x)``.
        tissue: indices of `simulated_brain.TISSUES`; lesions are about grey or white matter.
        kind: index of `KINDS`.
        rng: of all that is particular to it.
    """
    inside = ndimage.binary_erosion(tissue >= 2, iterations=1)
    places = np.argwhere(inside if inside.any() else tissue > 0)
    centre = places[rng.integers(len(places))]
    radius = rng.uniform(2.0, 3.5)  # pixels; 24 to 42 mm across
    away = np.indices(SIZE) - centre[:, None, None]
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = np.tensordot(turn, away, 1) * np.array([1.0, rng.uniform(1.0, 1.6)])[:, None, None]
    rough = ndimage.gaussian_filter(rng.normal(size=SIZE), 1.5)
    distance = np.hypot(*turned) / radius + 1.2 * rough  # an uneven border
    soft = 1 / (1 + np.exp((distance - 1) / 0.12))
    soft = soft * (tissue > 0)
    bright = np.percentile(image, 95)
    name = KINDS[kind]
    if name == "bright":
        return image + rng.uniform(0.25, 0.5) * bright * soft, soft > 0.5
    if name == "dark":
        return image * (1 - rng.uniform(0.3, 0.6) * soft), soft > 0.5
    if name == "texture":
        pattern = ndimage.gaussian_filter(rng.normal(size=SIZE), 0.6)
        pattern = rng.uniform(0.12, 0.2) * bright * pattern / pattern.std()
        return np.maximum(image + pattern * soft, 0), soft > 0.5
    reach = 1.6 * radius
    pushed = 0.75 * np.exp(-((np.hypot(*away) / reach) ** 2))
    where = centre[:, None, None] + away * (1 - pushed)
    moved = np.hypot(*(away * pushed))
    warped = ndimage.map_coordinates(image, where, order=1, mode="nearest")
    return warped, (moved > 1.0) & (tissue > 0)
