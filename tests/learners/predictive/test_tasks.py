"""What every pretext task keeps to in 3D, and what is kept of it afterwards."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from learners.learner_cases.predictive import MAKE, Tiny, prepared

from medjax.core.errors import InputError
from medjax.core.trees import named_leaves
from medjax.learners import predictive

KEY = jax.random.key(0)


def compiled(function, *arguments):
    return jax.jit(function).lower(*arguments).compile()


@pytest.fixture(scope="module")
def volumes():
    image = np.random.default_rng(0).random((4, 8, 8, 8), np.float32)
    return prepared({"image": jnp.asarray(image), "index": jnp.arange(4, dtype=jnp.int32)})


def started(learner, batch):
    """A state with random parameters, without compiling how they are drawn."""
    rng = np.random.default_rng(0)
    state = jax.eval_shape(learner.init, KEY, batch)
    fill = lambda x: jnp.asarray(0.2 * rng.standard_normal(x.shape), x.dtype)  # noqa: E731
    rest = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), state)
    return rest.replace(params=jax.tree.map(fill, state.params))


def watched(learner):
    """A step that shows its gradients, too."""

    def step(state, batch, key):
        (phase,) = learner.phases
        computed = phase.gradients(state, batch, key)
        return computed.grads, *learner.step(state, batch, key)

    return step


@pytest.mark.parametrize("name", MAKE)
def test_in_3d_everything_learns_and_nothing_depends_on_company_or_interruption(name, volumes):
    learner = MAKE[name]()
    state = started(learner, volumes)
    step = compiled(watched(learner), state, volumes, KEY)
    grads, second, scalars = step(state, volumes, KEY)
    for path, grad in named_leaves(grads):
        assert np.isfinite(grad).all(), path
        assert np.any(grad), path
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(second))

    # The same samples in another order have the same tasks; others have others.
    order = jnp.asarray([2, 0, 3, 1])
    moved = {entry: x[order] for entry, x in volumes.items()}
    loss = float(scalars["loss"])
    assert float(step(state, moved, KEY)[2]["loss"]) == pytest.approx(loss, rel=1e-4)
    if name != "metadata":
        others = {**volumes, "index": volumes["index"] + 4}
        assert float(step(state, others, KEY)[2]["loss"]) != pytest.approx(loss, rel=1e-4)

    # What is saved is all that a run goes on from.
    key = jax.random.key(1)
    resumed = jax.tree.map(lambda x: jnp.asarray(np.asarray(x)), second)
    ends = (step(start, volumes, key)[1] for start in (second, resumed))
    jax.tree.map(np.testing.assert_array_equal, *ends)

    variables = predictive.backbone_variables(second)
    assert variables["params"] is second.params["backbone"]
    assert set(variables) == {"params", *second.variables}


def test_the_backbone_is_usable_afterwards(volumes):
    learner = MAKE["rotation"]()
    state = started(learner, volumes)
    variables = predictive.backbone_variables(state)
    features = Tiny().apply(variables, volumes["image"], method="features")
    np.testing.assert_allclose(learner.predict(state, volumes), features.pooled, rtol=1e-6)
    with pytest.raises(InputError, match='a part "backbone", got parts'):
        predictive.backbone_variables(state.replace(params=state.params["backbone"]))


def test_devices_change_nothing_and_gather_no_images(volumes):
    learner = MAKE["mae"]()
    batch = {name: jnp.concatenate([x, x]) for name, x in volumes.items()}
    batch["index"] = jnp.arange(8, dtype=jnp.int32)
    state = started(learner, batch)
    alone = compiled(learner.step, state, batch, KEY)(state, batch, KEY)
    mesh = Mesh(np.asarray(jax.devices()), ("data",))
    shards = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
    state, key = jax.device_put((state, KEY), NamedSharding(mesh, PartitionSpec()))
    step = compiled(learner.step, state, shards, key)
    assert "all-gather" not in step.as_text()
    assert "all-to-all" not in step.as_text()
    together = step(state, shards, key)
    assert float(together[1]["loss"]) == pytest.approx(float(alone[1]["loss"]), rel=1e-5)
    norms = [float(scalars["gradient_norm"]) for _, scalars in (alone, together)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def test_batches_without_a_fitting_image_are_refused(volumes):
    learner = predictive.rotation(Tiny(), optax.sgd(0.1), image="scan")
    with pytest.raises(InputError, match="scan: expected an entry of the batch"):
        learner.init(KEY, volumes)
    with pytest.raises(InputError, match="scan: expected a floating array"):
        learner.init(KEY, {**volumes, "scan": volumes["image"][..., 0, 0]})
