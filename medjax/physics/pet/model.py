"""What a PET scanner counts: attenuated projections, scatter, randoms, and chance."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.struct import numbers_as_arrays, struct
from medjax.core.types import Array, Int, Key
from medjax.physics.operator import LinearOperator, cast_like, matching


@struct
class PET(LinearOperator):
    """Expected true coincidences of an activity: projections, attenuated and detected.

    ``y = sensitivity attenuation (projector x)``. In PET both photons of a pair cross the
    patient between them along the whole line of response, so that attenuation is a factor
    a line and does not depend on where on it the pair was born.

    Attributes:
        projector: from images of activity to line integrals, such as `ParallelBeam`.
        attenuation: probability that a pair leaves the patient, of the projections' last
            axes or all of them, or one for all; `attenuation_factors` computes it.
        sensitivity: of each line of response: efficiency, geometry and time, likewise.

    Raises:
        InputError: for factors that are not real floating or, when applied, do not fit.
    """

    projector: LinearOperator
    attenuation: Array | float
    sensitivity: Array | float

    def __post_init__(self):
        _require_real(self, "attenuation", "sensitivity")

    def forward(self, x: Array) -> Array:
        return self._factors(self.projector(x))

    def adjoint(self, y: Array) -> Array:
        return self.projector.H(self._factors(y))

    def views(self, which: Int[Array, " some"]) -> PET:
        """The operator of some of the views, the last axis but one, by index."""
        factors = {
            name: views_of(getattr(self, name), which) for name in ("attenuation", "sensitivity")
        }
        return dataclasses.replace(self, projector=self.projector.views(which), **factors)

    def _factors(self, y: Array) -> Array:
        for name in ("attenuation", "sensitivity"):
            y = y * fitted(name, getattr(self, name), y)
        return y


@struct
class EmissionModel:
    """The mean and the distribution of the counts: ``Poisson(A x + scatter + randoms)``.

    Attributes:
        operator: from activity to expected trues, `PET` or any with entries that are not
            negative; with a method ``views``, `osem` can take its views in turns.
        scatter: expected scattered coincidences, of the data's last axes or all of them,
            or one number.
        randoms: expected random coincidences, likewise.

    Raises:
        InputError: for terms that are not real floating or, when used, do not fit.
    """

    operator: LinearOperator
    scatter: Array | float
    randoms: Array | float

    def __post_init__(self):
        _require_real(self, "scatter", "randoms")

    def mean(self, x: Array) -> Array:
        """Expected counts ``(..., view, bin)`` of an activity ``(..., y, x)``."""
        y = self.operator(x)
        return y + (fitted("scatter", self.scatter, y) + fitted("randoms", self.randoms, y))

    def sample(self, key: Key[Array, ""], x: Array) -> Array:
        """Counts as one scan has them, whole numbers in the dtype of ``x``."""
        mean = self.mean(x)
        return jax.random.poisson(key, mean).astype(mean.dtype)

    def log_likelihood(self, x: Array, y: Array) -> Array:
        """Logarithm of the probability of counts, without the part that ``x`` is not in.

        ``sum(y log(mean) - mean)`` over the last two axes: one number an image.
        """
        mean = self.mean(x)
        seen = y > 0
        logarithm = jnp.log(jnp.where(seen, mean, 1))
        return jnp.sum(jnp.where(seen, y * logarithm, 0) - mean, axis=(-2, -1))

    def views(self, which: Int[Array, " some"]) -> EmissionModel:
        """The model of some of the views, the last axis but one, by index."""
        return EmissionModel(
            self.operator.views(which), views_of(self.scatter, which), views_of(self.randoms, which)
        )


def _require_real(of: PET | EmissionModel, *names: str) -> None:
    numbers_as_arrays(of, *names)
    for name in names:
        dtype = getattr(of, name).dtype
        if not jnp.issubdtype(dtype, jnp.floating):
            raise InputError(name, "a real floating array or number", dtype)


def attenuation_factors(projector: LinearOperator, mu: Array) -> Array:
    """Probability that both photons of a pair leave the patient: ``exp(-projector mu)``.

    Args:
        projector: line integrals in mm, of the geometry of the emission scan.
        mu: attenuation at 511 keV in 1/mm, ``(..., y, x)``; from CT it is
            `from_hounsfield` at that energy, to the accuracy that bone scales as water.
    """
    return jnp.exp(-projector(mu))


def views_of(a: Array, which: Array) -> Array:
    """Some of the views of what may have an axis of them, the last but one."""
    if a.ndim < 2 or a.shape[-2] == 1:
        return a
    return jnp.take(a, which, axis=-2)


def fitted(name: str, a: Array, like: Array) -> Array:
    """An array in the rank and dtype of the data that it meets."""
    return cast_like(matching(name, a, like.shape), like)
