"""Super-resolution to any number of voxels: LIIF and NExpR."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.conv import Conv, Size, per_axis, require_image
from medjax.layers.implicit import FourierPatches, LocalImplicit
from medjax.layers.residual import ResidualGroup


def output_sizes(
    spatial: tuple[int, ...], scale: Size, size: tuple[int, ...] | None
) -> tuple[int, ...]:
    """``size`` where it is given, else ``scale`` times the image's.

    Raises:
        InputError: for other than a positive number an axis.
    """
    if size is None:
        factors = per_axis(scale, len(spatial), "scale")
        return tuple(n * s for n, s in zip(spatial, factors, strict=True))
    if len(size) != len(spatial) or min(size) < 1:
        raise InputError("size", f"{len(spatial)} positive numbers", size)
    return tuple(size)


class LIIF(nn.Module):
    """Local implicit image function of Chen et al. 2021 (arXiv:2012.09161).

    As in the paper: EDSR's baseline without its enlargement encodes the image, and a network of
    place decodes it, see `medjax.layers.implicit.LocalImplicit`. Trained on several sizes it
    serves any. What differs: 2D and 3D; all voxels are decoded, where the authors draw some of
    them in training.

    Attributes:
        scale: factor of enlargement where no size is asked for, one number or one an axis.
        features: channels of the encoder.
        blocks: its residual blocks.
        hidden: channels of the decoder's layers.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 2
    features: int = 64
    blocks: int = 16
    hidden: tuple[int, ...] = (256, 256, 256, 256)
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Array, size: tuple[int, ...] | None = None, train: bool = False
    ) -> Float[Array, "batch *size channel"]:
        """Map a floating ``(batch, *spatial, channel)`` image to another number of voxels.

        Args:
            x: image, 2D or 3D.
            size: spatial sizes of the output, of the same extent; by default ``scale`` times
                those of the image.
            train: there is nothing that it changes.

        Raises:
            InputError: for another rank or dtype, or sizes that are not positive.
        """
        require_image(x, type(self).__name__)
        sizes = output_sizes(x.shape[1:-1], self.scale, size)
        y = Conv(self.features, dtype=self.dtype, name="start")(x)
        y = ResidualGroup(self.features, self.blocks, dtype=self.dtype, name="body")(y)
        return LocalImplicit(x.shape[-1], self.hidden, self.dtype, name="decoder")(y, sizes)


class NExpR(nn.Module):
    """Neural explicit representation of Pang et al. 2025, for any scale.

    NExpR: neural explicit representation for fast arbitrary-scale medical image
    super-resolution, doi:10.1016/j.compbiomed.2024.109354. As in the authors' code: EDSR's
    baseline without its enlargement encodes the image, and each patch becomes an explicit
    function, a Fourier series with learned frequencies, that is evaluated wherever a voxel is
    wanted; see `medjax.layers.implicit.FourierPatches`, which says what differs.

    Attributes:
        scale: factor of enlargement where no size is asked for, one number or one an axis.
        features: channels of the encoder.
        blocks: its residual blocks.
        patch: voxels of the image in a patch, along each axis.
        degree: see `FourierPatches`, as for ``frequency`` and ``hidden``.
        dtype: of the computation. Parameters, the series and the output are float32.
    """

    scale: Size = 2
    features: int = 64
    blocks: int = 16
    patch: Size = 4
    degree: int = 8
    frequency: float = 2.0
    hidden: tuple[int, ...] = (256, 256, 256, 256)
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Array, size: tuple[int, ...] | None = None, train: bool = False
    ) -> Float[Array, "batch *size channel"]:
        """Map an image to another number of voxels; arguments and errors as for `LIIF`."""
        require_image(x, type(self).__name__)
        sizes = output_sizes(x.shape[1:-1], self.scale, size)
        y = Conv(self.features, dtype=self.dtype, name="start")(x)
        y = ResidualGroup(self.features, self.blocks, dtype=self.dtype, name="body")(y)
        decoder = FourierPatches(
            x.shape[-1],
            self.patch,
            self.degree,
            self.frequency,
            self.hidden,
            self.dtype,
            name="decoder",
        )
        return decoder(y, sizes)
