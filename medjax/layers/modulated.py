"""Modulated convolution: a style scales the weights, a sample at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.arrays import at_least_single, per_sample
from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .conv import convolve, per_axis, require_image
from .equalised import EqualisedDense
from .fir import TAPS, filtered
from .on_cpu import computed_once
from .spread import spread
from .transposed import convolve_transposed


def modulated_convolve(
    x: Float[Array, "batch *spatial in"],
    kernel: Float[Array, "*window in out"],
    style: Float[Array, "samples channels"],
    *,
    demodulate: bool = True,
    up: bool = False,
    taps: Sequence[float] = TAPS,
) -> Float[Array, "batch *enlarged out"]:
    """Convolve each sample with its own weights ``style[in] kernel[window, in, out]``.

    Karras et al. 2020 (StyleGAN2, arXiv:1912.04958, eq. 1 and 3). The style scales the input's
    channels, and demodulation the output's, which is the same as scaling the weights and needs
    no weights a sample.

    Args:
        x: image with 2 or 3 spatial axes.
        kernel: of its dtype; an odd window.
        style: factors a sample and input channel.
        demodulate: divide each output channel by the norm of its weights, so that noise of
            variance 1 comes out so (with 1e-8 under the root).
        up: enlarge each axis twice: a transposed convolution, then the filter.
        taps: of the filter, see `medjax.layers.fir.filtered`.

    Returns:
        The outputs in the dtype of ``x``.

    Raises:
        InputError: for a style that does not fit the image.
    """
    if style.shape != (x.shape[0], x.shape[-1]):
        raise InputError("style", f"({x.shape[0]}, {x.shape[-1]})", style.shape)
    ndim, window = x.ndim - 2, kernel.shape[:-2]
    style = at_least_single(style)
    scaled = x * spread(style.astype(x.dtype), x.shape[1:-1])
    if up:
        y = convolve_transposed(scaled, kernel, 2)
        # Zeros in between made the image fainter; what they stood for is given back. The edges
        # are those of filtering first, less what the transposed convolution adds by itself.
        count, reach = len(taps), window[0]
        before = (count + 1) // 2 + reach // 2 - (reach - 1)
        after = (count - 2) // 2 + reach // 2 - (reach - 2)
        y = filtered(y, taps, padding=(before, after)) * 2**ndim
    else:
        y = convolve(scaled, kernel)
    if demodulate:
        squares = jnp.sum(at_least_single(kernel) ** 2, tuple(range(ndim)))
        norm = jax.lax.rsqrt(jnp.matmul(style**2, squares, precision="highest") + 1e-8)
        y = y * spread(norm.astype(y.dtype), y.shape[1:-1])
    return y


class ModulatedConv(nn.Module):
    """`modulated_convolve` with weights of an equalised learning rate and a style from a vector.

    The style is an affine function of the vector, with a bias that starts at 1 (StyleGAN2,
    section 2.1 and appendix B).

    Attributes:
        features: output channels.
        kernel_size: window along each axis, odd.
        up: enlarge each axis twice.
        demodulate: see `modulated_convolve`; not for the layer that makes an image.
        dtype: of the computation and the output; parameters and styles are float32.
    """

    features: int
    kernel_size: int = 3
    up: bool = False
    demodulate: bool = True
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Array, latent: Float[Array, "batch dim"]
    ) -> Float[Array, "batch *spatial features"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image; no bias, no activation.

        Raises:
            InputError: for another rank or dtype.
        """
        require_image(x, type(self).__name__)
        window = per_axis(self.kernel_size, x.ndim - 2, "kernel_size")
        shape = (*window, x.shape[-1], self.features)
        style = EqualisedDense(x.shape[-1], bias_init=1.0, name="affine")(latent)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape, jnp.float32)
        scale = 1 / math.sqrt(math.prod(shape[:-1]))
        if not self.demodulate:
            style = style * scale
        else:
            kernel = kernel * scale
        return modulated_convolve(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            style,
            demodulate=self.demodulate,
            up=self.up,
        )


def with_noise(
    x: Float[Array, "batch *spatial channel"], strength: Float[Array, ""], key: Array
) -> Float[Array, "batch *spatial channel"]:
    """Add normal noise of one value a voxel, alike in all channels (StyleGAN2, section 2.1)."""
    noise = computed_once(jax.random.normal(key, (*x.shape[:-1], 1), x.dtype))
    return x + noise * per_sample(strength.astype(x.dtype)[None], x.ndim)
