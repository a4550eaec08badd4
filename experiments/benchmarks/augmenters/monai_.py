"""MONAI: dictionary transforms on tensors, one resampling for affine and elastic."""

import math

import monai
import torch
from monai import transforms as t

from .loading import THREADS, WORKERS, runner

VERSION = f"monai {monai.__version__} (torch {torch.__version__})"
WAYS = [THREADS, WORKERS, "coarse field, threads", "coarse field, workers"]
KEYS, MODE = ("image", "label"), ("bilinear", "nearest")


def spatial(n, shape, coarse):
    affine = {
        "keys": KEYS,
        "prob": 1.0,
        "rotate_range": [math.radians(15)] * (1 if n == 2 else 3),
        "scale_range": [0.1] * n,
        "translate_range": [5] * n,
        "padding_mode": "zeros",
        "mode": MODE,
    }
    if coarse:
        # Displacements on a coarse grid, as medjax has them: two resamplings in MONAI.
        largest = 0.3 / 6 * 2  # parts of the extent, which is 2
        deform = t.RandSmoothDeformd(
            KEYS, shape, [9] * n, prob=1.0, field_mode="trilinear" if n == 3 else "bilinear",
            def_range=largest, grid_mode=MODE, grid_padding_mode="zeros",
        )  # fmt: skip
        steps = [t.RandAffined(**affine), deform]
    elif n == 3:
        steps = [t.Rand3DElasticd(sigma_range=(5, 7), magnitude_range=(50, 150), **affine)]
    else:
        spacing = [size / 6 for size in shape]
        steps = [t.Rand2DElasticd(spacing=spacing, magnitude_range=(5, 12), **affine)]
    return [*steps, *(t.RandFlipd(KEYS, prob=0.5, spatial_axis=a) for a in range(n))]


def intensity(n):
    return [
        t.RandAdjustContrastd("image", prob=1.0, gamma=(0.67, 1.5)),
        t.RandShiftIntensityd("image", offsets=0.1, prob=1.0),
        t.RandScaleIntensityd("image", factors=0.2, prob=1.0),
        t.RandScaleIntensityFixedMeand("image", factors=0.25, preserve_range=True, prob=1.0),
        t.RandGaussianNoised("image", std=0.1, prob=1.0),
        t.RandGaussianSmoothd("image", (0.5, 1.0), (0.5, 1.0), (0.5, 1.0), prob=1.0),
        t.RandBiasFieldd("image", degree=3, coeff_range=(-0.3, 0.3), prob=1.0),
    ]


def prepare(kind, work, way, data):
    arrays = {k: torch.as_tensor(v)[:, None] for k, v in data(kind).items()}
    n, shape = arrays["image"].ndim - 2, arrays["image"].shape[2:]
    coarse, way = way.startswith("coarse"), way.removeprefix("coarse field, ")
    if coarse and work == "intensity":
        return None
    steps = (spatial(n, shape, coarse) if work != "intensity" else []) + (
        intensity(n) if work != "spatial" else []
    )
    samples = [{k: v[i] for k, v in arrays.items()} for i in range(len(arrays["image"]))]
    return runner(
        samples,
        t.Compose(steps),
        way,
        lambda s: {k: torch.as_tensor(s[k]).as_subclass(torch.Tensor) for k in KEYS},
    )
