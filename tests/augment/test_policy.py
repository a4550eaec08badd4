"""Policies: how many operations a sample gets, keyed by sample, and presets that run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.augment import Image, Labels, brightness, flip, noise
from medjax.augment.policy import PRESETS, randaugment
from medjax.core.errors import InputError


def adding(value):
    """An operation that leaves its mark: a digit of the image's number."""
    return lambda m: lambda key, batch: {**batch, "image": batch["image"] + m * value}


OPERATIONS = {"ones": adding(1.0), "tens": adding(10.0), "hundreds": adding(100.0)}


def test_each_sample_gets_so_many_different_operations():
    many = {"image": jnp.zeros((300, 2, 2)), "index": jnp.arange(300)}
    for count, marks in ((1, {1, 10, 100}), (2, {11, 101, 110}), (3, {111})):
        policy = randaugment(OPERATIONS, count=count, magnitude=2.0)
        got = jax.jit(policy)(jax.random.key(0), many)["image"][:, 0, 0] / 2
        values, counts = np.unique(got, return_counts=True)
        assert set(values) == marks
        assert counts.min() > 0.8 * 300 / len(marks)


def test_operations_follow_each_other_as_listed():
    operations = {
        "add": lambda m: lambda key, batch: {**batch, "image": batch["image"] + m},
        "double": lambda m: lambda key, batch: {**batch, "image": batch["image"] * 2},
    }
    batch = {"image": jnp.ones((5, 2, 2)), "index": jnp.arange(5)}
    out = randaugment(operations, count=2, magnitude=3.0)(jax.random.key(0), batch)
    np.testing.assert_array_equal(out["image"], np.full((5, 2, 2), 8.0))


def batch_for(name):
    """Entries and a batch that the preset is made for."""
    colour = name in ("histology", "dermoscopy", "fundus")
    entries = {"image": Image(channels="last" if colour else None), "label": Labels()}
    shape = (4, 10, 12)
    rng = np.random.default_rng(0)
    image = rng.uniform(0.1, 1, shape + (3,) * colour).astype(np.float32)
    batch = {
        "image": jnp.asarray(image),
        "label": jnp.asarray(rng.integers(0, 3, shape), jnp.int32),
        "index": jnp.asarray([5, 1, 3, 8], jnp.int32),
    }
    return entries, batch


def test_a_samples_policy_is_its_own():
    entries, batch = batch_for("histology")
    operations = {
        "noise": lambda m: noise(m, entries=entries),
        "brightness": lambda m: brightness(m, entries=entries),
        "mirror": lambda m: flip(-1, probability=1.0, entries=entries),
    }
    policy = jax.jit(randaugment(operations, count=2, magnitude=0.5))
    whole = policy(jax.random.key(0), batch)
    order = jnp.asarray([2, 1, 0, 2])
    part = policy(jax.random.key(0), jax.tree.map(lambda x: x[order], batch))
    np.testing.assert_allclose(part["image"], whole["image"][order], atol=2e-5)
    np.testing.assert_array_equal(part["label"], whole["label"][order])
    assert np.isfinite(whole["image"]).all()
    assert whole["image"].shape == batch["image"].shape
    assert (np.abs(whole["image"] - batch["image"]).reshape(4, -1).max(1) > 1e-3).all()


@pytest.mark.parametrize("name", PRESETS)
def test_every_operation_of_a_preset_keeps_the_batch(name):
    entries, batch = batch_for(name)
    for operation in PRESETS[name](entries).values():
        assert callable(operation(0.0))
        out = jax.eval_shape(operation(1.0), jax.random.key(0), batch)
        assert out == jax.eval_shape(lambda b: b, batch)
    assert "Left out" in PRESETS[name].__doc__


def test_what_cannot_be_used_is_named():
    for what, call in (
        ("count", lambda: randaugment(OPERATIONS, count=4)),
        ("count", lambda: randaugment(OPERATIONS, count=0)),
        ("magnitude", lambda: randaugment(OPERATIONS, magnitude=-1.0)),
        ("policies", lambda: PRESETS["mrt"]),
    ):
        with pytest.raises(InputError) as raised:
            call()
        assert raised.value.what == what
