"""Meshes, rules, and checkpoints that outlive a layout."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny
from jax.sharding import PartitionSpec as P

from medjax import learners
from medjax.core.errors import InputError
from medjax.core.trees import named_leaves
from medjax.models.vit import ViT
from medjax.training import (
    PLACEMENTS,
    Checkpoints,
    Placement,
    fully_sharded,
    place,
    replicate,
    shard_largest,
)
from medjax.training.checkpoint import abstract
from medjax.training.rules import shard_dimension

SHAPES = {
    "params": {
        "big": jax.ShapeDtypeStruct((3, 64, 128), jnp.float32),
        "odd": jax.ShapeDtypeStruct((63, 65), jnp.float32),
        "small": jax.ShapeDtypeStruct((8,), jnp.float32),
    },
    "step": jax.ShapeDtypeStruct((), jnp.int32),
}


def specs(placement):
    shardings = placement.state(placement.mesh(), SHAPES)
    return jax.tree.map(lambda s: s.spec, shardings)


def test_rules_are_tried_in_order():
    sharded = specs(fully_sharded())
    assert sharded["params"]["big"] == P(None, None, "data")
    assert sharded["params"]["odd"] == sharded["params"]["small"] == sharded["step"] == P()
    mixed = Placement(
        data=2,
        model=4,
        rules=(("big", replicate), ("params", shard_largest("model", smallest=1))),
    )
    assert specs(mixed)["params"]["big"] == P()
    assert specs(mixed)["params"]["small"] == P("model")


def test_a_leaf_is_split_by_its_dimension_and_the_rest_by_another_rule():
    mesh = Placement(data=4, model=2).mesh()
    rule = shard_dimension(-2, rest=shard_largest(smallest=1))
    assert rule((3, 8, 16), mesh) == P(None, "model", "data")
    assert rule((16, 8, 3), mesh) == P("data", "model", None)
    assert rule((8, 3), mesh) == P("model", None)
    # What does not divide, or is not there, is the other rule's.
    assert rule((8, 5, 3), mesh) == P("data", None, None)
    assert rule((8,), mesh) == P("data")


@pytest.mark.parametrize(
    ("text", "sizes"),
    {
        "data": (1, 8, 1),
        "fsdp": (1, 8, 1),
        "fsdp:8": (1, 8, 1),
        "data+fsdp:4": (2, 4, 1),
        "data:4+fsdp": (4, 2, 1),
        "tensor:4": (1, 2, 4),
        "fsdp+tensor:4": (1, 2, 4),
        "data+fsdp:2+tensor:2": (2, 2, 2),
        "replicated": (1, 8, 1),
        "data_parallel": (1, 8, 1),
        "fully_sharded": (1, 8, 1),
    }.items(),
)
def test_one_line_says_the_mesh(text, sizes):
    placement = Placement.parse(text)
    assert tuple(placement.mesh().shape.values()) == sizes
    spec = specs(placement)["params"]["big"]
    assert spec == (P(None, None, "data") if "fsdp" in text or "fully" in text else P())
    if text in PLACEMENTS:
        assert specs(placement) == specs(PLACEMENTS[text]())
        assert placement.shard_batch == PLACEMENTS[text]().shard_batch


@pytest.mark.parametrize(
    "text", ["", "fsdp,tensor:2", "fsdp:0", "fsdp+fsdp:2", "tensor", "data+fsdp", "data:", "x:2"]
)
def test_another_line_is_refused(text):
    with pytest.raises(InputError, match="placement: expected"):
        Placement.parse(text)


def test_devices_must_fit():
    with pytest.raises(InputError, match=r"placement: .* 8, the number there is, got 1 x 3 x 1"):
        Placement(data=3).mesh()
    with pytest.raises(InputError, match=r"got 1 x -1 x 16"):
        Placement.parse("tensor:16").mesh()
    with pytest.raises(InputError, match="batch_size: expected a multiple of the 8 devices, got 6"):
        Placement().put(Placement().mesh(), {"x": np.zeros((6, 2))})


def transformer(placement):
    """An experiment with a tiny ViT and its averages."""
    module = ViT(4, width=64, depth=2, heads=4, patch=4, image_size=8, pool="mean")
    learner = learners.averaged(
        learners.supervised(
            module,
            optax.softmax_cross_entropy_with_integer_labels,
            optax.sgd(0.1, momentum=0.9),
        )
    )
    example = {
        "image": jax.ShapeDtypeStruct((8, 8, 8, 1), jnp.float32),
        "label": jax.ShapeDtypeStruct((8,), jnp.int32),
    }
    return tiny.experiment(placement=placement, learner=learner, example=example)


def trained(placement, devices, start=None):
    """The state before and after two steps."""
    placed = place(transformer(placement), devices)
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.standard_normal((8, 8, 8, 1)).astype(np.float32),
        "label": rng.integers(0, 4, 8, dtype=np.int32),
    }
    batch = placed.put(batch)
    start = jax.device_get(placed.init(jax.random.key(0), batch)) if start is None else start
    state = jax.tree.map(lambda a, like: jax.device_put(a, like.sharding), start, placed.shapes)
    for step in range(2):
        state, _ = placed.step(state, batch, jax.random.key(step))
    return start, state


@pytest.fixture(scope="module")
def alone():
    return jax.device_get(trained(Placement(), jax.devices()[:1]))


@pytest.mark.parametrize(
    ("text", "devices"),
    [("fsdp", 2), ("tensor:4", 8), ("data+fsdp:2+tensor:2", 8)],
)
def test_a_transformer_learns_the_same_on_any_mesh(text, devices, alone):
    start, after = alone
    _, state = trained(Placement.parse(text), jax.devices()[:devices], start)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-4),
        jax.device_get(state),
        after,
    )
    layout = {path: leaf.sharding.spec for path, leaf in named_leaves(state)}
    block = "params/encoder/block"
    split = "model" if "tensor" in text else None
    whole = "data" if "fsdp" in text else None
    assert layout[f"{block}/attention/qkv/kernel"] == P(None, whole, None, split, None)
    if split:
        assert layout[f"{block}/attention/out/kernel"][1] == split
        assert layout[f"{block}/mlp/up/bias"] == P(None, split)
        assert layout[f"{block}/mlp/down/kernel"][1] == split
    # The optimiser's state and the averages lie as their parameters do.
    for path, spec in layout.items():
        for copy in ("optimizer/0/trace", "extras/average"):
            if path.startswith("params/"):
                assert layout[path.replace("params", copy, 1)] == spec, path


class Position:
    """What a data iterator is to a checkpoint."""

    at = 7

    def get_state(self):
        return {"place": self.at}

    def set_state(self, state):
        self.at = state["place"]


@pytest.fixture
def saved(tmp_path):
    placement = fully_sharded()
    shardings = placement.state(placement.mesh(), SHAPES)
    values = jax.tree.map(
        lambda s: jnp.arange(np.prod(s.shape, dtype=int)).astype(s.dtype).reshape(s.shape), SHAPES
    )
    state = jax.device_put(values, shardings)

    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, state, Position())
    return tmp_path, state


@pytest.mark.parametrize("devices", [1, 4])
def test_restored_into_another_layout(saved, devices):
    path, state = saved
    other = Placement.parse("fsdp" if devices == 1 else "fsdp:2+tensor:2")
    other = dataclasses.replace(
        other, rules=((".*", shard_dimension(-1, rest=shard_largest(smallest=1))),)
    )
    target = abstract(SHAPES, other.state(other.mesh(jax.devices()[:devices]), SHAPES))
    iterator = Position()
    iterator.at = 0
    with Checkpoints(path) as checkpoints:
        assert checkpoints.latest == 3
        restored = checkpoints.restore(3, target, iterator)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(restored), jax.device_get(state))
    big = restored["params"]["big"]
    assert len(big.sharding.device_set) == devices
    assert big.addressable_shards[0].data.size == big.size // devices
    assert iterator.at == 7
    assert sorted(p.name for p in path.iterdir() if p.name.isdigit()) == ["2", "3"]


def test_a_training_state_moves_from_eight_devices_to_two_by_two_and_to_one(tmp_path):
    def shapes(text, devices):
        return place(transformer(Placement.parse(text)), jax.devices()[:devices]).shapes

    rng = np.random.default_rng(0)

    def filled(leaf):
        value = rng.integers(0, 99, leaf.shape).astype(leaf.dtype)
        return jax.device_put(value, leaf.sharding)

    state = jax.tree.map(filled, shapes("fsdp", 8))
    kernels = ("params", "optimizer/0/trace", "extras/average")
    kernels = [f"{part}/encoder/block/attention/qkv/kernel" for part in kernels]
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, Position(), wait=True)
        for text, devices in (("fsdp:2+tensor:2", 4), ("fsdp", 1)):
            wanted = shapes(text, devices)
            restored = checkpoints.restore(1, wanted)
            jax.tree.map(np.testing.assert_array_equal, *jax.device_get((restored, state)))
            leaves = dict(named_leaves(restored))
            assert {n: x.sharding for n, x in leaves.items()} == {
                n: x.sharding for n, x in named_leaves(wanted)
            }
            for kernel in kernels:  # a part of each on every device
                part = leaves[kernel].addressable_shards[0].data
                assert part.size * devices == leaves[kernel].size


def test_another_model_is_named(saved):
    path, _ = saved
    one = Placement(data=1)
    other = {
        "params": {**SHAPES["params"], "odd": SHAPES["params"]["small"]},
        "step": SHAPES["step"],
    }
    shapes = abstract(other, one.state(one.mesh(jax.devices()[:1]), other))
    message = r"expected params/odd of shape \(8,\), as this config has it, got shape \(63, 65\)"
    with Checkpoints(path) as checkpoints, pytest.raises(InputError, match=message):
        checkpoints.restore(3, shapes)


@pytest.mark.parametrize("damage", ["truncate", "remove"])
def test_a_damaged_checkpoint_is_one_line(saved, damage):
    path, _ = saved
    one = Placement(data=1)
    shapes = abstract(SHAPES, one.state(one.mesh(jax.devices()[:1]), SHAPES))
    for file in (path / "3").rglob("*"):
        if file.is_file() and ("ocdbt" in str(file) or file.parent.name == "d"):
            file.write_bytes(file.read_bytes()[:10]) if damage == "truncate" else file.unlink()
    with Checkpoints(path) as checkpoints, pytest.raises(InputError) as error:
        checkpoints.restore(3, shapes)
    assert str(path / "3") in str(error.value)
    assert "\n" not in str(error.value)
