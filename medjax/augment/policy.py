"""Random policies of augmentation, and what each modality can bear.

``PRESETS[modality](entries)`` are operations: names to functions from a magnitude, 0 to
about 1, to a transform. They expect images of about 0 to 1 that are not negative
(magnitudes, windowed Hounsfield units, red, green and blue); z-scores come after. What is
missing from a preset is missing for the reason that its docstring gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax

from medjax.core.errors import InputError
from medjax.core.registry import Registry
from medjax.core.types import Array, Batch, Key

from .artefacts import artefact
from .compose import Transform, keyed, where_chosen
from .entries import IMAGE, Entries, Image
from .intensity import (
    bias_field,
    blur,
    brightness,
    contrast,
    gamma,
    low_resolution,
    noise,
    sharpen,
)
from .spatial import deform
from .stains import SLIDE, stain_jitter

Operations = Mapping[str, Callable[[float], Transform]]

RGB: Entries = MappingProxyType({"image": Image(channels="last")})


def randaugment(operations: Operations, *, count: int = 2, magnitude: float = 0.3) -> Transform:
    """Give each sample some of the operations, drawn at random, all of one magnitude.

    RandAugment (Cubuk et al. 2020, "RandAugment: practical automated data augmentation
    with a reduced search space", CVPR Workshops): two numbers are all there is to tune.
    Unlike the paper, a sample's operations differ, and they follow each other as they are
    listed: an image is deformed before it is blurred, and blurred before noise is added, as
    in a scanner. The magnitude is the largest that an operation draws, which the paper
    found no worse than a fixed one.

    Each operation runs once, over the batch, and is kept where it was drawn; one that no
    sample drew is skipped. A switch within `jax.vmap` would run all of them ``count``
    times (three to seven times slower). One within a loop over samples runs ``count``, and
    on two CPU cores is two to four times faster (batches of 16 slices, of 2 volumes), but
    it neither fills an accelerator nor leaves a batch divided over devices.

    Args:
        operations: such as those of `PRESETS`. Their transforms keep names, shapes and
            dtypes.
        count: how many each sample gets.
        magnitude: given to each operation; 0 to 1 for those of `PRESETS`.

    Raises:
        InputError: for a count that there are not operations for, or a negative
            magnitude; when called, for operations that change shapes.
    """
    if not 1 <= count <= len(operations):
        raise InputError("count", f"1 to the number of operations, {len(operations)}", count)
    if magnitude < 0:
        raise InputError("magnitude", "a number that is not negative", magnitude)
    steps = [operation(magnitude) for operation in operations.values()]

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        choice, own = jax.random.split(key)
        order = jax.vmap(lambda k: jax.random.permutation(k, len(steps)))(keyed(choice, batch))
        for number, step in enumerate(steps):
            chosen = order[:, number] < count
            batch = where_chosen(chosen, step, jax.random.fold_in(own, number), batch)
        return batch

    return transform


def mri(entries: Entries = IMAGE) -> Operations:
    """Magnetic resonance: contrast and shading vary freely, for intensities have no unit.

    Left out: mirroring, since organs and findings have sides; negative images, which no
    sequence makes; colour. Motion between shots costs a deformation each: take it by
    itself, ``artefact("bulk_motion")``.
    """
    return {
        "deform": _deform(entries, rotation=30.0, zoom=0.25, elastic=0.3),
        "low_resolution": lambda m: low_resolution(1 + 3 * m, entries=entries),
        "truncation": lambda m: artefact("truncation", (0.0, min(m, 1)), entries=entries),
        "ghosting": lambda m: artefact("ghosting", (0.0, min(m, 1)), entries=entries),
        "bias_field": lambda m: bias_field(0.5 * m, entries=entries),
        "noise": lambda m: noise(0.15 * m, entries=entries),
        "contrast": lambda m: contrast(0.6 * m, entries=entries),
        "gamma": lambda m: gamma(0.8 * m, entries=entries),
    }


def ct(entries: Entries = IMAGE) -> Operations:
    """Computed tomography: geometry, dose, kernel and slice thickness.

    Left out: brightness, contrast, gamma and shading, since Hounsfield units are
    calibrated and a value is a tissue; mirroring, since organs have sides.
    """
    return {
        "deform": _deform(entries, rotation=20.0, zoom=0.2, elastic=0.25),
        "low_resolution": lambda m: low_resolution(1 + 3 * m, entries=entries),
        "blur": lambda m: blur((0.3, 0.3 + m), entries=entries),
        "noise": lambda m: noise(0.1 * m, entries=entries),
        "sharpen": lambda m: sharpen(2 * m, entries=entries),
    }


def radiograph(entries: Entries = IMAGE) -> Operations:
    """Projection radiography: exposure and the maker's processing vary.

    Left out: blur and low resolution, since nodules, fractures and the line of a
    pneumothorax are a few pixels wide; elastic deformation, which bends bones; mirroring,
    since the heart's side is a finding.
    """
    return {
        "deform": _deform(entries, rotation=15.0, zoom=0.2, shear=0.1),
        "noise": lambda m: noise(0.05 * m, entries=entries),
        "sharpen": lambda m: sharpen(2 * m, entries=entries),
        "brightness": lambda m: brightness(0.2 * m, spread=0.3 * m, entries=entries),
        "contrast": lambda m: contrast(0.5 * m, entries=entries),
        "gamma": lambda m: gamma(0.5 * m, entries=entries),
    }


def ultrasound(entries: Entries = IMAGE) -> Operations:
    """Ultrasound: gain, its course with depth, dynamic range, speckle and focus vary.

    Left out: large turns and mirroring, since shadows and enhancement lie along the beam;
    added noise, since speckle multiplies.
    """
    return {
        "deform": _deform(entries, rotation=10.0, zoom=0.2, elastic=0.15),
        "blur": lambda m: blur((0.3, 0.3 + 1.5 * m), entries=entries),
        "speckle": lambda m: artefact("speckle", (0.0, 0.5 * min(m, 1)), entries=entries),
        "gain": lambda m: brightness(spread=0.5 * m, entries=entries),
        "depth_gain": lambda m: bias_field(0.4 * m, order=2, entries=entries),
        "gamma": lambda m: gamma(0.5 * m, entries=entries),
    }


def histology(entries: Entries = SLIDE) -> Operations:
    """Stained sections: no direction is up, and laboratories stain and focus differently.

    Left out: contrast and gamma of red, green and blue, since colours come from stains,
    which `stain_jitter` varies where they add up; low resolution, since magnification is
    known.
    """
    return {
        "deform": _deform(entries, turn=180.0, mirror=(-2, -1), zoom=0.15, elastic=0.25),
        "stains": lambda m: stain_jitter(0.25 * m, entries=entries),
        "blur": lambda m: blur((0.3, 0.3 + m), entries=entries),
        "brightness": lambda m: brightness(spread=0.2 * m, entries=entries),
        "sharpen": lambda m: sharpen(m, entries=entries),
        "noise": lambda m: noise(0.05 * m, entries=entries),
    }


def dermoscopy(entries: Entries = RGB) -> Operations:
    """Skin lesions: no direction is up; light and focus vary.

    Left out: colour jitter, since the number of colours is a criterion of melanoma;
    elastic deformation, since asymmetry and the border are; cut-out, since a lesion's
    pattern may lie in one corner of it.
    """
    return {
        "deform": _deform(entries, turn=180.0, mirror=(-2, -1), zoom=0.3),
        "blur": lambda m: blur((0.3, 0.3 + m), entries=entries),
        "sharpen": lambda m: sharpen(m, entries=entries),
        "brightness": lambda m: brightness(0.1 * m, spread=0.3 * m, entries=entries),
        "contrast": lambda m: contrast(0.4 * m, entries=entries),
        "gamma": lambda m: gamma(0.4 * m, entries=entries),
    }


def fundus(entries: Entries = RGB) -> Operations:
    """Photographs of the retina: light, its evenness and the camera's angle vary.

    Left out: blur and low resolution, since a microaneurysm is a few pixels wide; colour
    jitter, which makes exudates of drusen; mirroring, which makes left eyes of right ones.
    """
    return {
        "deform": _deform(entries, rotation=30.0, zoom=0.2),
        "bias_field": lambda m: bias_field(0.3 * m, order=2, entries=entries),
        "noise": lambda m: noise(0.03 * m, entries=entries),
        "sharpen": lambda m: sharpen(m, entries=entries),
        "brightness": lambda m: brightness(0.1 * m, spread=0.3 * m, entries=entries),
        "contrast": lambda m: contrast(0.4 * m, entries=entries),
        "gamma": lambda m: gamma(0.4 * m, entries=entries),
    }


def _deform(
    entries: Entries, *, turn: float = 0.0, mirror: tuple[int, ...] = (), **sizes: float
) -> Callable[[float], Transform]:
    """Deformation whose sizes go with the magnitude, save turns of images without an up."""

    def operation(magnitude: float) -> Transform:
        scaled = {name: size * magnitude for name, size in sizes.items()}
        if turn:
            scaled["rotation"] = turn
        return deform(**scaled, mirror=mirror, entries=entries)

    return operation


PRESETS = Registry(
    "policies",
    {
        name: f"medjax.augment.policy:{name}"
        for name in ("mri", "ct", "radiograph", "ultrasound", "histology", "dermoscopy", "fundus")
    },
)
"""Operations for each modality: ``PRESETS["mri"](entries)``."""
