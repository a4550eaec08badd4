"""Spectral normalisation: layers whose weights have a largest singular value of one."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .bias import with_bias
from .conv import Padding, Size, convolve, per_axis, require_image

COLLECTION = "spectral"
"""Where the power iteration's vectors live, beside the parameters."""


def largest_singular_value(
    matrix: Float[Array, "in out"], u: Float[Array, " out"], iterations: int = 1
) -> tuple[Float[Array, ""], Float[Array, " out"]]:
    """By power iteration from ``u`` (Miyato et al. 2018, arXiv:1802.05957, algorithm 1).

    Args:
        matrix: of weights.
        u: the last estimate of its singular vector on the side of the outputs.
        iterations: rounds, at least one.

    Returns:
        The value, whose gradient is that at fixed singular vectors (eq. 12), and the next ``u``.

    Raises:
        InputError: for fewer rounds than one.
    """
    if iterations < 1:
        raise InputError("iterations", "at least 1", iterations)
    fixed = jax.lax.stop_gradient(matrix)
    for _ in range(iterations):
        v = _unit(jnp.matmul(fixed, u, precision="highest"))
        u = _unit(jnp.matmul(v, fixed, precision="highest"))
    return jnp.vdot(v, jnp.matmul(matrix, u, precision="highest"), precision="highest"), u


class SpectralNorm(nn.Module):
    """A kernel divided by its largest singular value, which the collection "spectral" follows.

    The kernel is a matrix of its inputs (window and channels) by its outputs, as in the paper
    (section 3). One round of the power iteration a step is enough, since weights move slowly.

    Attributes:
        iterations: rounds of the power iteration a call.
    """

    iterations: int = 1

    @nn.compact
    def __call__(
        self, kernel: Float[Array, "*window in out"], train: bool = False
    ) -> Float[Array, "*window in out"]:
        """Normalise; with ``train`` the vector moves on, where the collection may change."""
        matrix = kernel.reshape(-1, kernel.shape[-1])

        def start() -> Array:
            return _unit(jax.random.normal(self.make_rng("params"), matrix.shape[1:]))

        u = self.variable(COLLECTION, "u", start)
        value, after = largest_singular_value(matrix, u.value, self.iterations)
        if train and self.is_mutable_collection(COLLECTION):
            u.value = after
        return kernel / value


class SpectralConv(nn.Module):
    """A convolution with spectral normalisation; 2D or 3D by its input.

    Attributes:
        features: output channels.
        kernel_size: window along each axis.
        strides: step along each axis.
        use_bias: whether to add a learned constant a channel.
        padding: see `medjax.layers.conv.Padding`.
        kernel_init: initialiser of the kernel.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    kernel_size: Size = 3
    strides: Size = 1
    use_bias: bool = True
    padding: Padding = "same"
    kernel_init: nn.initializers.Initializer = nn.initializers.he_normal()
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial features"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image."""
        require_image(x, type(self).__name__)
        window = per_axis(self.kernel_size, x.ndim - 2, "kernel_size")
        shape = (*window, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        kernel = SpectralNorm(name="norm")(kernel, train).astype(self.dtype)
        y = convolve(x.astype(self.dtype), kernel, self.strides, padding=self.padding)
        return with_bias(self, y)


class SpectralDense(nn.Module):
    """A dense layer with spectral normalisation, on the last axis.

    Attributes:
        features: output channels.
        use_bias: whether to add a learned constant a channel.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    use_bias: bool = True
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "*batch features"]:
        """Map ``(..., channel)``."""
        init = nn.initializers.lecun_normal()
        kernel = self.param("kernel", init, (x.shape[-1], self.features), jnp.float32)
        kernel = SpectralNorm(name="norm")(kernel, train).astype(self.dtype)
        y = jnp.matmul(x.astype(self.dtype), kernel)
        return with_bias(self, y)


def _unit(x: Array) -> Array:
    return x / jnp.maximum(jnp.linalg.norm(x), 1e-12)
