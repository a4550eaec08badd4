"""Stain jitter: what it does to concentrations, and keyed by sample."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.augment.stains import stain_jitter
from medjax.core.errors import InputError
from medjax.physics import stains

COLOURS = stains.stain_matrix(stains.HEMATOXYLIN, stains.EOSIN, stains.DAB)


@pytest.fixture
def batch():
    amounts = np.random.default_rng(0).uniform(0.2, 0.5, (4, 5, 6, 3))
    image = stains.transmitted(stains.Stains(COLOURS)(jnp.asarray(amounts, jnp.float32)))
    return {"image": image, "index": jnp.asarray([3, 8, 5, 3], jnp.int32)}


def test_each_stain_is_scaled_and_shifted(batch):
    out = jax.jit(stain_jitter(0.2, 0.05))(jax.random.key(0), batch)["image"]
    before, after = (stains.deconvolve(x, COLOURS) for x in (batch["image"], out))
    for sample in range(4):
        for stain in range(3):
            a, b = before[sample, ..., stain].ravel(), after[sample, ..., stain].ravel()
            factor, offset = np.polyfit(a, b, 1)
            np.testing.assert_allclose(factor * a + offset, b, atol=1e-4)
            assert 0.8 <= factor <= 1.2
            assert abs(offset) <= 0.0501
            assert abs(factor - 1) > 1e-3


def test_a_samples_jitter_is_its_own(batch):
    transform = jax.jit(stain_jitter(0.2))
    whole = transform(jax.random.key(0), batch)["image"]
    order = jnp.asarray([2, 1, 3, 0])
    part = transform(jax.random.key(0), jax.tree.map(lambda x: x[order], batch))["image"]
    np.testing.assert_array_equal(part, whole[order])
    # One sample twice in a batch is jittered alike.
    np.testing.assert_allclose(
        stains.optical_density(whole[0]) - stains.optical_density(whole[3]),
        stains.optical_density(transform(jax.random.key(0), batch)["image"][0])
        - stains.optical_density(whole[3]),
    )


def test_nothing_drawn_changes_nothing(batch):
    out = stain_jitter(0.0)(jax.random.key(0), batch)["image"]
    np.testing.assert_allclose(out, batch["image"], atol=1e-5)
    volume = {"image": jnp.ones((1, 2, 2, 4)), "index": jnp.zeros(1, jnp.int32)}
    with pytest.raises(InputError, match="three real channels"):
        stain_jitter()(jax.random.key(0), volume)
    with pytest.raises(InputError, match="not negative"):
        stain_jitter(-0.1)
