"""Retrospective undersampling: the operator of the target, with the noise it is given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax import augment, physics

SHAPE = (12, 16)


def half(key, columns):
    return physics.random_lines(key, columns, 2.0, calibration=2)


@pytest.mark.parametrize("coils", [None, 3])
def test_retrospective_is_the_operator_of_the_target_with_noise(coils):
    images = np.random.default_rng(0).random((6, *SHAPE), dtype=np.float32)
    batch = {"image": jnp.asarray(images), "index": jnp.arange(6, dtype=jnp.int32)}
    maps = None if coils is None else physics.birdcage(coils, SHAPE)
    sigma = 0.02
    simulate = augment.retrospective(half, noise=sigma, phase=0.3, maps=maps)
    out = jax.jit(simulate)(jax.random.key(0), batch)
    np.testing.assert_allclose(jnp.abs(out["target"]), batch["image"], atol=1e-5)
    clean = out["operator"](out["target"])
    mask = out["operator"].mask
    sampled = np.broadcast_to(mask, clean.shape)
    assert not np.asarray(out["kspace"])[~sampled].any()
    noise = np.asarray(out["kspace"] - clean)[sampled]
    np.testing.assert_allclose([noise.real.std(), noise.imag.std()], sigma, rtol=0.1)
    # Every sample has a mask of its own, of exactly half the columns.
    masks = np.asarray(mask).reshape(6, -1)
    assert (masks.sum(1) == SHAPE[1] // 2).all()
    assert len(np.unique(masks, axis=0)) > 1
