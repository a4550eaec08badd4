"""What a step leaves behind: teachers, queues, centres, banks, and no gradient into them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from learners.learner_cases.contrastive import CASES, HEAD, PROTOTYPES, SMALL, Tiny, crops, pair

from medjax import learners
from medjax.core.errors import InputError
from medjax.core.trees import named_leaves
from medjax.learners import contrastive
from medjax.learners.contrastive.moco import enqueued
from medjax.learners.contrastive.pretrain import cosine, encoder_variables

KEY = jax.random.key(0, impl="philox2x32")


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).random((8, 8, 8), np.float32)
    plain = {"image": jnp.asarray(images), "index": jnp.arange(8, dtype=jnp.int32)}
    return {**crops(KEY, plain), **pair(KEY, plain)}


def byol(**options):
    sgd = optax.sgd(0.1)
    return contrastive.byol(Tiny(), sgd, projector=HEAD, predictor=HEAD, **options)


def moco(**options):
    return contrastive.moco_v2(Tiny(), optax.sgd(0.1), projector=HEAD, **options)


def dino(**options):
    options = {"projector": PROTOTYPES, "small": SMALL, **options}
    return contrastive.dino(Tiny(), optax.sgd(0.1), **options)


def test_the_teacher_is_an_average_whose_decay_follows_the_step(batch):
    learner = byol(momentum=lambda step: 0.5 + 0.25 * step)
    state = jax.jit(learner.init)(KEY, batch)
    assert set(state.extras["teacher"]) == {"encoder", "projector"}
    average = state.extras["teacher"]
    jax.tree.map(np.testing.assert_array_equal, average, parts(state.params))
    step = jax.jit(learner.step)
    for momentum in (0.5, 0.75):
        state, _ = step(state, batch, KEY)
        average = jax.tree.map(
            lambda t, s, m=momentum: m * t + (1 - m) * s, average, parts(state.params)
        )
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
            state.extras["teacher"],
            average,
        )


def parts(params):
    return {name: params[name] for name in ("encoder", "projector")}


@pytest.mark.parametrize("make", [byol, moco, dino])
def test_the_loss_depends_on_the_teacher_but_sends_it_no_gradient(make, batch):
    learner = make(queue=16) if make is moco else make()
    state = jax.jit(learner.init)(KEY, batch)
    # A student at its teacher's very place says nothing about either.
    other = jax.tree.map(lambda x: 0.7 * x + 0.01, state.extras["teacher"])

    def loss(kept):
        extras, memory = kept
        variables = {**state.variables, "memory": memory}
        changed = state.replace(extras=extras, variables=variables)
        return learner.phases[0].gradients(changed, batch, KEY).scalars["loss"]

    value = jax.jit(jax.value_and_grad(loss, allow_int=True))
    kept = (state.extras, state.variables["memory"])
    first, gradients = value(kept)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradients))
    second, _ = value(({"teacher": other}, state.variables["memory"]))
    assert abs(first - second) > 1e-4


def test_a_queue_takes_in_at_its_head_and_loses_its_tail(batch):
    queue = jnp.arange(10, dtype=jnp.float32).reshape(5, 2)
    new = -jnp.ones((2, 2))
    np.testing.assert_array_equal(enqueued(queue, new), np.concatenate([new, queue[:3]]))
    many = jnp.arange(14, dtype=jnp.float32).reshape(7, 2)
    np.testing.assert_array_equal(enqueued(queue, many), many[:5])

    # The learner's: two micro-batches one after the other, each its teacher's keys.
    learner = learners.accumulated(moco(queue=20), 2)
    state = jax.jit(learner.init)(KEY, batch)
    before = state.variables["memory"]["queue"]
    np.testing.assert_allclose(np.linalg.norm(before, axis=-1), 1, rtol=1e-5)
    after = jax.jit(learner.step)(state, batch, KEY)[0].variables["memory"]["queue"]
    np.testing.assert_array_equal(after[8:], before[:12])
    np.testing.assert_allclose(np.linalg.norm(after, axis=-1), 1, rtol=1e-5)
    keys = []
    for part in (1, 0):  # the second micro-batch's are newest
        module = contrastive.heads.Embedder(Tiny(), HEAD.clone())
        variables = {"params": state.extras["teacher"], **first_statistics(state)}
        x = batch["second"][part::2]
        (_, found), _ = module.apply(
            variables, x, train=True, method="project", mutable=["batch_stats"]
        )
        keys.append(found / jnp.linalg.norm(found, axis=-1, keepdims=True))
    np.testing.assert_allclose(after[:8], np.concatenate(keys), rtol=1e-4, atol=1e-5)


def first_statistics(state):
    return state.variables["memory"]["teacher"]


def test_the_centre_follows_the_teachers_mean(batch):
    learner = dino(centre_momentum=0.75)
    state = jax.jit(learner.init)(KEY, batch)
    assert not state.variables["memory"]["centre"].any()
    after = jax.jit(learner.step)(state, batch, KEY)[0].variables["memory"]["centre"]
    module = contrastive.heads.Embedder(Tiny(), PROTOTYPES.clone())
    variables = {"params": state.extras["teacher"], **first_statistics(state)}
    # Both views are one batch to batch norm.
    x = jnp.concatenate([batch["large0"], batch["large1"]])
    (_, logits), _ = module.apply(
        variables, x, train=True, method="project", mutable=["batch_stats"]
    )
    np.testing.assert_allclose(after, 0.25 * logits.mean(0), atol=1e-5)


def test_prototypes_are_held_for_so_many_steps_and_the_rest_learns(batch):
    learner = dino(held_steps=1)
    state = jax.jit(learner.init)(KEY, batch)
    step = jax.jit(learner.step)
    for held in (True, False):
        after, _ = step(state, batch, KEY)
        for path, old in named_leaves(state.params):
            new = dict(named_leaves(after.params))[path]
            assert np.array_equal(old, new) == (held and path.endswith("prototypes")), path
        state = after


def test_the_bank_moves_where_the_batch_is(batch):
    learner = contrastive.pirl(Tiny(), optax.sgd(0.1), samples=20, dim=6, negatives=5)
    few = {**batch, "index": batch["index"] + 3}
    few = contrastive.jigsaw(2)(KEY, few)
    state = jax.jit(learner.init)(KEY, few)
    after, _ = jax.jit(learner.step)(state, few, KEY)
    old, new = (s.variables["memory"]["bank"] for s in (state, after))
    np.testing.assert_array_equal((old != new).any(1), [3 <= i < 11 for i in range(20)])
    np.testing.assert_allclose(np.linalg.norm(new, axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["moco_v1", "dino"])
def test_resumed_is_uninterrupted_bit_for_bit(name):
    learner = CASES[name]()
    images = jnp.asarray(np.random.default_rng(0).random((8, 8, 8), np.float32))
    batch = {"image": images, "index": jnp.arange(8, dtype=jnp.int32)}
    state = jax.jit(learner.init)(KEY, batch)
    step = jax.jit(learner.step)
    ends = []
    for interrupted in (False, True):
        now = state
        for number in range(4):
            now, _ = step(now, batch, jax.random.fold_in(KEY, number))
            if interrupted and number == 1:
                assert dataclasses.is_dataclass(now)
                now = jax.tree.map(lambda x: jnp.asarray(np.array(x)), now)
        ends.append(now)
    jax.tree.map(np.testing.assert_array_equal, *ends)


def test_eight_devices_take_the_step_of_one(batch):
    learner = moco(queue=24)
    state = jax.jit(learner.init)(KEY, batch)
    few = {name: batch[name] for name in ("first", "second", "index")}
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split, everywhere = (NamedSharding(mesh, PartitionSpec(*p)) for p in (("data",), ()))
    step = jax.jit(learner.step)
    one, scalars = step(state, few, KEY)
    got, shared = step(jax.device_put(state, everywhere), jax.device_put(few, split), KEY)
    close = {"rtol": 1e-3, "atol": 1e-5}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **close), got, one)
    np.testing.assert_allclose(shared["loss"], scalars["loss"], rtol=1e-4)


def test_the_encoder_comes_out_of_the_state(batch):
    for learner, teacher in ((moco(queue=4), False), (dino(), True)):
        state = jax.jit(learner.init)(KEY, batch)
        # Not what they were made with, so that student and teacher differ.
        state = state.replace(params=jax.tree.map(lambda x: x + 0.1, state.params))
        got = Tiny().apply(encoder_variables(state, teacher=teacher), batch["image"])
        np.testing.assert_allclose(learner.predict(state, batch), got, rtol=1e-5)


def test_a_cosine_goes_from_start_to_end_and_stays():
    schedule = cosine(0.9, 1.0, 10)
    got = [float(schedule(jnp.asarray(step))) for step in (0, 5, 10, 30)]
    np.testing.assert_allclose(got, [0.9, 0.95, 1.0, 1.0], rtol=1e-6)


def test_empty_queues_and_banks_are_refused():
    with pytest.raises(InputError, match="queue: expected a length of at least 1"):
        moco(queue=0)
    with pytest.raises(InputError, match="samples: expected at least 1"):
        contrastive.pirl(Tiny(), optax.sgd(0.1), samples=0)
