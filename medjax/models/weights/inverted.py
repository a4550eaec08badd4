"""How libraries name the tensors of MobileNets and EfficientNets.

They number blocks by stage or through the network, and the layers of a block by what the
block has. So the names are first made alike: ``blocks.3.depthwise.conv.weight``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from medjax.models.backbone import Backbone
from medjax.models.classifiers.efficientnet import SIZES, EfficientNet
from medjax.models.classifiers.mobilenet import MobileNet

from .catalogue import Entry
from .importer import Naming, Shapes
from .naming import batch_norm, convolution, dense
from .transforms import conv_as_linear

_BLOCKS = (
    *convolution(
        r"blocks\.(\d+)\.(expand|depthwise|project)\.conv",
        r"block\1/\2/conv",
    ),
    *batch_norm(r"blocks\.(\d+)\.(expand|depthwise|project)\.norm", r"block\1/\2/norm"),
    *dense(r"blocks\.(\d+)\.attention\.(reduce|expand)", r"block\1/attention/\2", conv_as_linear),
)


def _in_torchvision(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    pattern = re.compile(r"features\.(\d+)\.(?:(\d+)\.)?(?:block|conv)\.(\d+)\.(.+)")
    found = {name: match for name in tensors if (match := pattern.fullmatch(name))}
    key = {name: (int(m[1]), int(m[2] or 0)) for name, m in found.items()}
    number = {k: n for n, k in enumerate(sorted(set(key.values())))}
    # Of a block's convolutions only the depthwise one has a window.
    depthwise = {
        key[name]: int(m[3])
        for name, m in found.items()
        if max(tensors[name].shape[2:], default=1) > 1
    }
    parts = {"0": "conv", "1": "norm", "fc1": "reduce", "fc2": "expand"}

    def alike(name: str) -> str:
        if name not in found:
            return name
        after = int(found[name][3]) - depthwise[key[name]]
        first, _, rest = found[name][4].partition(".")
        if not rest:
            # MobileNetV2's last convolution and its norm stand in the block itself.
            role, part, rest = "project", "conv" if after == 1 else "norm", first
        else:
            role = "expand" if after < 0 else "depthwise" if after == 0 else "project"
            role, part = "attention" if first.startswith("fc") else role, parts[first]
        return f"blocks.{number[key[name]]}.{role}.{part}.{rest}"

    return {alike(name): tensor for name, tensor in tensors.items()}


_TIMM_EXPANDING = {
    "conv_pw": "expand.conv",
    "bn1": "expand.norm",
    "conv_dw": "depthwise.conv",
    "bn2": "depthwise.norm",
    "conv_pwl": "project.conv",
    "bn3": "project.norm",
}
_TIMM_PLAIN = {
    "conv_dw": "depthwise.conv",
    "bn1": "depthwise.norm",
    "conv_pw": "project.conv",
    "bn2": "project.norm",
}
_TIMM_ATTENTION = {"se.conv_reduce": "attention.reduce", "se.conv_expand": "attention.expand"}


def _in_timm(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    pattern = re.compile(r"blocks\.(\d+)\.(\d+)\.(.+)\.(\w+)")
    found = {name: match for name in tensors if (match := pattern.fullmatch(name))}
    layers = {(int(m[1]), int(m[2]), m[3]) for m in found.values()}
    blocks = sorted(layer[:2] for layer in layers if layer[2] == "conv_dw")

    def alike(name: str) -> str:
        if name not in found:
            return name
        stage, place, layer, leaf = found[name].groups()
        block = (int(stage), int(place))
        expands = (*block, "conv_pwl") in layers
        table = (_TIMM_EXPANDING if expands else _TIMM_PLAIN) | _TIMM_ATTENTION
        if block not in blocks or layer not in table:
            return name
        return f"blocks.{blocks.index(block)}.{table[layer]}.{leaf}"

    return {alike(name): tensor for name, tensor in tensors.items()}


_TORCHVISION = (
    *convolution(r"features\.0\.0", "stem/conv"),
    *batch_norm(r"features\.0\.1", "stem/norm"),
    *convolution(r"features\.\d+\.0", "last/conv"),
    *batch_norm(r"features\.\d+\.1", "last/norm"),
    *_BLOCKS,
)
_TIMM = (
    *convolution("conv_stem", "stem/conv"),
    *batch_norm("bn1", "stem/norm"),
    *_BLOCKS,
    *dense("classifier", "head"),
)

TORCHVISION = Naming(
    (*_TORCHVISION, *dense(r"classifier\.1", "head")), _in_torchvision, head="classifier.1"
)
"""torchvision's EfficientNet and MobileNetV2."""

TORCHVISION_V3 = Naming(
    (*_TORCHVISION, *dense(r"classifier\.0", "hidden"), *dense(r"classifier\.3", "head")),
    _in_torchvision,
    head="classifier.3",
)
"""torchvision's MobileNetV3."""

TIMM = Naming(
    (*_TIMM, *convolution("conv_head", "last/conv"), *batch_norm("bn2", "last/norm")),
    _in_timm,
    head="classifier",
)
"""timm's EfficientNet and MobileNetV2."""

TIMM_V3 = Naming(
    (
        *_TIMM,
        *convolution(r"blocks\.\d+\.0\.conv", "last/conv"),
        *batch_norm(r"blocks\.\d+\.0\.bn1", "last/norm"),
        *dense("conv_head", "hidden", conv_as_linear),
    ),
    _in_timm,
    head="classifier",
)
"""timm's MobileNetV3."""


def _entry(backbone: Callable[..., Backbone], size: int, namings: Mapping[str, Naming]) -> Entry:
    return Entry(backbone, (size, size), 3, "stem/conv", namings)


_BOTH = {"torchvision": TORCHVISION, "timm": TIMM}
# The norms of timm's have another epsilon than torchvision's.
_TIMM_EPSILON = {"epsilon": 1e-5}

ENTRIES: dict[str, Entry] = {
    "mobilenet_v2": _entry(partial(MobileNet.named, "v2"), 224, _BOTH),
    **{
        f"mobilenet_{size}": _entry(
            partial(MobileNet.named, size), 224, {"torchvision": TORCHVISION_V3}
        )
        for size in ("v3_small", "v3_large")
    },
    **{
        f"timm_mobilenet_{size}": _entry(
            partial(MobileNet.named, size, **_TIMM_EPSILON), 224, {"timm": TIMM_V3}
        )
        for size in ("v3_small", "v3_large")
    },
    **{
        f"efficientnet_{size}": _entry(
            partial(EfficientNet.named, size),
            image,
            _BOTH if EfficientNet.named(size).epsilon == 1e-5 else {"torchvision": TORCHVISION},
        )
        for size, (_, _, image, _) in SIZES.items()
    },
    **{
        f"timm_efficientnet_{size}": _entry(
            partial(EfficientNet.named, size, **_TIMM_EPSILON), SIZES[size][2], {"timm": TIMM}
        )
        for size in ("b5", "b6", "b7")
    },
}
"""The architectures whose weights can be imported by name."""
