"""Laws of detectors: of their learners, and of their scores."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from learners.learner_cases.anomaly import CASES

from medjax.learners.anomaly import DETECTORS

KEY = jax.random.key(0, impl="philox2x32")
OWN = jax.random.key(0)  # one whose draws under vmap are of each key
STEPS = 20
BLOCK = (slice(None), slice(2, 5), slice(3, 6))
# GANs need more steps than a test has, and the third of these has no network in its score.
BLIND = {"anogan", "f_anogan", "masked_error"}


def images(count=8, seed=0):
    """A smooth pattern, a little brighter or darker and with little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:8, :8] / 7
    pattern = np.cos(3 * y) * np.sin(2 * x + 0.5)
    gain = rng.uniform(0.7, 1.0, (count, 1, 1))
    return (gain * pattern + 0.02 * rng.standard_normal((count, 8, 8)))[..., None]


@functools.cache
def batch():
    return {
        "image": jnp.asarray(images(), jnp.float32),
        "known": jnp.arange(8) < 6,
        "index": jnp.arange(8, dtype=jnp.int32),
    }


@functools.cache
def trained(name):
    """A detector, its start, a step, its state after some steps, and the losses on the way."""
    detector = CASES[name]()
    start = jax.jit(detector.learner.init)(KEY, batch())
    step = jax.jit(detector.learner.step)
    state, losses = start, []
    for _ in range(STEPS):
        state, scalars = step(state, batch(), jax.random.key(1, impl="philox2x32"))
        losses.append(float(scalars["loss"]))
    return detector, start, step, state, losses


def same(a, b):
    return all(map(np.array_equal, jax.tree.leaves(a), jax.tree.leaves(b)))


@functools.cache
def scored(name):
    return jax.jit(CASES[name]().scores)


def test_every_detector_has_a_case():
    assert set(CASES) == set(DETECTORS)
    assert all(DETECTORS.summary(name) for name in DETECTORS)


@pytest.mark.parametrize("name", CASES)
def test_its_learner_learns_keeps_arrays_and_resumes_bit_for_bit(name):
    _, start, step, state, losses = trained(name)
    if name not in ("anogan", "ano_vae_gan"):  # where two play no loss need fall
        assert losses[-1] < 0.95 * losses[0]
    assert jax.tree.structure(state) == jax.tree.structure(start)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    stored = jax.tree.map(jnp.asarray, jax.tree.map(np.asarray, state))  # as a checkpoint keeps it
    assert same(step(state, batch(), KEY)[0], step(stored, batch(), KEY)[0])


@pytest.mark.parametrize("name", CASES)
def test_scores_are_of_each_sample_and_of_its_places(name):
    detector, _, _, state, _ = trained(name)
    got = scored(name)(state, batch(), OWN)
    assert (got.image.shape, got.image.dtype) == ((8,), jnp.float32)
    assert (got.pixel.shape, got.pixel.dtype) == ((8, 8, 8), jnp.float32)
    assert all(np.isfinite(x).all() for x in got)
    assert (got.pixel >= 0).all()
    turned = scored(name)(state, {n: x[::-1] for n, x in batch().items()}, OWN)
    for a, b in zip(got, turned, strict=True):
        np.testing.assert_allclose(a, b[::-1], rtol=1e-4, atol=1e-5)
    for a, b in ((detector.image_score, got.image), (detector.pixel_score, got.pixel)):
        assert jax.eval_shape(a, state, batch(), KEY).shape == b.shape


@pytest.mark.parametrize("name", sorted(set(CASES) - BLIND))
def test_what_was_not_seen_scores_higher(name):
    _, _, _, state, _ = trained(name)
    strange = {**batch(), "image": batch()["image"].at[BLOCK].add(-1.5)}
    usual, got = (scored(name)(state, b, OWN) for b in (batch(), strange))
    assert np.mean(np.asarray(got.image) > np.asarray(usual.image)) > 0.8
    if name == "deep_svdd":  # which has no map of its own in its paper
        return
    pixel = np.asarray(got.pixel)
    assert pixel[BLOCK].mean() > np.asarray(usual.pixel)[BLOCK].mean()
    if name == "ddad":  # whose dense networks of a test disagree everywhere on such an image
        return
    outside = np.ones((8, 8), bool)
    outside[BLOCK[1:]] = False
    assert pixel[BLOCK].mean() > pixel[:, outside].mean()
