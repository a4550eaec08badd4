"""Meshes, rules, and checkpoints that outlive a layout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from medjax.core.errors import InputError
from medjax.training import Checkpoints, Placement, fully_sharded, replicate, shard_largest
from medjax.training.checkpoint import abstract

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


def test_devices_must_fit():
    with pytest.raises(InputError, match=r"placement: .* 8, the number there is, got 3 x 1"):
        Placement(data=3).mesh()
    with pytest.raises(InputError, match="batch_size: expected a multiple of the 8 devices, got 6"):
        Placement().put(Placement().mesh(), {"x": np.zeros((6, 2))})


@pytest.fixture
def saved(tmp_path):
    placement = fully_sharded()
    shardings = placement.state(placement.mesh(), SHAPES)
    values = jax.tree.map(
        lambda s: jnp.arange(np.prod(s.shape, dtype=int)).astype(s.dtype).reshape(s.shape), SHAPES
    )
    state = jax.device_put(values, shardings)

    class Position:  # what an iterator of batches does
        at = 7

        def get_state(self):
            return {"place": self.at}

        def set_state(self, state):
            self.at = state["place"]

    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, state, Position())
    return tmp_path, state, Position


def test_restored_into_another_layout(saved):
    path, state, position = saved
    one = Placement(data=1)
    target = abstract(SHAPES, one.state(one.mesh(jax.devices()[:1]), SHAPES))
    iterator = position()
    iterator.at = 0
    with Checkpoints(path) as checkpoints:
        assert checkpoints.latest == 3
        restored = checkpoints.restore(3, target, iterator)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(restored), jax.device_get(state))
    assert len(restored["params"]["big"].sharding.device_set) == 1
    assert iterator.at == 7
    assert sorted(p.name for p in path.iterdir() if p.name.isdigit()) == ["2", "3"]


def test_another_model_is_named(saved):
    path, _, _ = saved
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
    path, _, _ = saved
    one = Placement(data=1)
    shapes = abstract(SHAPES, one.state(one.mesh(jax.devices()[:1]), SHAPES))
    for file in (path / "3").rglob("*"):
        if file.is_file() and ("ocdbt" in str(file) or file.parent.name == "d"):
            file.write_bytes(file.read_bytes()[:10]) if damage == "truncate" else file.unlink()
    with Checkpoints(path) as checkpoints, pytest.raises(InputError) as error:
        checkpoints.restore(3, shapes)
    assert str(path / "3") in str(error.value)
    assert "\n" not in str(error.value)
