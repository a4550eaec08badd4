"""A gate on a skip: places that the coarser level finds of no use are turned down."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float

from .conv import Conv


class AttentionGate(nn.Module):
    """Additive attention gate of Attention U-Net (Oktay et al. 2018, arXiv:1804.03999, eq. 1).

    ``x sigmoid(psi(relu(W x + V g)))`` with windows of 1. What differs: the signal ``g`` has the
    size of the skip already, where the paper reduces the skip and interpolates the gate.

    Attributes:
        hidden: channels within.
        dtype: of the computation and the output; parameters are float32.
    """

    hidden: int
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"], signal: Float[Array, "batch *spatial any"]
    ) -> Float[Array, "batch *spatial channel"]:
        """Weight the places of a skip by what it and the signal hold there."""
        own = Conv(self.hidden, 1, dtype=self.dtype, name="skip")(x)
        other = Conv(self.hidden, 1, use_bias=False, dtype=self.dtype, name="signal")(signal)
        gate = Conv(1, 1, dtype=self.dtype, name="gate")(nn.relu(own + other))
        return x * nn.sigmoid(gate).astype(x.dtype)
