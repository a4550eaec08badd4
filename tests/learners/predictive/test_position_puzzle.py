"""Places, puzzles and fields: the label is what was done."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from learners.learner_cases.predictive import Tiny

from medjax.core.errors import InputError
from medjax.learners import predictive
from medjax.learners.predictive.position import distant_pair, neighbours
from medjax.learners.predictive.puzzle import half_turns, shuffled

KEY = jax.random.key(0, impl="philox2x32")


def drawn(function, count):
    draw = jax.jit(jax.vmap(function))
    return [np.asarray(x) for x in draw(jax.random.split(KEY, count))]


def places(shape):
    """An image whose channels are each voxel's coordinates."""
    return jnp.asarray(np.moveaxis(np.indices(shape), 0, -1), jnp.float32)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_neighbour_lies_on_its_side(ndim):
    size, steps, jitter = (4, 3, 2)[:ndim], (6, 5, 4)[:ndim], (1, 0, 1)[:ndim]
    needed = np.asarray(size) + 2 * (np.asarray(steps) + jitter)
    image = places(tuple((needed + (2, 0, 1)[:ndim]).tolist()))
    pairs, number = drawn(lambda key: neighbours(key, image, size, steps, jitter), 300)
    way = (pairs[:, 1] - pairs[:, 0])[(slice(None), *(0,) * ndim)]
    side = np.round(way / np.asarray(steps)).astype(int)
    assert (np.abs(way - side * steps) <= jitter).all()
    assert (np.abs(way - side * steps).max(0) == jitter).all()
    code = (side + 1) @ (3 ** np.arange(ndim)[::-1])
    middle = (3**ndim - 1) // 2
    np.testing.assert_array_equal(number, code - (code > middle))
    assert len(np.unique(number)) == 3**ndim - 1
    with pytest.raises(InputError, match="patch: expected one of which"):
        neighbours(KEY, image[1:-1, 1:-1], size, steps, jitter)


@pytest.mark.parametrize("ndim", [2, 3])
def test_an_offset_is_the_way_between_patches(ndim):
    shape, size = (9, 7, 5)[:ndim], (4, 2, 3)[:ndim]
    pairs, offset = drawn(lambda key: distant_pair(key, places(shape), size), 200)
    corner = pairs[(slice(None), slice(None), *(0,) * ndim)]
    room = np.asarray(shape) - size
    np.testing.assert_allclose(offset * room, corner[:, 0] - corner[:, 1], atol=1e-5)
    assert np.abs(offset).max() == 1
    with pytest.raises(InputError, match="patch: expected one smaller"):
        distant_pair(KEY, places(shape), shape)


def test_permutations_are_far_from_each_other():
    for count, tiles, least in ((24, 4, 2), (100, 8, 4), (20, 27, 22)):
        chosen = predictive.permutations(count, tiles)
        assert chosen.shape == (count, tiles)
        np.testing.assert_array_equal(np.sort(chosen, 1), [np.arange(tiles)] * count)
        distance = (chosen[:, None] != chosen[None]).sum(-1)
        assert distance[~np.eye(count, dtype=bool)].min() >= least
    # The first eight of eight tiles agree nowhere.
    first = predictive.permutations(8, 8)
    assert ((first[:, None] != first[None]).sum(-1) == 8 * (1 - np.eye(8))).all()
    np.testing.assert_array_equal(first, predictive.permutations(100, 8)[:8])
    with pytest.raises(InputError, match="permutations: expected 2 to 24 of 4 tiles, got 100"):
        predictive.permutations(100, 4)


@pytest.mark.parametrize("grid", [(3, 2), (2, 2, 2)])
def test_a_puzzles_label_solves_it(grid):
    shape = tuple(4 * g for g in grid)
    tiles, label = drawn(lambda key: shuffled(key, places(shape), grid, 0.0, 20), 10)
    corners = np.stack(np.meshgrid(*map(np.arange, grid), indexing="ij"), -1)
    corners = 4 * corners.reshape(-1, len(grid))
    orders = predictive.permutations(20, len(corners))
    for parts, number in zip(tiles, label, strict=True):
        found = parts[(slice(None), *(0,) * len(grid))]
        np.testing.assert_array_equal(found[np.argsort(orders[number])], corners)
    assert len(np.unique(label)) > 3


def test_half_turns_are_those_about_one_axis():
    x = np.arange(24).reshape(2, 3, 4)
    turns = half_turns(3)
    wanted = (x, np.rot90(x, 2, (0, 1)), np.rot90(x, 2, (1, 2)))
    for flags, turned in zip(turns, wanted, strict=True):
        np.testing.assert_array_equal(np.flip(x, np.flatnonzero(flags)), turned)
    assert half_turns(2).tolist() == [[False, False], [True, True]]


def test_metadata_leaves_out_what_is_missing():
    targets = {"view": 3, "age": None}
    learner = predictive.metadata(Tiny(), optax.sgd(0.1), targets=targets)
    rng = np.random.default_rng(0)
    image = jnp.asarray(rng.random((4, 8, 8, 1)), jnp.float32)
    batch = {
        "image": image,
        "index": jnp.arange(4),
        "view": jnp.asarray([0, 2, -1, 1], jnp.int32),
        "age": jnp.asarray([0.5, jnp.nan, jnp.inf, -1.0]),
    }

    def both(batch):
        state = learner.init(KEY, batch)
        # Heads of zeros: three classes are alike, and numbers are 0.
        zeros = {name: jax.tree.map(jnp.zeros_like, state.params[name]) for name in targets}
        state = state.replace(params={**state.params, **zeros})
        return learner.step(state, batch, KEY)

    state, scalars = jax.jit(both)(batch)
    expected = (3 * np.log(3) + 0.5**2 + 1.0**2) / 4
    np.testing.assert_allclose(scalars["loss"], expected, rtol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
    for wrong in ({"view": batch["age"]}, {"age": batch["view"]}, {"age": image}):
        with pytest.raises(InputError, match="one a sample"):
            learner.init(KEY, {**batch, **wrong})
    with pytest.raises(InputError, match="targets: expected at least one"):
        predictive.metadata(Tiny(), optax.sgd(0.1), targets={})
    with pytest.raises(InputError, match="view: expected at least two classes"):
        predictive.metadata(Tiny(), optax.sgd(0.1), targets={"view": 1})
