"""What of a reconstruction the measurements say, and what something else has put there.

With the scan's operator ``A`` and its pseudo-inverse ``A+`` an image has two parts: ``A+ A x``,
which measurements can see, and ``x - A+ A x``, which they cannot, whatever is in it. A part that
can be seen and differs from what was measured is wrong by the data; of the part that cannot be
seen only the truth could tell, and where there is none, samples or an ensemble tell at least
where a method is of several minds. That they agree does not make them right: members that learned
from the same images share what those lack.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array
from medjax.physics import LinearOperator
from medjax.physics.solve import lsqr


class Parts(NamedTuple):
    """An image as a sum of two.

    Attributes:
        measurable: what the operator sees, ``A+ A x``.
        null: what it does not, ``x - A+ A x``.
    """

    measurable: Array
    null: Array


class HallucinationMaps(NamedTuple):
    """Maps of one batch of reconstructions, in the images' unit and dtype.

    Attributes:
        measurement: of what contradicts the data, ``A+ (A x - y)``: 0 where there is nothing.
            It holds the noise too, which a good reconstruction leaves out: compare it with what
            the noise alone would give.
        null: the part of the reconstruction that no measurement supports. It need not be false.
        false: the part of it that the truth does not have either; None without the truth.
    """

    measurement: Array
    null: Array
    false: Array | None


def measurable_parts(
    operator: LinearOperator,
    image: Array,
    *,
    ndim: int | None = None,
    max_steps: int = 50,
    tolerance: float = 1e-5,
    damping: float = 0.0,
) -> Parts:
    """Split an image by what an operator sees of it.

    Args:
        operator: linear, as the scan's.
        image: in its domain, ``(*batch, *image)``.
        ndim: see `medjax.physics.solve.lsqr`, as for the other options.
        max_steps: of the pseudo-inverse; fewer leave out what the operator sees weakly.
        tolerance: see there.
        damping: see there.
    """
    options = {"ndim": ndim, "max_steps": max_steps, "tolerance": tolerance, "damping": damping}
    measurable = lsqr(operator, operator(image), **options)
    return Parts(measurable, image - measurable)


def hallucination_maps(
    operator: LinearOperator,
    reconstruction: Array,
    measurements: Array,
    truth: Array | None = None,
    *,
    ndim: int | None = None,
    max_steps: int = 50,
    tolerance: float = 1e-5,
    damping: float = 0.0,
) -> HallucinationMaps:
    """Hallucination maps of Bhadra et al. 2021, in the measurement space and the null space.

    On hallucinations in tomographic image reconstruction, IEEE Trans Med Imaging 40:3249,
    arXiv:2012.00646. There the pseudo-inverse is a truncated singular value decomposition;
    here it is LSQR from zero, which goes to the same inverse, where fewer ``max_steps`` or a
    ``damping`` leave out weak directions. As in the authors' code the null-space map is 0 where
    the reconstruction's null component is; their maps of single structures, by thresholds, are
    not here. The operator is any linear one: a scan's, or for super-resolution what makes an
    image coarse. Without one, as in translation, there is `disagreement`.

    Args:
        operator: the scan's.
        reconstruction: ``(*batch, *image)``, in the operator's domain.
        measurements: that it was made from.
        truth: of the reconstruction's shape, where there is one, as in a simulation.
        ndim: see `measurable_parts`, as for the other options.
        max_steps: see there.
        tolerance: see there.
        damping: see there.

    Raises:
        InputError: for a truth of another shape, or measurements that are not the operator's.
    """
    seen = operator(reconstruction)
    if seen.shape != measurements.shape:
        raise InputError("measurements", f"{seen.shape}, as the operator's", measurements.shape)
    if truth is not None and truth.shape != reconstruction.shape:
        raise InputError("truth", f"the reconstruction's shape {reconstruction.shape}", truth.shape)
    options = {"ndim": ndim, "max_steps": max_steps, "tolerance": tolerance, "damping": damping}
    contradiction = lsqr(operator, seen - measurements, **options)
    null = measurable_parts(operator, reconstruction, **options).null
    false = None
    if truth is not None:
        of_truth = measurable_parts(operator, truth, **options).null
        false = jnp.where(null == 0, 0, null - of_truth)
    return HallucinationMaps(contradiction, null, false)


def disagreement(samples: Array) -> Array:
    """The standard deviation of each pixel over samples or members of an ensemble.

    Args:
        samples: real or complex, ``(sample, *batch, *image)``, at least two of each image: of a
            posterior, an ensemble, or a generator with other noise.

    Returns:
        Real, ``(*batch, *image)``, in the images' unit, divided by one less than the samples.
        It is a lower bound of a method's doubt and no error bar: see `medjax.trust.hallucination`.

    Raises:
        InputError: for fewer than two samples, or integers.
    """
    if samples.ndim < 2 or samples.shape[0] < 2 or not jnp.issubdtype(samples.dtype, jnp.inexact):
        got = f"{samples.dtype} {samples.shape}"
        raise InputError("samples", "floating (sample, ...), at least two samples", got)
    return jnp.std(samples, axis=0, ddof=1)
