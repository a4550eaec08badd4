"""Normalisation by name."""

from __future__ import annotations

import math
from typing import Literal, get_args

import flax.linen as nn

from medjax.core.errors import InputError

from .layer_norm import LayerNorm
from .standardise import BatchNorm, GroupNorm

Norm = Literal["instance", "group", "layer", "batch", "weight_standardised", "none"]
"""instance: each sample and channel (Ulyanov et al. 2016, arXiv:1607.08022);
group: each sample and group of channels (Wu & He 2018, arXiv:1803.08494);
layer: each position over its channels (Ba et al. 2016, arXiv:1607.06450, as ConvNeXt has it);
batch: each channel over the batch (Ioffe & Szegedy 2015, arXiv:1502.03167);
weight_standardised: group, and the convolution before it has standardised kernels
(Qiao et al. 2019, arXiv:1903.10520)."""


def normalization(
    kind: Norm, channels: int, *, train: bool, epsilon: float = 1e-5, name: str | None = None
) -> nn.Module | None:
    """The module that normalises, with a learned scale and bias a channel.

    Args:
        kind: see `Norm`. For "weight_standardised" the caller makes the convolution before it
            with `medjax.layers.Conv`'s ``standardise``.
        channels: of the input. Group norm makes 8 groups, or the greatest common
            divisor of 8 and ``channels``.
        train: batch norm uses the batch's statistics, and updates its running
            ones at a rate of 0.1, where true; the running ones where false.
        epsilon: added to the variance.
        name: the module's name in the parameters.

    Returns:
        A module that maps float32 ``(batch, *spatial, channel)`` to the same, with
        float32 parameters; None for "none". Cast activations of lower precision
        before and after: XLA fuses the casts, and statistics stay float32.

    Raises:
        InputError: for another ``kind``.

    Under `jax.jit` a batch sharded over devices is one batch to batch norm: the partitioner
    sums over devices, the statistics are those of the global batch, and there is nothing to
    switch on, as there is where each device runs a program of its own.
    Instance norm needs more than one voxel: with one its output is its bias. Only batch norm
    mixes samples; the others serve small batches, and training with privacy.
    """
    match kind:
        case "instance":
            return GroupNorm(0, epsilon, name=name)
        case "group" | "weight_standardised":
            return GroupNorm(math.gcd(8, channels), epsilon, name=name)
        case "layer":
            return LayerNorm(epsilon, name=name)
        case "batch":
            return BatchNorm(train, epsilon, name=name)
        case "none":
            return None
    raise InputError("norm", f"one of {', '.join(get_args(Norm))}", repr(kind))
