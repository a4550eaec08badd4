"""ISTA-Net and WISTA-Net: iterative shrinkage in a learned transform."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.arrays import with_rank
from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Inexact
from medjax.layers.conv import Conv
from medjax.physics.operator import LinearOperator
from medjax.physics.solve.proximal import soft_threshold

from .parts import from_channels, positive, to_channels
from .problem import Initial, standardised


class ISTANet(nn.Module):
    """ISTA-Net+ of Zhang & Ghanem 2018 (arXiv:1706.07929).

    ``stages`` times from the initial estimate:

    ``r = x - t A^H (A x - y)``, then ``x = r + G H~(shrink(H D r))``

    with ``D`` and ``G`` one convolution, ``H`` and ``H~`` two with a
    rectifier between, all without biases, and soft thresholds; every stage has its
    own parameters, step ``t`` and threshold. As in the authors' code the former start
    from Glorot's normal, ``t`` at 0.5 and the threshold at 0.01, for images of unit
    peak. What differs: any linear operator serves, real or complex (two channels);
    each sample is brought to unit scale first (`standardised`); ``t`` and the
    threshold are kept positive by a softplus.

    The paper's loss adds 0.01 times the mean square of ``H~ H D r - D r`` of all
    stages, which holds ``H~`` to be the inverse of ``H``. One value a sample is sown as
    "symmetry" in the collection "intermediates".

    Attributes:
        stages: how many times.
        features: channels of the transform.
        initial_step: ``t`` before training.
        initial_threshold: the threshold before training.
        dtype: of the networks' computation.
        initial: as `MoDL`.
    """

    stages: int = 9
    features: int = 32
    initial_step: float = 0.5
    initial_threshold: float = 0.01
    dtype: jnp.dtype | type = jnp.float32
    initial: Initial | None = None

    @nn.compact
    def __call__(
        self, measurements: Array, operator: LinearOperator, train: bool = False
    ) -> Inexact[Array, "batch ..."]:
        """Reconstruct images from measurements; arguments, result and errors of `MoDL`."""
        problem = standardised(operator, measurements, self.initial)
        x = problem.x
        asymmetry = jnp.zeros(x.shape[:1], jnp.float32)
        for stage in range(self.stages):
            step = positive(self, f"step{stage}", self.initial_step)
            r = x - step.astype(x.dtype) * problem.gradient(x)
            update, difference = self._stage(to_channels(r), stage)
            x = r + from_channels(update, x.dtype)
            difference = difference.astype(jnp.float32)
            asymmetry += jnp.mean(difference**2, axis=tuple(range(1, difference.ndim)))
        self.sow("intermediates", "symmetry", asymmetry)
        return x * problem.scale

    def _stage(self, r: Array, stage: int) -> tuple[Array, Array]:
        """``G H~(shrink(H D r))`` and ``H~ H D r - D r``."""

        def conv(name: str, features: int = self.features) -> Conv:
            init = nn.initializers.xavier_normal()
            return Conv(
                features, use_bias=False, dtype=self.dtype, kernel_init=init, name=f"{name}{stage}"
            )

        # One instance a convolution, since the second is applied twice with one kernel.
        forward0, forward1 = conv("forward_first"), conv("forward_second")
        backward0, backward1 = conv("backward_first"), conv("backward_second")
        lifted = conv("lift")(r)
        coefficients = forward1(nn.relu(forward0(lifted)))
        shrunk = backward1(nn.relu(backward0(self.shrink(coefficients, stage))))
        again = backward1(nn.relu(backward0(coefficients)))
        return conv("drop", r.shape[-1])(shrunk), again - lifted

    def shrink(self, z: Array, stage: int) -> Array:
        """The stage's shrinkage of ``(batch, *spatial, features)`` coefficients."""
        threshold = positive(self, f"threshold{stage}", self.initial_threshold)
        return soft_threshold(z, with_rank(threshold, z.ndim).astype(z.dtype))


class WISTANet(ISTANet):
    """WISTA-Net: ISTA-Net+ with weighted shrinkage of a learned p-norm.

    Reviews describe WISTA-Net as an unrolled weighted iterative shrinkage algorithm
    for a p-norm. This is that description on the network of `ISTANet`, not checked
    against the original publication. What it adds to `ISTANet`: every channel of
    the transform has its own learned weight on the stage's threshold (Daubechies et
    al. 2004, doi:10.1002/cpa.20042), and the shrinkage is `p_shrinkage` with a learned
    ``p`` between 0 and 1 of each stage, so that large coefficients keep their size.

    Attributes:
        initial_power: ``p`` before training, between 0 and 1.
    """

    initial_power: float = 0.5

    def shrink(self, z: Array, stage: int) -> Array:
        threshold = positive(self, f"threshold{stage}", self.initial_threshold)
        raw = self.param(f"weights{stage}", nn.initializers.zeros, (z.shape[-1],), jnp.float32)
        weighted = threshold * jnp.exp(raw)
        return p_shrinkage(
            z,
            with_rank(weighted, z.ndim).astype(z.dtype),
            power(self, f"power{stage}", self.initial_power).astype(z.dtype),
        )


def p_shrinkage(
    x: Inexact[Array, "..."], threshold: Float[Array, "..."], p: float | Float[Array, ""]
) -> Inexact[Array, "..."]:
    """``x max(1 - (threshold / |x|)^(2 - p), 0)``: soft shrinkage with a weight of its own.

    Chartrand 2009 (Fast algorithms for nonconvex compressive sensing, ISBI, p. 262), in
    the place of the proximal map of ``|x|^p``. The weight on the threshold is
    ``(threshold / |x|)^(1 - p)``: with ``p = 1`` this is `soft_threshold`, and the
    smaller ``p``, the less it takes from what is larger than the threshold.

    Args:
        x: real or complex.
        threshold: positive, of the rank of ``x`` and broadcast to it.
        p: at most 1.
    """
    modulus = jnp.abs(x)
    above = modulus > threshold
    ratio = jnp.where(above, threshold / jnp.where(above, modulus, 1), 1)
    return x * (1 - ratio ** (2 - p)).astype(x.dtype)


def power(module: nn.Module, name: str, initial: float) -> Float[Array, ""]:
    """A learned number between 0 and 1: the logistic function of the parameter ``name``.

    Raises:
        InputError: for an initial value outside of them.
    """
    if not 0 < initial < 1:
        raise InputError("initial_power", "a number between 0 and 1", initial)
    raw = math.log(initial / (1 - initial))
    return nn.sigmoid(module.param(name, nn.initializers.constant(raw), (), jnp.float32))
