"""Networks of wavelet bands, after smoothing by weighted least squares."""

from __future__ import annotations

import itertools

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float
from medjax.image.resize import enlarged
from medjax.image.wavelets import decompose, reconstruct
from medjax.image.wls import weighted_least_squares
from medjax.layers.conv import Conv, Size, per_axis, require_image
from medjax.layers.initialise import FAINT
from medjax.layers.pad import cropped, padded


class WaveletSR(nn.Module):
    """Weighted least squares and a network for each wavelet band (Goyal et al. 2022).

    A weighted least squares optimisation strategy for medical image super resolution via
    multiscale convolutional neural networks for healthcare applications. As in the paper's
    abstract: weighted least squares coarsen the image progressively and so tell its scales;
    wavelets decompose it; each of several networks, one a band, approximates the wavelet
    coefficients of the fine image; the bands are put together again. This implementation's
    choice: the image is enlarged by cubic interpolation first; a band's network sees the image
    and its coarsened forms in that band, and adds to the image's own; one level of wavelets; a
    network is three convolutions as SRCNN's (Dong et al. 2016), with windows of 5, 3 and 3.
    2D with four bands and 3D with eight.

    Attributes:
        scale: factor of enlargement, one number or one an axis.
        features: channels of the hidden layers.
        strengths: of smoothing, see `medjax.image.wls.weighted_least_squares`.
        wavelet: see `medjax.image.wavelets.WAVELETS`.
        dtype: of the computation. Parameters, the last layers and the output are float32.
    """

    scale: Size = 2
    features: tuple[int, int] = (64, 32)
    strengths: tuple[float, ...] = (0.1, 1.0)
    wavelet: str = "haar"
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *larger channel"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image, 2D or 3D, by ``scale``.

        Raises:
            InputError: for another rank or dtype, or another wavelet.
        """
        require_image(x, type(self).__name__)
        ndim, channels = x.ndim - 2, x.shape[-1]
        large = enlarged(x, per_axis(self.scale, ndim, "scale"))
        image, before = padded(large, (2,) * ndim)
        scales = [image, *(weighted_least_squares(image, s) for s in self.strengths)]
        coefficients = jnp.moveaxis(jnp.concatenate(scales, -1), -1, 1)
        coefficients = jnp.moveaxis(decompose(coefficients, self.wavelet, 1, ndim), 1, -1)
        own = coefficients[..., :channels]
        for number, corner in enumerate(itertools.product((0, 1), repeat=ndim)):
            half = [n // 2 for n in image.shape[1:-1]]
            part = tuple(slice(c * n, (c + 1) * n) for c, n in zip(corner, half, strict=True))
            y = coefficients[:, *part]
            for layer, (width, window) in enumerate(zip(self.features, (5, 3), strict=True)):
                name = f"band{number}_conv{layer}"
                y = nn.relu(Conv(width, window, dtype=self.dtype, name=name)(y))
            head = Conv(channels, 3, kernel_init=FAINT, name=f"band{number}_head")
            own = own.at[:, *part].add(head(y))
        y = reconstruct(jnp.moveaxis(own, -1, 1), self.wavelet, 1, ndim)
        return cropped(jnp.moveaxis(y, 1, -1), before, large.shape[1:-1])
