"""Layers on the selective scan: the Mamba block of sequences, and scans across an image."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.arrays import with_rank
from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .conv import Conv, require_image
from .dense import Dense
from .layer_norm import LayerNorm
from .selective_scan import selective_scan


class SelectiveSSM(nn.Module):
    """The selective scan with its input, output and step made from the tokens.

    Mamba (Gu & Dao 2023, arXiv:2312.00752, algorithm 2 and section 3.6): a product makes B, C
    and a step of low rank from each token, a second spreads the step over the channels. As
    there ``A`` starts at the negative whole numbers (S4D-real), ``D`` at one, and steps start
    between 1e-3 and 0.1. Several scans side by side have parameters of their own, along a
    first axis.

    Attributes:
        state: numbers in each channel's state.
        rank: of the step; 0 for a sixteenth of the channels, rounded up.
        chunk: see `selective_scan`.
        dtype: of the products; parameters and the scan are float32.
    """

    state: int = 16
    rank: int = 0
    chunk: int = 64
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "scan batch token channel"]
    ) -> Float[Array, "scan batch token channel"]:
        """Scan each of the sequences of the first axis, from their first tokens to the last."""
        scans, channels = x.shape[0], x.shape[-1]
        rank = self.rank or -(-channels // 16)
        fan_in = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform", batch_axis=0)
        widths = (rank, self.state, self.state)
        selection = self.param("selection", fan_in, (scans, channels, sum(widths)), jnp.float32)
        spread = self.param("step_kernel", fan_in, (scans, rank, channels), jnp.float32)
        bias = self.param("step_bias", _steps, (scans, channels), jnp.float32)
        decay = self.param("log_decay", _whole_numbers, (scans, channels, self.state), jnp.float32)
        skip = self.param("skip", nn.initializers.ones, (scans, channels), jnp.float32)

        chosen = jnp.einsum("sbtc,scd->sbtd", x.astype(self.dtype), selection.astype(self.dtype))
        step, write, read = jnp.split(chosen, np.cumsum(widths)[:-1].tolist(), axis=-1)
        step = jnp.einsum("sbtr,src->sbtc", step, spread.astype(self.dtype)).astype(jnp.float32)
        step = nn.softplus(step + bias[:, None, None])

        def scan(*arguments: Array) -> Array:
            return selective_scan(*arguments, chunk=self.chunk)

        return jax.vmap(scan)(x, step, -jnp.exp(decay), write, read, skip)


class Mamba(nn.Module):
    """The Mamba block: a causal convolution and a selective scan, gated.

    Gu & Dao 2023 (arXiv:2312.00752, figure 3), without the norm before and the shortcut
    around it, which are the caller's.

    Attributes:
        expand: channels within the block over channels.
        state: see `SelectiveSSM`, as for ``rank``, ``chunk`` and ``dtype``. A rank of 0 is a
            sixteenth of the block's own channels, as in the paper.
        window: tokens that the convolution sees.
    """

    expand: int = 2
    state: int = 16
    rank: int = 0
    window: int = 4
    chunk: int = 64
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token channel"]
    ) -> Float[Array, "batch token channel"]:
        """Apply to a sequence; a token sees those before it."""
        channels, hidden = x.shape[-1], self.expand * x.shape[-1]
        options = {"use_bias": False, "dtype": self.dtype}
        y, gate = jnp.split(Dense(2 * hidden, **options, name="in")(x), 2, axis=-1)
        uniform = nn.initializers.variance_scaling(
            1 / 3, "fan_in", "uniform", in_axis=0, out_axis=1
        )
        kernel = self.param("kernel", uniform, (self.window, hidden), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (hidden,), jnp.float32)
        kernel, bias = kernel.astype(self.dtype), bias.astype(self.dtype)
        before = jnp.pad(y, [(0, 0), (self.window - 1, 0), (0, 0)])
        shifted = (
            before[:, i : i + y.shape[1]] * kernel[i][None, None] for i in range(self.window)
        )
        y = nn.silu(sum(shifted) + with_rank(bias, 3))
        rank = self.rank or -(-channels // 16)
        ssm = SelectiveSSM(self.state, rank, self.chunk, self.dtype, name="ssm")
        y = ssm(y[None])[0].astype(self.dtype) * nn.silu(gate)
        return Dense(channels, **options, name="out")(y)


class ImageScan(nn.Module):
    """Selective scans across an image along every axis, both ways: SS2D, and its form in 3D.

    VMamba (Liu et al. 2024, arXiv:2401.10166, section 4.3 and figure 3): a depthwise
    convolution, then scans of the image's tokens row by row, column by column and both
    backwards, each with parameters of its own, whose sum is normed and gated. A volume has six
    scans: its axes in each of their three cyclic orders.

    Attributes:
        expand: channels within the layer over channels.
        state: see `SelectiveSSM`, as for ``rank``, ``chunk`` and ``dtype``.
        kernel_size: of the depthwise convolution.
    """

    expand: int = 2
    state: int = 16
    rank: int = 0
    kernel_size: int = 3
    chunk: int = 64
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"]
    ) -> Float[Array, "batch *spatial channel"]:
        """Apply to a floating image, 2D or 3D.

        Raises:
            InputError: for another rank or dtype, or an even ``kernel_size``.
        """
        require_image(x, type(self).__name__)
        if self.kernel_size % 2 == 0:
            raise InputError("kernel_size", "an odd number", self.kernel_size)
        channels, hidden = x.shape[-1], self.expand * x.shape[-1]
        options = {"use_bias": False, "dtype": self.dtype}
        y, gate = jnp.split(Dense(2 * hidden, **options, name="in")(x), 2, axis=-1)
        y = Conv(hidden, self.kernel_size, groups=0, dtype=self.dtype, name="conv")(y)
        y = crossed(nn.silu(y))
        rank = self.rank or -(-channels // 16)
        y = SelectiveSSM(self.state, rank, self.chunk, self.dtype, name="ssm")(y)
        y = merged(y, x.shape[1:-1])
        y = LayerNorm(dtype=self.dtype, name="norm")(y) * nn.silu(gate)
        return Dense(channels, **options, name="out")(y)


def crossed(x: Float[Array, "batch *spatial channel"]) -> Float[Array, "scan batch token channel"]:
    """The sequences of an image: its axes in each cyclic order, forwards, then all backwards.

    The last spatial axis runs fastest in the first.
    """
    axes = x.ndim - 2
    orders = [_cyclic(axes, turn) for turn in range(axes)]
    forwards = [x.transpose(0, *order, x.ndim - 1) for order in orders]
    forwards = jnp.stack([y.reshape(x.shape[0], -1, x.shape[-1]) for y in forwards])
    return jnp.concatenate([forwards, jnp.flip(forwards, 2)])


def merged(
    y: Float[Array, "scan batch token channel"], spatial: tuple[int, ...]
) -> Float[Array, "batch *spatial channel"]:
    """The sum of what `crossed` made of an image with these sizes, each token at its place."""
    axes = len(spatial)
    both = y[:axes] + jnp.flip(y[axes:], 2)
    total = None
    for turn in range(axes):
        order = _cyclic(axes, turn)
        sizes = [spatial[i - 1] for i in order]
        back = [0, *(1 + int(i) for i in np.argsort(order)), axes + 1]
        image = both[turn].reshape(y.shape[1], *sizes, y.shape[-1]).transpose(back)
        total = image if total is None else total + image
    return total


def _cyclic(axes: int, turn: int) -> tuple[int, ...]:
    return tuple(1 + (i - turn) % axes for i in range(axes))


def _whole_numbers(key: Array, shape: tuple[int, ...], dtype: type) -> Array:
    return jnp.broadcast_to(
        with_rank(jnp.log(jnp.arange(1.0, shape[-1] + 1, dtype=dtype)), 3), shape
    )


def _steps(key: Array, shape: tuple[int, ...], dtype: type) -> Array:
    """Biases whose softplus is log-uniform between 1e-3 and 0.1."""
    low, high = math.log(1e-3), math.log(0.1)
    step = jnp.exp(jax.random.uniform(key, shape, dtype, low, high))
    return step + jnp.log(-jnp.expm1(-step))
