"""Laws of adversarial learners. No loss need fall where two play: each falls where one rests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from learners.learner_cases.adversarial import CASES

from medjax import learners
from medjax.core.trees import named_leaves

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")
STEPS = 8
IMAGE, LOGITS = (8, 8, 8, 1), (8, 8, 8, 3)
PREDICTED = {
    "semi_supervised_gan": {(8, 3)},
    "triple_gan": {(8, 3)},
    "gan_3d": {(8, 4, 4, 4, 1)},
    "shape_consistent_gan": {IMAGE, LOGITS},
    "td_gan": {LOGITS},
    "cycle_sr": {IMAGE, (8, 4, 4, 1)},
}


@functools.cache
def batch():
    images = np.stack([tiny.Images()[i]["image"] for i in range(8)])
    return {"image": jnp.asarray(images), "index": jnp.arange(8, dtype=jnp.int32)}


def move(phase):
    def moved(state, batch, key):
        computed = phase.gradients(state, batch, key)
        return phase.update(state, computed), computed.scalars

    return jax.jit(moved)


@functools.cache
def played(name):
    """A learner, its start, and moves of the discriminator and of the generator."""
    learner = CASES[name]()
    first, *_, last = learner.phases
    return learner, jax.jit(learner.init)(KEY, batch()), move(first), move(last)


def changed(before, after):
    pairs = zip(named_leaves(before), named_leaves(after), strict=True)
    return {path for (path, a), (_, b) in pairs if not np.array_equal(a, b)}


@pytest.mark.parametrize("name", CASES)
def test_each_player_gains_while_the_other_rests(name):
    _, start, discriminate, generate = played(name)
    key = jax.random.key(1, impl="philox2x32")  # one key throughout: the same noise
    state, losses = start, {"discriminator": [], "generator": []}
    for player, one in (("discriminator", discriminate), ("generator", generate)):
        before = state
        for _ in range(STEPS):
            state, scalars = one(state, batch(), key)
            assert all(np.isfinite(v) for v in jax.tree.leaves(scalars)), scalars
            losses[player].append(float(scalars[f"{player}_loss"]))
        other = "generator" if player == "discriminator" else "discriminator"
        assert not changed(before.params[other], state.params[other])
        assert not changed(before.variables[other], state.variables[other])
        everything = {path for path, _ in named_leaves(state.params[player])}
        still = everything - changed(before.params[player], state.params[player])
        # A constant added to a Wasserstein critic changes no loss.
        assert still <= ({"head/bias"} if name.startswith("wgan") else set())
    assert losses["discriminator"][-1] < losses["discriminator"][0]
    assert losses["generator"][-1] < losses["generator"][0]
    assert jax.tree.structure(state) == jax.tree.structure(start)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("name", CASES)
def test_a_resumed_run_is_the_uninterrupted_one(name):
    _, start, discriminate, generate = played(name)

    def step(state, number):
        key = jax.random.key(number, impl="philox2x32")
        state, _ = generate(discriminate(state, batch(), key)[0], batch(), key)
        return state.replace(step=state.step + 1)

    half = step(start, 1)
    stored = jax.tree.map(np.asarray, half)  # what a checkpoint keeps
    resumed = step(jax.tree.map(jnp.asarray, stored), 2)
    assert not changed(step(half, 2), resumed)


@pytest.mark.parametrize("name", CASES)
def test_the_step_and_the_prediction_have_the_shapes_of_the_state_and_of_images(name):
    learner, start, *_ = played(name)
    after, scalars = jax.eval_shape(learner.step, start, batch(), jax.random.key(0))
    for a, b in zip(jax.tree.leaves(start), jax.tree.leaves(after), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    assert {(s.shape, s.dtype.name) for s in scalars.values()} == {((), "float32")}
    wanted = {
        "loss",
        "loss_ratio",
        "generator_loss",
        "discriminator_loss",
        "generator_gradient_norm",
        "discriminator_gradient_norm",
        "real_accuracy",
        "fake_accuracy",
    }
    assert wanted <= set(scalars)
    output = jax.eval_shape(learner.predict, start, batch())
    assert {leaf.shape for leaf in jax.tree.leaves(output)} == PREDICTED.get(name, {IMAGE})


def test_every_learner_of_the_package_is_registered_and_has_a_case():
    here = "medjax.learners.adversarial."
    named = {n for n, target in learners.LEARNERS.targets.items() if target.startswith(here)}
    assert named == set(CASES)
    for name in named:
        assert learners.LEARNERS.summary(name)
