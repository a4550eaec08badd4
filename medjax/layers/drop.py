"""Stochastic depth and layer scale: what is done to a block's branch before it is added."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.arrays import per_sample, with_rank
from medjax.core.types import Array, Float


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016, arXiv:1603.09382): a branch is left out by chance.

    Each sample drops it alone, and what stays is divided by the chance of staying, so that
    nothing changes at the time of use.
    """

    @nn.compact
    def __call__(
        self, x: Array, rate: float | Float[Array, ""], train: bool = False
    ) -> Float[Array, "batch *rest"]:
        """Apply to a ``(batch, ...)`` branch; needs rng "dropout" where it acts.

        Args:
            x: the branch.
            rate: chance of leaving it out, below 1; a traced one may differ by layer of a scan.
            train: whether it acts.
        """
        if not train or (isinstance(rate, float | int) and rate == 0):
            return x
        keep = 1 - jnp.asarray(rate, jnp.float32)
        kept = jax.random.bernoulli(self.make_rng("dropout"), keep, x.shape[:1])
        return x * per_sample((kept.astype(keep.dtype) / keep).astype(x.dtype), x.ndim)


class LayerScale(nn.Module):
    """A learned factor a channel that starts small (Touvron et al. 2021, arXiv:2103.17239).

    Attributes:
        initial: its first value.
    """

    initial: float

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "*batch channel"]:
        """Scale ``(..., channel)``."""
        init = nn.initializers.constant(self.initial)
        scale = self.param("scale", init, x.shape[-1:], jnp.float32)
        return x * with_rank(scale.astype(x.dtype), x.ndim)
