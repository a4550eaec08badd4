"""Augmentation and simulation on the device: pure ``f(key, batch) -> batch``, batched, jitted.

A transform draws for each sample from the step's key and the sample's ``index``, so that
its results do not depend on batches or devices. What the entries of a batch are is said
once, in a mapping of names to `Image`, `Labels`, `Points`, `Boxes` and `Classes`:

    entries = {"image": Image(channels="last"), "label": Labels()}
    augmentation = chain(
        sometimes(0.5, deform(rotation=15, zoom=0.2, elastic=0.2, entries=entries)),
        sometimes(0.3, gamma(0.4, entries=entries)),
    )
    batch = jax.jit(augmentation)(key, batch)
"""

from .compose import Invertible, Transform, chain, inverse, keyed, on_kspace, one_of, sometimes
from .ct import tomography
from .entries import IMAGE, Boxes, Classes, Entries, Image, Labels, Points, on_images
from .erase import cutout
from .grid import center, flip, random_crop, reduce, rotate90
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
from .mix import cutmix, mixup
from .mri import retrospective
from .spatial import deform

__all__ = [
    "IMAGE",
    "Boxes",
    "Classes",
    "Entries",
    "Image",
    "Invertible",
    "Labels",
    "Points",
    "Transform",
    "bias_field",
    "blur",
    "brightness",
    "center",
    "chain",
    "contrast",
    "cutmix",
    "cutout",
    "deform",
    "flip",
    "gamma",
    "inverse",
    "keyed",
    "low_resolution",
    "mixup",
    "noise",
    "on_images",
    "on_kspace",
    "one_of",
    "random_crop",
    "reduce",
    "retrospective",
    "rotate90",
    "sharpen",
    "sometimes",
    "tomography",
]
