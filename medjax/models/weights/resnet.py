"""How libraries name the tensors of a residual network."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from medjax.models.classifiers.resnet import SIZES, ResNet

from .catalogue import Entry
from .folding import unbiased
from .importer import Naming, Shapes
from .naming import batch_norm, convolution, dense
from .transforms import conv_as_linear

_BLOCK = r"(?:module\.)?layer(\d+)\.(\d+)"
_BLOCKS = (
    *convolution(rf"{_BLOCK}\.conv(\d)", r"stage\1_block\2/conv\3/conv"),
    *batch_norm(rf"{_BLOCK}\.bn(\d)", r"stage\1_block\2/conv\3/norm"),
    *dense(rf"{_BLOCK}\.se\.fc1", r"stage\1_block\2/attention/reduce", conv_as_linear),
    *dense(rf"{_BLOCK}\.se\.fc2", r"stage\1_block\2/attention/expand", conv_as_linear),
    *dense("fc", "head"),
)
_PLAIN = (
    *convolution(r"(?:module\.)?conv1", "stem/conv"),
    *batch_norm(r"(?:module\.)?bn1", "stem/norm"),
    *convolution(rf"{_BLOCK}\.downsample\.0", r"stage\1_block\2/shortcut/conv"),
    *batch_norm(rf"{_BLOCK}\.downsample\.1", r"stage\1_block\2/shortcut/norm"),
    *_BLOCKS,
)

TORCHVISION = Naming(_PLAIN, head="fc")
"""torchvision's ResNet, and timm's, with squeeze-and-excitation where there is any."""


def _unbiased_shortcuts(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    pairs = [
        (name.removesuffix(".bias"), name.removesuffix("0.bias") + "1")
        for name in tensors
        if name.endswith(".downsample.0.bias")
    ]
    return unbiased(tensors, pairs)


MONAI = Naming(_PLAIN, _unbiased_shortcuts, head="fc")
"""MONAI's ResNet, and MedicalNet's weights for it, of volumes and images."""

TIMM_D = Naming(
    (
        *(
            rule
            for i, (conv, norm) in enumerate((("0", "1"), ("3", "4"), ("6", None)))
            for rule in (
                *convolution(rf"conv1\.{conv}", f"stem{i}/conv"),
                *(batch_norm(rf"conv1\.{norm}", f"stem{i}/norm") if norm else ()),
            )
        ),
        *batch_norm("bn1", "stem2/norm"),
        *convolution(rf"{_BLOCK}\.downsample\.1", r"stage\1_block\2/shortcut/conv"),
        *batch_norm(rf"{_BLOCK}\.downsample\.2", r"stage\1_block\2/shortcut/norm"),
        *_BLOCKS,
    ),
    head="fc",
)
"""timm's ResNet-D."""

_MONAI: dict[str, dict[str, Any]] = {
    "10": {"depths": (1, 1, 1, 1), "block": "basic"},
    **{size: SIZES[size] for size in ("18", "34", "50", "101", "152")},
    "200": {"depths": (3, 24, 36, 3)},
}

ENTRIES: dict[str, Entry] = {
    **{
        f"resnet{size}" if size.isdigit() else size.replace("wide", "wide_resnet"): Entry(
            partial(ResNet.named, size), (224, 224), 3, "stem/conv", {"torchvision": TORCHVISION}
        )
        for size in SIZES
    },
    **{
        f"resnet{size}d": Entry(
            partial(ResNet.named, size, variant_d=True),
            (224, 224),
            3,
            "stem0/conv",
            {"timm": TIMM_D},
        )
        for size in ("18", "34", "50", "101", "152")
    },
    **{
        f"seresnet{size}": Entry(
            partial(ResNet.named, size, attention="se"),
            (224, 224),
            3,
            "stem/conv",
            {"timm": TORCHVISION},
        )
        for size in ("18", "34", "50", "101", "152")
    },
    **{
        f"monai_resnet{size}": Entry(
            partial(ResNet, **fields, stem_strides=1),
            (96, 96, 96),
            1,
            "stem/conv",
            {"monai": MONAI},
        )
        for size, fields in _MONAI.items()
    },
    **{
        # Those of 18 and 34 layers have shortcuts without parameters.
        f"medicalnet_resnet{size}": Entry(
            partial(ResNet, **fields), (96, 96, 96), 1, "stem/conv", {"monai": MONAI}
        )
        for size, fields in _MONAI.items()
        if size not in ("18", "34")
    },
}
"""The architectures whose weights can be imported by name."""
