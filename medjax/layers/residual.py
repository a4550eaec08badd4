"""Residual blocks without norms, and groups of them: the body of restoration networks.

Branches end in convolutions that start small (Wang et al. 2018, arXiv:1809.00219, section 3.1):
without norms to hold them, activations would otherwise double their variance with each block.
"""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float

from .conv import Conv, Size
from .initialise import FAINT
from .map_attention import MapAttention, map_attention


class PlainResidual(nn.Module):
    """Convolution, activation, convolution; scaled and added to the input, without norms.

    The block of EDSR (Lim et al. 2017, arXiv:1707.02921, section 3.1 and figure 2): a norm
    would take the range of intensities away, and a factor below one keeps wide networks stable.
    With attention after the second convolution it is that of RCAN and its kin.

    Attributes:
        features: channels, those of the input.
        kernel_size: window of both convolutions.
        scaling: factor on the branch.
        attention: see `medjax.layers.map_attention.MapAttention`.
        activation: elementwise function.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    kernel_size: Size = 3
    scaling: float = 1.0
    attention: MapAttention = "none"
    activation: Callable[[Array], Array] = nn.relu
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial features"]:
        """Apply to a floating ``(batch, *spatial, features)`` image."""
        options = {"dtype": self.dtype}
        y = self.activation(Conv(self.features, self.kernel_size, name="conv0", **options)(x))
        y = Conv(self.features, self.kernel_size, kernel_init=FAINT, name="conv1", **options)(y)
        attention = map_attention(self.attention, self.features, self.dtype)
        if attention is not None:
            y = attention(y)
        return x.astype(self.dtype) + self.scaling * y


class ResidualGroup(nn.Module):
    """Residual blocks in a row, a convolution, and the input added: residual in residual.

    Zhang et al. 2018 (RCAN, arXiv:1807.02758, eq. 5 to 7). EDSR's body is one of them.

    Attributes:
        features: channels, those of the input.
        blocks: number of blocks.
        kernel_size: see `PlainResidual`, as for ``scaling``, ``attention`` and ``activation``.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    blocks: int
    kernel_size: Size = 3
    scaling: float = 1.0
    attention: MapAttention = "none"
    activation: Callable[[Array], Array] = nn.relu
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial features"]:
        """Apply to a floating ``(batch, *spatial, features)`` image."""
        y = x
        for number in range(self.blocks):
            y = PlainResidual(
                self.features,
                self.kernel_size,
                self.scaling,
                self.attention,
                self.activation,
                self.dtype,
                name=f"block{number}",
            )(y)
        options = {"kernel_init": FAINT, "dtype": self.dtype, "name": "conv"}
        return x.astype(self.dtype) + Conv(self.features, self.kernel_size, **options)(y)


class DenseResidual(nn.Module):
    """Convolutions that see all before them; scaled and added to the input.

    The residual dense block of Zhang et al. 2018 (arXiv:1802.08797) as ESRGAN has it (Wang et
    al. 2018, arXiv:1809.00219, figure 4): five convolutions of window 3, the last one fusing.

    Attributes:
        features: channels, those of the input.
        growth: channels that each convolution adds.
        layers: convolutions, the fusing one included.
        scaling: factor on the branch.
        dilations: of the convolutions but the fusing one, in turn.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    growth: int = 32
    layers: int = 5
    scaling: float = 0.2
    dilations: tuple[int, ...] = (1,)
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial features"]:
        """Apply to a floating ``(batch, *spatial, features)`` image."""
        seen = [x.astype(self.dtype)]
        for number in range(self.layers - 1):
            dilation = self.dilations[number % len(self.dilations)]
            conv = Conv(self.growth, dilation=dilation, dtype=self.dtype, name=f"conv{number}")
            seen.append(nn.leaky_relu(conv(jnp.concatenate(seen, -1)), 0.2))
        fuse = Conv(self.features, kernel_init=FAINT, dtype=self.dtype, name="fuse")
        return seen[0] + self.scaling * fuse(jnp.concatenate(seen, -1))


class RRDB(nn.Module):
    """Residual in residual dense block of ESRGAN: three `DenseResidual`, scaled and added.

    Wang et al. 2018 (arXiv:1809.00219, figure 4).

    Attributes:
        features: see `DenseResidual`, as for ``growth``, ``scaling`` and ``dtype``.
    """

    features: int
    growth: int = 32
    scaling: float = 0.2
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial features"]:
        """Apply to a floating ``(batch, *spatial, features)`` image."""
        y = x
        for number in range(3):
            y = DenseResidual(
                self.features,
                self.growth,
                scaling=self.scaling,
                dtype=self.dtype,
                name=f"dense{number}",
            )(y)
        return x.astype(self.dtype) + self.scaling * y
