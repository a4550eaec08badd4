"""One of several hosts, as `experiments/pretraining/launch/local.sh` starts it.

    host.py train save|restore FOLDER PLACEMENT --coordinator A --process-count N --process-index I

Makes a state, or finds it in the folder's checkpoint whatever mesh that was saved on, sees that
every host loads its own part of a batch, and saves the state as the next step.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

BATCH = 8
SHAPES = {
    "params": {"kernel": jax.ShapeDtypeStruct((64, 128), jnp.float32)},
    "extras": {"average": {"kernel": jax.ShapeDtypeStruct((64, 128), jnp.float32)}},
    "step": jax.ShapeDtypeStruct((), jnp.int32),
}


def values():
    """The state, on the host."""
    return jax.tree.map(
        lambda s: np.arange(1, 1 + np.prod(s.shape, dtype=int), dtype=s.dtype).reshape(s.shape),
        SHAPES,
    )


def spread(value, sharding):
    """This host's shards of a global array."""
    return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])


class Position:
    """What a data iterator is to a checkpoint."""

    at = 0

    def get_state(self):
        return {"place": self.at}

    def set_state(self, state):
        self.at = state["place"]


def main():
    _, action, folder, text, _, address, _, count, _, index = sys.argv[1:]
    jax.distributed.initialize(address, int(count), int(index))
    from medjax.training import Checkpoints, Placement
    from medjax.training.checkpoint import abstract

    placement = Placement.parse(text)
    mesh = placement.mesh()
    part, parts = placement.host(mesh)
    rows = np.arange(BATCH, dtype=np.float32).reshape(parts, -1)[part]
    batch = placement.put(mesh, {"x": rows[:, None]})
    # The mean over the global batch, on every host.
    mean = jax.jit(jnp.mean, out_shardings=jax.sharding.NamedSharding(mesh, jax.P()))
    assert float(mean(batch["x"])) == (BATCH - 1) / 2

    shardings = placement.state(mesh, SHAPES)
    state, position = jax.tree.map(spread, values(), shardings), Position()
    with Checkpoints(Path(folder)) as checkpoints:
        before = checkpoints.latest or 0
        assert (before > 0) == (action == "restore")
        if before:
            wanted = state
            state = checkpoints.restore(before, abstract(SHAPES, shardings), position)
            assert position.at == before
            for got, one in zip(*map(jax.tree.leaves, (state, wanted)), strict=True):
                assert got.sharding == one.sharding
                for a, b in zip(got.addressable_shards, one.addressable_shards, strict=True):
                    np.testing.assert_array_equal(a.data, b.data)
        position.at = before + 1
        checkpoints.save(before + 1, state, position, wait=True)


if __name__ == "__main__":
    main()
