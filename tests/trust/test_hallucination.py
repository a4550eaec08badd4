"""Hallucinations that were put in are found where they were put."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.physics import Downsampling, Sampling, fftc
from medjax.physics.fourier import Fourier
from medjax.trust.hallucination import disagreement, hallucination_maps, measurable_parts

RNG = np.random.default_rng(0)


COARSE = Downsampling((jnp.ones(2) / 2,) * 2)  # means of two by two pixels


def complex_image(*shape):
    return jnp.asarray(RNG.normal(size=shape) + 1j * RNG.normal(size=shape), jnp.complex64)


def test_parts_of_undersampled_mri_are_its_columns():
    mask = jnp.asarray(np.arange(8) % 3 == 0)[None]
    operator, image = Sampling(mask) @ Fourier(2), complex_image(2, 8, 8)
    parts = measurable_parts(operator, image, ndim=2)
    np.testing.assert_allclose(parts.measurable, operator.H(operator(image)), atol=1e-5)
    np.testing.assert_allclose(fftc(parts.null, 2)[..., ::3], 0, atol=1e-5)


def test_maps_separate_what_contradicts_the_data_from_what_no_data_shows():
    truth = jnp.asarray(RNG.random((2, 8, 8)), jnp.float32)
    operator = COARSE
    seen = jnp.zeros((2, 8, 8)).at[0, 2:4, 4:6].set(0.5)  # a whole block: it is measured
    unseen = jnp.zeros((2, 8, 8)).at[1, 6, 0].set(0.3).at[1, 7, 0].set(-0.3)

    @jax.jit
    def maps(image):
        return hallucination_maps(operator, image, operator(truth), truth, ndim=2)

    wrong = maps(truth + seen + unseen)
    np.testing.assert_allclose(wrong.measurement, seen, atol=1e-5)
    np.testing.assert_allclose(wrong.false, unseen, atol=1e-5)
    # What is true of the null component is no hallucination, and no measurement supports it.
    right = maps(truth)
    np.testing.assert_allclose(right.measurement, 0, atol=1e-5)
    np.testing.assert_allclose(right.false, 0, atol=1e-5)
    np.testing.assert_allclose(operator(right.null), 0, atol=1e-5)
    assert jnp.max(jnp.abs(right.null)) > 0.1
    without = jax.eval_shape(lambda x: hallucination_maps(operator, x, operator(x), ndim=2), truth)
    assert without.false is None


def test_disagreement_is_the_deviation_over_samples():
    samples = jnp.asarray(RNG.normal(size=(4, 2, 3, 3)), jnp.float32)
    np.testing.assert_allclose(disagreement(samples), np.std(samples, axis=0, ddof=1), rtol=1e-5)
    got = disagreement(complex_image(3, 5))
    assert got.dtype == jnp.float32
    for wrong in (samples[:1], jnp.ones((3, 2), jnp.int32)):
        with pytest.raises(InputError, match="at least two samples"):
            disagreement(wrong)


def test_shapes_that_do_not_fit():
    operator, image = COARSE, jnp.ones((1, 4, 4))
    with pytest.raises(InputError, match=r"measurements: expected \(1, 2, 2\)"):
        hallucination_maps(operator, image, jnp.ones((1, 4, 4)))
    with pytest.raises(InputError, match="truth: expected the reconstruction's shape"):
        hallucination_maps(operator, image, jnp.ones((1, 2, 2)), image[0])
