"""How libraries name the tensors of a densely connected network."""

from __future__ import annotations

import re
from functools import partial

import numpy as np

from medjax.models.classifiers.densenet import SIZES, DenseNet

from .catalogue import Entry
from .importer import Naming, Rule, Shapes
from .naming import batch_norm, convolution, dense


def _counted_from_zero(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    """The names with layers counted from 0; libraries count them from 1."""
    pattern = r"(?<=\.denselayer)\d+"
    return {
        re.sub(pattern, lambda match: str(int(match[0]) - 1), name): tensor
        for name, tensor in tensors.items()
    }


def _rules(inner: str, head: str) -> tuple[Rule, ...]:
    layer = rf"features\.denseblock(\d+)\.denselayer(\d+)\.{inner}"
    ours = r"block\1_layer\2"
    return (
        *convolution(r"features\.conv0", "stem/conv"),
        *batch_norm(r"features\.norm0", "stem/norm"),
        *batch_norm(rf"{layer}norm1", f"{ours}/norm1/norm"),
        *convolution(rf"{layer}conv1", f"{ours}/conv1/conv"),
        *batch_norm(rf"{layer}norm2", f"{ours}/conv1/norm"),
        *convolution(rf"{layer}conv2", f"{ours}/conv2"),
        *batch_norm(r"features\.transition(\d+)\.norm", r"transition\1_norm/norm"),
        *convolution(r"features\.transition(\d+)\.conv", r"transition\1_conv"),
        *batch_norm(r"features\.norm5", "last/norm"),
        *dense(re.escape(head), "head"),
    )


TORCHVISION = Naming(_rules("", "classifier"), _counted_from_zero, head="classifier")
"""torchvision's DenseNet, and timm's."""

MONAI = Naming(_rules(r"layers\.", "class_layers.out"), _counted_from_zero, head="class_layers.out")
"""MONAI's DenseNet, of volumes and images."""

ENTRIES: dict[str, Entry] = {
    **{
        f"densenet{size}": Entry(
            partial(DenseNet.named, size), (224, 224), 3, "stem/conv", {"torchvision": TORCHVISION}
        )
        for size in SIZES
    },
    **{
        f"monai_densenet{size}": Entry(
            partial(DenseNet.named, size), (96, 96, 96), 1, "stem/conv", {"monai": MONAI}
        )
        for size in ("121", "169", "201", "264")
    },
}
"""The architectures whose weights can be imported by name."""
