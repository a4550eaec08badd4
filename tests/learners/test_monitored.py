"""Monitors of collapse: what they report, when, and that they change nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from learners.learner_cases.contrastive import HEAD, Tiny

from medjax.core.errors import InputError
from medjax.learners import Gradients, Learner, Phase, State, accumulated, contrastive
from medjax.learners.monitored import monitored
from medjax.metrics.representation import alignment, effective_rank, uniformity

KEY = jax.random.key(0, impl="philox2x32")
PAIR = ("first", "second")


def simclr():
    return contrastive.simclr(Tiny(), optax.sgd(0.1), projector=HEAD)


def idle():
    """A learner that learns nothing and whose features are the image's numbers."""
    phase = Phase(lambda *_: Gradients({}, {}, {}), lambda state, computed: state)
    start = State(jnp.zeros((), jnp.int32), {}, {}, ())
    return Learner(lambda key, batch: start, (phase,), lambda state, batch: batch["image"])


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).random((3, 16, 8, 8), np.float32)
    names = ("image", *PAIR)
    entries = {name: jnp.asarray(x) for name, x in zip(names, images, strict=True)}
    return {**entries, "index": jnp.arange(16, dtype=jnp.int32)}


def rows(batch):
    return {name: x[:, 0] if x.ndim == 3 else x for name, x in batch.items()}


def values_of(one, two):
    values = {"rank": effective_rank(one), "uniformity": uniformity(one)}
    return {**values, "alignment": jnp.mean(alignment(one, two))}


def test_values_are_those_of_the_features_before_the_step_and_nothing_else_changes(batch):
    learner = monitored(simclr(), PAIR, every=3)

    @jax.jit
    def expected(state):
        return values_of(*(simclr().predict(state, {"image": batch[name]}) for name in PAIR))

    state = jax.jit(learner.init)(KEY, batch)
    plain = state.replace(extras={})
    step, plain_step = jax.jit(learner.step), jax.jit(simclr().step)
    for number in range(4):
        if number in (0, 2):  # the first step, and those whose number is a multiple of three
            wanted = expected(plain)
        state, scalars = step(state, batch, KEY)
        plain, others = plain_step(plain, batch, KEY)
        for name, value in wanted.items():
            np.testing.assert_allclose(scalars[name], value, rtol=1e-3, atol=1e-5)
            np.testing.assert_array_equal(scalars[name], state.extras["monitors"][name])
        assert set(scalars) == {*others, *wanted}
        np.testing.assert_allclose(scalars["loss"], others["loss"], rtol=1e-5)
    close = {"rtol": 1e-4, "atol": 1e-6}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **close), state.params, plain.params)


def test_a_collapse_is_seen():
    learner = monitored(idle(), every=1)
    state = learner.init(KEY, {})
    step = jax.jit(learner.step)

    def look(features):
        return step(state, {"image": features}, KEY)[1]

    alike = look(jnp.tile(jnp.arange(1.0, 9)[None], (16, 1)))
    np.testing.assert_allclose(alike["rank"], 1, atol=1e-3)
    np.testing.assert_allclose(alike["uniformity"], 0, atol=1e-4)
    even = look(jnp.tile(jnp.eye(8), (2, 1)))
    np.testing.assert_allclose(even["rank"], 8, rtol=1e-4)
    assert even["uniformity"] < -1
    assert look(jnp.zeros((16, 8)))["rank"] == 0
    assert np.isnan(look(jnp.full((16, 8), jnp.nan))["rank"])  # is not hidden


def test_samples_are_few_and_evenly_over_a_batch_on_eight_devices(batch):
    batch = rows(batch)
    learner = monitored(idle(), samples=8, features=lambda state, batch: 2 * batch["image"])
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
    _, scalars = jax.jit(learner.step)(learner.init(KEY, batch), split, KEY)
    wanted = values_of(batch["image"][::2], batch["image"][::2])
    assert set(scalars) == {"rank", "uniformity"}
    for name, value in scalars.items():
        np.testing.assert_allclose(value, wanted[name], rtol=1e-4)


def test_micro_batches_report_their_mean(batch):
    batch = rows(batch)
    learner = accumulated(monitored(idle(), PAIR), 2)
    after, scalars = jax.jit(learner.step)(learner.init(KEY, batch), batch, KEY)
    parts = [values_of(*(batch[name][i::2] for name in PAIR)) for i in range(2)]
    for name, value in scalars.items():
        np.testing.assert_allclose(value, (parts[0][name] + parts[1][name]) / 2, rtol=1e-4)
        np.testing.assert_array_equal(value, after.extras["monitors"][name])


def test_wrong_arguments_are_refused(batch):
    for options, message in (
        ({"views": ("a", "b", "c")}, "views: expected at most two"),
        ({"every": 0}, "every: expected a number of at least 1"),
        ({"samples": 1}, "samples: expected a number of at least 2"),
    ):
        with pytest.raises(InputError, match=message):
            monitored(idle(), **options)
    learner = monitored(idle(), ("large0",))
    with pytest.raises(InputError, match="large0: expected an entry of the batch"):
        learner.step(learner.init(KEY, batch), batch, KEY)
    learner = monitored(idle())
    with pytest.raises(InputError, match=r"features \(batch, channel\), got float32 \(16, 8, 8\)"):
        learner.step(learner.init(KEY, batch), batch, KEY)
