"""How libraries name the tensors of AlexNet, VGG and GoogLeNet."""

from __future__ import annotations

import re
from functools import partial

import numpy as np

from medjax.models.classifiers.alexnet import AlexNet
from medjax.models.classifiers.googlenet import GoogLeNet
from medjax.models.classifiers.vgg import SIZES, VGG

from .catalogue import Entry
from .folding import unbiased
from .importer import Naming, Shapes
from .naming import batch_norm, convolution, dense
from .transforms import conv, conv_as_linear, linear


def over_grid(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A linear layer of flattened channels-first features to ``(*grid, in, out)``."""
    *grid, inputs, features = shape
    if array.size != features * inputs * int(np.prod(grid)) or array.ndim != 2:
        return linear(array, shape)
    return conv(array.reshape(features, inputs, *grid), shape)


def _numbered_vgg(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    """``features.7.weight`` as ``conv2.weight`` or ``norm2.weight``, and no biases before norms."""
    layers = sorted({int(n.split(".")[1]) for n in tensors if n.startswith("features.")})
    names, count = {}, 0
    for layer in layers:
        if f"features.{layer}.running_mean" in tensors:
            names[str(layer)] = f"norm{count - 1}"
        else:
            names[str(layer)], count = f"conv{count}", count + 1
    renamed = {
        re.sub(r"^features\.(\d+)", lambda match: names[match[1]], name): tensor
        for name, tensor in tensors.items()
    }
    return unbiased(renamed, [(f"conv{i}", f"norm{i}") for i in range(count)])


_VGG = (
    *convolution(r"conv(\d+)", r"conv\1/conv"),
    *batch_norm(r"norm(\d+)", r"conv\1/norm"),
)

VGG_TORCHVISION = Naming(
    (
        *_VGG,
        *dense(r"classifier\.0", "dense/dense0", over_grid),
        *dense(r"classifier\.3", "dense/dense1"),
        *dense(r"classifier\.6", "head"),
    ),
    _numbered_vgg,
    head="classifier.6",
)
"""torchvision's VGG, with and without batch norm."""

VGG_TIMM = Naming(
    (
        *_VGG,
        *dense(r"pre_logits\.fc1", "dense/dense0", conv),
        *dense(r"pre_logits\.fc2", "dense/dense1", conv_as_linear),
        *dense(r"head\.fc", "head"),
    ),
    _numbered_vgg,
    head="head.fc",
)
"""timm's VGG, likewise."""

ALEXNET = Naming(
    (
        *(
            rule
            for i, layer in enumerate((0, 3, 6, 8, 10))
            for rule in convolution(rf"features\.{layer}", f"conv{i}/conv")
        ),
        *dense(r"classifier\.1", "dense/dense0", over_grid),
        *dense(r"classifier\.4", "dense/dense1"),
        *dense(r"classifier\.6", "head"),
    ),
    head="classifier.6",
)
"""torchvision's AlexNet."""

_STAGES = {"3": "stage1", "4": "stage2", "5": "stage3"}
_BRANCHES = {
    "branch1": "one",
    r"branch2\.0": "three_reduced",
    r"branch2\.1": "three",
    r"branch3\.0": "five_reduced",
    r"branch3\.1": "five",
    r"branch4\.1": "pooled",
}


def _counted_inception(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    """``inception4b`` as ``stage2.1``."""

    def counted(match: re.Match) -> str:
        return f"{_STAGES[match[1]]}.{ord(match[2]) - ord('a')}."

    pattern = r"^inception([345])([a-e])\."
    return {re.sub(pattern, counted, name): tensor for name, tensor in tensors.items()}


GOOGLENET = Naming(
    (
        *(
            rule
            for i in range(3)
            for rule in (
                *convolution(rf"conv{i + 1}\.conv", f"stem{i}/conv"),
                *batch_norm(rf"conv{i + 1}\.bn", f"stem{i}/norm"),
            )
        ),
        *(
            rule
            for theirs, ours in _BRANCHES.items()
            for rule in (
                *convolution(rf"stage(\d)\.(\d)\.{theirs}\.conv", rf"stage\1_block\2/{ours}/conv"),
                *batch_norm(rf"stage(\d)\.(\d)\.{theirs}\.bn", rf"stage\1_block\2/{ours}/norm"),
            )
        ),
        *convolution(r"aux([12])\.conv\.conv", r"auxiliary\1/conv/conv"),
        *batch_norm(r"aux([12])\.conv\.bn", r"auxiliary\1/conv/norm"),
        *dense(r"aux([12])\.fc1", r"auxiliary\1/dense", over_grid),
        *dense(r"aux([12])\.fc2", r"auxiliary\1/head"),
        *dense("fc", "head"),
    ),
    _counted_inception,
    head="fc",
)
"""torchvision's GoogLeNet, with or without auxiliary heads."""

ENTRIES: dict[str, Entry] = {
    "alexnet": Entry(AlexNet, (224, 224), 3, "conv0/conv", {"torchvision": ALEXNET}),
    "googlenet": Entry(
        partial(GoogLeNet, large_kernel=3), (224, 224), 3, "stem0/conv", {"torchvision": GOOGLENET}
    ),
    **{
        f"vgg{size}{suffix}": Entry(
            partial(VGG.named, size, norm=norm),
            (224, 224),
            3,
            "conv0/conv",
            {"torchvision": VGG_TORCHVISION, "timm": VGG_TIMM},
        )
        for size in SIZES
        for suffix, norm in (("", "none"), ("_bn", "batch"))
    },
}
"""The architectures whose weights can be imported by name."""
