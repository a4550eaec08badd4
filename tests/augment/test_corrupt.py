"""Corruptions keep their promises: exact masks, permutations that can be undone, kept ranges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.augment import corrupt, pieces
from medjax.core.errors import InputError

SHAPES = [(12, 9), (9, 8, 10)]


def keys(count, seed=0):
    return jax.random.split(jax.random.key(seed, impl="philox2x32"), count)


def numbered(shape):
    """Each voxel its own value; the second channel is the first's negative."""
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return np.stack([x, -x], -1)


def each(function, image, count=6):
    draw = jax.vmap(lambda key: function(key, jnp.asarray(image)))
    return np.asarray(jax.jit(draw)(keys(count)))


def test_masks_have_exactly_their_ratio():
    masks = jax.jit(jax.vmap(lambda key: corrupt.random_mask(key, (5, 7), 0.6)))(keys(400))
    masks = np.asarray(masks)
    assert (masks.sum((1, 2)) == 21).all()
    # All cells alike: a binomial of 400 draws, five standard deviations.
    assert np.abs(masks.mean(0) - 0.6).max() < 5 * np.sqrt(0.24 / 400)
    for count, ratio, hidden in ((196, 0.75, 147), (49, 0.6, 30), (10, 0.9, 9), (10, 0.3, 3)):
        assert corrupt.masked_count(count, ratio) == hidden
    for ratio in (0.0, 0.95, 1.0):
        with pytest.raises(InputError, match="ratio: expected one that hides some of 10 cells"):
            corrupt.masked_count(10, ratio)


def test_cells_become_voxels():
    mask = np.random.default_rng(0).random((3, 2, 2)) < 0.5
    large = np.asarray(corrupt.enlarged(jnp.asarray(mask), (2, 3, 4), (5, 6, 7)))
    np.testing.assert_array_equal(large, np.kron(mask, np.ones((2, 3, 4), bool))[:5, :6, :7])


@pytest.mark.parametrize("shape", [(12, 30), (24, 12, 18)])
def test_boxes_lie_within_the_image_and_have_their_sizes(shape):
    draw = jax.vmap(lambda key: corrupt.box_mask(key, shape, (1 / 6, 1 / 3), 1))
    for mask in np.asarray(jax.jit(draw)(keys(40))):
        spans = [np.unique(places) for places in np.nonzero(mask)]
        for places, n in zip(spans, shape, strict=True):
            assert n / 6 <= len(places) <= n / 3
            assert places[-1] - places[0] + 1 == len(places)
        assert mask.sum() == np.prod([len(places) for places in spans])
    both = jax.jit(lambda key: corrupt.box_mask(key, shape, (0.5, 0.5), 2))(keys(1)[0])
    half = np.prod(shape) / 2 ** len(shape)
    assert half < np.sum(np.asarray(both)) <= 2 * half
    with pytest.raises(InputError, match="ends"):
        corrupt.box_mask(keys(1)[0], shape, (0.5, 0.2), 1)
    with pytest.raises(InputError, match="count"):
        corrupt.box_mask(keys(1)[0], shape, (0.5, 0.5), 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_paint_stays_in_its_place_and_range(shape):
    image = np.random.default_rng(0).standard_normal((*shape, 2)).astype(np.float32)
    for function, least, most in ((corrupt.inpaint, 0, 0.6), (corrupt.outpaint, 0.05, 0.95)):
        painted = each(function, image)
        changed = (painted != image).any(-1)
        np.testing.assert_array_equal(changed, (painted != image).all(-1))
        assert (changed.mean(tuple(range(1, changed.ndim))) > least).all()
        assert (changed.mean(tuple(range(1, changed.ndim))) < most).all()
        assert painted.min() >= image.min()
        assert painted.max() <= image.max()


@pytest.mark.parametrize("shape", SHAPES)
def test_swapped_patches_are_a_permutation_that_one_swap_more_undoes(shape):
    image, size = numbered(shape), (3, 2, 4)[: len(shape)]
    for moved in each(lambda key, x: corrupt.swap_patches(key, x, size, 10), image):
        np.testing.assert_array_equal(np.sort(moved[..., 0].ravel()), image[..., 0].ravel())
        np.testing.assert_array_equal(moved[..., 1], -moved[..., 0])
    for moved in each(lambda key, x: corrupt.swap_patches(key, x, size, 1), image):
        changed = moved[..., 0] != image[..., 0]
        assert changed.sum() == 2 * np.prod(size)
        # A swap is its own inverse: where a voxel went to, the one from there has come.
        partner = moved[..., 0].astype(int)
        np.testing.assert_array_equal(moved[..., 0].ravel()[partner], image[..., 0])
    with pytest.raises(InputError, match="patch: expected a size of which two fit"):
        corrupt.swap_patches(keys(1)[0], jnp.asarray(image), tuple(n // 2 + 1 for n in shape), 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_local_shuffling_permutes_within_windows(shape):
    image, largest = numbered(shape), (4, 3, 2)[: len(shape)]
    moved = each(lambda key, x: corrupt.shuffle_locally(key, x, largest), image, 12)
    reach = np.zeros(len(shape), int)
    for one in moved:
        np.testing.assert_array_equal(np.sort(one[..., 0].ravel()), image[..., 0].ravel())
        np.testing.assert_array_equal(one[..., 1], -one[..., 0])
        came = np.stack(np.unravel_index(one[..., 0].astype(int), shape))
        shift = np.abs(came - np.indices(shape)).reshape(len(shape), -1).max(1)
        reach = np.maximum(reach, shift)
    np.testing.assert_array_equal(reach, np.asarray(largest) - 1)
    still = each(lambda key, x: corrupt.shuffle_locally(key, x, (1,) * len(shape)), image, 1)
    np.testing.assert_array_equal(still[0], image)


def test_intensities_are_mapped_by_monotone_curves():
    image = np.linspace(-3, 5, 500, dtype=np.float32).reshape(25, 20, 1)
    curves = each(corrupt.nonlinear_intensity, image, 60).reshape(60, -1)
    rising = curves[:, 0] < curves[:, -1]
    assert 15 < rising.sum() < 45
    steps = np.diff(curves, axis=1) * np.where(rising, 1, -1)[:, None]
    assert steps.min() > -1e-5
    np.testing.assert_allclose(np.sort(curves[:, [0, -1]], 1), [[-3, 5]] * 60, atol=1e-5)
    # Not all alike, and not all the identity.
    assert curves[rising, 250].std() > 0.3
    flat = each(corrupt.nonlinear_intensity, np.full((4, 4, 1), 2, np.float32), 2)
    assert np.isfinite(flat).all()


@pytest.mark.parametrize("shape", [(3, 3), (3, 3, 3)])
def test_quarter_turns_are_numpys_and_all_different(shape):
    image, ndim = numbered(shape), len(shape)
    count = len(pieces.quarter_turns(ndim))
    turn = jax.vmap(pieces.turned, (None, 0))
    turned = np.asarray(jax.jit(turn)(jnp.asarray(image), jnp.arange(count)))
    planes = [(0, 1), (0, 2), (1, 2)] if ndim == 3 else [(0, 1)]
    wanted = [image] + [np.rot90(image, k, plane) for plane in planes for k in (1, 2, 3)]
    np.testing.assert_array_equal(turned, np.stack(wanted))
    assert len({one.tobytes() for one in turned}) == count == (4 if ndim == 2 else 10)
    with pytest.raises(InputError, match="equal sizes"):
        pieces.turned(jnp.zeros((2, 3, 1)), jnp.asarray(0))


@pytest.mark.parametrize("shape", SHAPES)
def test_tiles_come_from_their_cells(shape):
    image, grid, gap = numbered(shape), (3, 2, 2)[: len(shape)], (1, 0, 2)[: len(shape)]
    cells = np.asarray(shape) // grid
    places = []
    for tiles in each(lambda key, x: pieces.tiles(key, x, grid, gap), image):
        assert tiles.shape == (np.prod(grid), *(cells - gap), 2)
        for number, tile in enumerate(tiles[..., 0]):
            where = np.stack(np.unravel_index(tile.astype(int), shape))
            corner = np.unravel_index(number, grid) * cells
            start = where.reshape(len(shape), -1)[:, 0]
            assert (start >= corner).all()
            assert (start <= corner + gap).all()
            window = tuple(slice(s, s + n) for s, n in zip(start, tile.shape, strict=True))
            np.testing.assert_array_equal(image[..., 0][window], tile)
            places.append(tuple(start - corner))
    assert set(np.asarray(places).max(0)) == set(gap)
    with pytest.raises(InputError, match="gap"):
        pieces.tiles(keys(1)[0], jnp.asarray(image), grid, tuple(cells.tolist()))
