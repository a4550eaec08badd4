"""Simulated CT scans: the operator of the image, with the noise of the photons it is given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax import augment
from medjax.core.errors import InputError
from medjax.physics import ct

SHAPE = (8, 6)
OPERATOR = ct.ParallelBeam(ct.uniform_angles(20), shape=SHAPE, bins=10, pixel=20.0, spacing=20.0)


@pytest.fixture
def batch():
    images = 0.02 * np.random.default_rng(0).random((64, *SHAPE), dtype=np.float32)
    return {"image": jnp.asarray(images), "index": jnp.arange(64, dtype=jnp.int32)}


def test_without_photons_it_is_the_operator_and_nothing_random(batch):
    out = augment.tomography(OPERATOR)(jax.random.key(0), batch)
    np.testing.assert_array_equal(out["sinogram"], OPERATOR(batch["image"]))
    np.testing.assert_array_equal(out["target"], batch["image"])
    assert out["operator"] is OPERATOR
    with pytest.raises(InputError, match=r"photons.*None"):
        augment.tomography(OPERATOR, electronic=1.0)


def test_noise_is_that_of_the_photons_and_a_samples_own(batch):
    # One of two doses, drawn for each sample.
    doses = (1e3, 1e5)
    simulate = augment.tomography(
        OPERATOR,
        photons=lambda key: jnp.where(jax.random.bernoulli(key), *doses),
        electronic=20.0,
    )
    key = jax.random.key(3)
    out = jax.jit(simulate)(key, batch)
    clean = OPERATOR(batch["image"])
    noise = np.asarray(out["sinogram"] - clean)
    deviations = [
        np.sqrt(np.asarray(ct.line_integral_variance(clean, d, electronic=20.0))) for d in doses
    ]
    # Relative to the first dose the noise of the second is a tenth and less.
    relative = np.sqrt(np.mean((noise / deviations[0]) ** 2, axis=(1, 2)))
    high = relative < 0.3
    assert 16 < high.sum() < 48
    for which, deviation in zip((~high, high), deviations, strict=True):
        normal = (noise / deviation)[which]
        np.testing.assert_allclose(np.sqrt(np.mean(normal**2)), 1.0, rtol=0.05)

    order = jnp.asarray([41, 7, 7])
    part = jax.jit(simulate)(key, jax.tree.map(lambda x: x[order], batch))["sinogram"]
    np.testing.assert_allclose(part, out["sinogram"][order], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(part[1], part[2])
    other = jax.jit(simulate)(jax.random.key(4), batch)["sinogram"]
    assert not np.array_equal(other, out["sinogram"])
