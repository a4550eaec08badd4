"""Channels of an image to mean 0 and variance 1: what group, instance and batch norm share."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .spread import spread, total


def moments(
    x: Float[Array, "... channel"], lead: int, groups: int
) -> tuple[Float[Array, "*lead channel"], Float[Array, "*lead channel"]]:
    """Mean and variance of each group of channels, at each of its channels.

    Over all axes but the first ``lead``. The variance is of what is left after the mean is taken
    away: ``E[x^2] - E[x]^2`` cancels where the mean is large, as in raw CT numbers.
    """
    count = math.prod(x.shape[lead:-1])

    def shared(sums: Array) -> Array:
        if groups == sums.shape[-1]:
            return sums / count
        # A product, as XLA on CPU would look a channel's group up at each place of the image.
        group = jnp.arange(sums.shape[-1]) * groups // sums.shape[-1]
        same = (group[:, None] == group[None]).astype(sums.dtype) * (
            groups / sums.shape[-1] / count
        )
        return jnp.matmul(sums, same, precision=jax.lax.Precision.HIGHEST)

    @jax.custom_jvp
    def both(x: Array) -> tuple[Array, Array]:
        mean = shared(total(x, lead))
        return mean, shared(total(jnp.square(x - spread(mean, x.shape[lead:-1])), lead))

    @both.defjvp
    def derivative(primals: tuple, tangents: tuple) -> tuple:
        (x,), (dx,) = primals, tangents
        mean, variance = both(x)
        # The variance does not change with the mean that it is taken around.
        rest = x - spread(mean, x.shape[lead:-1])
        # Before the mean's, so that going back an image is what is added last: what ends in the
        # sum with a constant a channel XLA on CPU would compute anew for each of its uses.
        dvariance = 2 * shared(total(rest * dx, lead))
        return (mean, variance), (shared(total(dx, lead)), dvariance)

    return both(x)


@jax.custom_jvp
def scaled(
    x: Float[Array, "... channel"],
    mean: Float[Array, "*lead channel"],
    scale: Float[Array, "*lead channel"],
    shift: Float[Array, "*lead channel"],
) -> Float[Array, "... channel"]:
    """``(x - mean) scale + shift``, each a number a channel."""
    over = x.shape[mean.ndim - 1 : -1]
    return (x - spread(mean, over)) * spread(scale, over) + spread(shift, over)


@scaled.defjvp
def _derivative(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (x, mean, scale, _), (dx, dmean, dscale, dshift) = primals, tangents
    over = x.shape[mean.ndim - 1 : -1]
    rest = x - spread(mean, over)
    # One sum for the mean and the shift, where each on its own would read the image again.
    change = spread(dshift - scale * dmean, over)
    return scaled(*primals), spread(scale, over) * dx + rest * spread(dscale, over) + change


class GroupNorm(nn.Module):
    """Each sample and group of channels to mean 0 and variance 1 (arXiv:1803.08494).

    Parameters are those of ``nn.GroupNorm``; with as many groups as channels it is instance norm.

    Attributes:
        groups: how many; 0 for one a channel.
        epsilon: added to the variance.
    """

    groups: int = 8
    epsilon: float = 1e-5

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch *spatial channel"],
        scale: Float[Array, "batch channel"] | None = None,
        shift: Float[Array, "batch channel"] | None = None,
    ) -> Float[Array, "batch *spatial channel"]:
        """Apply to a float32 image.

        Args:
            x: the image.
            scale: what the normalised image is scaled by, less 1.
            shift: what is added after that.

        Raises:
            InputError: where the groups do not divide the channels.
        """
        channels = x.shape[-1]
        groups = self.groups or channels
        if channels % groups:
            raise InputError("groups", f"a divisor of {channels} channels", groups)
        own, bias = _learned(self, channels)
        mean, variance = moments(x, 1, groups)
        gain = jax.lax.rsqrt(variance + self.epsilon) * own[None]
        bias = jnp.broadcast_to(bias, gain.shape)
        if scale is not None:
            gain, bias = gain * (1 + scale), bias * (1 + scale)
        if shift is not None:
            bias = bias + shift
        return scaled(x, mean, gain, bias)


class BatchNorm(nn.Module):
    """Each channel to mean 0 and variance 1 over the batch (arXiv:1502.03167).

    Parameters and statistics are those of ``nn.BatchNorm``.

    Attributes:
        train: whether statistics are those of the batch, or the running ones.
        epsilon: added to the variance.
        momentum: of the running statistics: what remains of them a step.
        affine: whether there are a learned scale and bias.
    """

    train: bool
    epsilon: float = 1e-5
    momentum: float = 0.9
    affine: bool = True

    @nn.compact
    def __call__(self, x: Float[Array, "*place channel"]) -> Float[Array, "*place channel"]:
        """Apply to float32 channels."""
        channels = x.shape[-1:]
        running = [
            self.variable("batch_stats", name, make, channels, jnp.float32)
            for name, make in (("mean", jnp.zeros), ("var", jnp.ones))
        ]
        scale, bias = _learned(self, *channels) if self.affine else (1.0, jnp.zeros(channels))
        if self.train:
            found = moments(x, 0, *channels)
            if not self.is_initializing():
                for variable, value in zip(running, found, strict=True):
                    kept = self.momentum * variable.value
                    variable.value = kept + (1 - self.momentum) * value
        else:
            found = tuple(variable.value for variable in running)
        mean, variance = found
        return scaled(x, mean, jax.lax.rsqrt(variance + self.epsilon) * scale, bias)


def _learned(module: nn.Module, channels: int) -> tuple[Array, Array]:
    scale = module.param("scale", nn.initializers.ones, (channels,), jnp.float32)
    return scale, module.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
