"""Operations of matrix products and convolutions."""

from __future__ import annotations

import math
import re

import numpy as np

from .hlo import Computation, Instruction


def products(computation: Computation, instruction: Instruction) -> int:
    """Operations of a ``dot`` or a ``convolution``, which is also what TPUs make of a dot."""
    out = instruction.buffers[0].shape
    left, right = (computation[name].buffers[0].shape for name in instruction.operands[:2])
    if instruction.opcode == "dot":
        contracted = instruction.attribute(r"lhs_contracting_dims=\{([\d,]*)\}") or ""
        return 2 * math.prod(out) * math.prod(left[int(i)] for i in contracted.split(",") if i)
    labels = instruction.attribute(r"dim_labels=(\w+_\w+->\w+)") or "bf_io->bf"
    left_labels, right_labels, out_labels = re.split("_|->", labels)
    groups = int(instruction.attribute(r"feature_group_count=(\d+)") or 1)
    groups *= int(instruction.attribute(r"batch_group_count=(\d+)") or 1)
    window = _window(instruction.attribute(r"window=\{([^}]*)\}") or "")
    total = left[left_labels.index("b")] * left[left_labels.index("f")]
    total *= right[right_labels.index("o")]
    for i in range(len(out_labels) - 2):
        sizes = (left, left_labels), (right, right_labels), (out, out_labels)
        total *= _positions(*(shape[text.index(str(i))] for shape, text in sizes), window, i)
    return 2 * total // groups


def _window(text: str) -> dict[str, list[list[int]]]:
    """``size=4x3 pad=0_0x2_2`` as numbers a dimension."""
    found = re.findall(r"(\w+)=([\dx_\-]+)", text)
    return {k: [[int(n) for n in part.split("_")] for part in v.split("x")] for k, v in found}


def _positions(length: int, kernel: int, out: int, window: dict[str, list], i: int) -> int:
    """Pairs of an output's and a kernel's place that meet an element of the input.

    The rest of a window meets padding, or the zeros of a dilated input.
    """

    def of(name: str, default: int) -> int:
        return window[name][i][0] if name in window else default

    stride, spread, dilation = of("stride", 1), of("lhs_dilate", 1), of("rhs_dilate", 1)
    at = np.arange(out)[:, None] * stride + np.arange(kernel)[None] * dilation - of("pad", 0)
    return int(np.sum((at >= 0) & (at <= (length - 1) * spread) & (at % spread == 0)))
