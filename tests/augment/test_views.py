"""Views: their own keys and names, crops that move everything alike, presets by modality."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.augment import Boxes, Image, Labels, Points, noise
from medjax.augment.policy import PRESETS
from medjax.augment.views import (
    LEAST_CROP,
    modality_view,
    multi_crop,
    resized_crop,
    small_names,
    views,
)
from medjax.core.errors import InputError

KEY = jax.random.key(0, impl="philox2x32")


def ramp(*sizes, count=6):
    """Images whose channels are the voxels' coordinates, labels that are the first of them."""
    place = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1).astype(np.float32)
    repeated = jnp.asarray(np.repeat(place[None], count, 0))
    return {
        "image": repeated,
        "label": repeated[..., 0].astype(jnp.int32),
        "points": repeated.reshape(count, -1, len(sizes))[:, ::5],
        "boxes": jnp.tile(jnp.asarray([1.5] * len(sizes) + [4.5] * len(sizes)), (count, 1, 1)),
        "index": jnp.arange(count, dtype=jnp.int32),
    }


ENTRIES = {
    "image": Image(channels="last"),
    "label": Labels(),
    "points": Points(),
    "boxes": Boxes(),
}


@pytest.mark.parametrize(("sizes", "out"), [((16, 20), (16, 20)), ((8, 9, 10), (8, 8, 8))])
def test_a_crop_moves_all_entries_alike(sizes, out):
    batch = ramp(*sizes)
    crop = jax.jit(resized_crop(out, (0.3, 0.5), entries=ENTRIES))
    got = crop(KEY, batch)
    image = np.asarray(got["image"])
    assert image.shape == (6, *out, len(sizes))
    # Away from borders, and where nothing got smaller, a ramp stays a ramp.
    inner = image[(slice(None), *(slice(1, -1),) * len(sizes))]
    steps = np.diff(inner, axis=1)[..., 0]
    assert (steps.max((1, 2)) <= 1.05).all()
    parts = np.prod([np.ptp(image[..., a].reshape(6, -1), 1) + 0.6 for a in range(len(sizes))], 0)
    assert ((parts / np.prod(sizes) > 0.2) & (parts / np.prod(sizes) < 0.62)).all()
    # Labels are of the nearest voxel; points that lie within find their own coordinates there.
    np.testing.assert_allclose(got["label"], image[..., 0], atol=0.75)
    for sample in range(6):
        points = np.asarray(got["points"][sample])
        inside = ((points > 1) & (points < np.asarray(out) - 2)).all(1)
        assert inside.any()
        nearest = np.rint(points[inside]).astype(int)
        seen = image[sample][tuple(nearest.T)]
        np.testing.assert_allclose(seen, batch["points"][sample][inside], atol=0.75)
    box = np.asarray(got["boxes"])[:, 0]
    side = box[:, len(sizes) :] - box[:, : len(sizes)]
    assert (side > 3 * np.asarray(out) / np.asarray(sizes) - 1e-3).all()


def test_a_whole_crop_is_the_image_and_a_smaller_one_its_average():
    image = jnp.asarray(np.random.default_rng(0).random((3, 8, 8), np.float32))
    batch = {"image": image, "index": jnp.arange(3)}
    same = jax.jit(resized_crop((8, 8), (1.0, 1.0), aspect=1.0))(KEY, batch)
    np.testing.assert_allclose(same["image"], image, atol=1e-5)
    small = jax.jit(resized_crop((2, 2), (1.0, 1.0), aspect=1.0))(KEY, batch)["image"]
    np.testing.assert_allclose(small.mean((1, 2)), image.mean((1, 2)), atol=0.1)


def test_views_have_keys_of_their_own_and_leave_the_rest():
    batch = {"image": jnp.zeros((4, 6, 6)), "index": jnp.arange(4), "label": jnp.arange(4)}
    two = views({"first": noise(1.0), "second": noise(1.0)})
    out = two(KEY, batch)
    assert set(out) == {"image", "index", "label", "first", "second"}
    assert not out["image"].any()
    assert not np.array_equal(out["first"], out["second"])
    for wrong in ({}, {"image": noise(1.0)}):
        with pytest.raises(InputError, match="names other than 'image'"):
            views(wrong)


def test_multi_crop_names_its_views():
    batch = {"image": jnp.ones((2, 8, 8)), "index": jnp.arange(2)}
    crops = multi_crop(resized_crop((8, 8), (0.4, 1.0)), resized_crop((4, 4)), count=3)
    out = jax.jit(crops)(KEY, batch)
    shapes = {name: x.shape for name, x in out.items() if name not in batch}
    large = dict.fromkeys(("large0", "large1"), (2, 8, 8))
    assert shapes == large | dict.fromkeys(small_names(3), (2, 4, 4))


def test_every_modality_has_a_view():
    assert set(LEAST_CROP) == set(PRESETS)
    batch = {
        "image": jnp.asarray(np.random.default_rng(0).random((4, 12, 12, 1), np.float32)),
        "index": jnp.arange(4),
    }
    view = jax.jit(modality_view("ct", (8, 8), entries={"image": Image(channels="last")}))
    first, second = (view(jax.random.key(i, impl="philox2x32"), batch)["image"] for i in range(2))
    assert first.shape == (4, 8, 8, 1)
    assert np.isfinite(first).all()
    assert (np.abs(first - second).max((1, 2, 3)) > 1e-3).all()


def test_wrong_parts_are_refused():
    for scale in ((0.0, 1.0), (0.5, 0.2), (0.5, 1.5)):
        with pytest.raises(InputError, match="scale: expected least and largest part"):
            resized_crop((4, 4), scale)
    with pytest.raises(InputError, match="aspect"):
        resized_crop((4, 4), aspect=0.5)
    with pytest.raises(InputError, match="size: expected 2 sizes"):
        resized_crop((4,))(KEY, {"image": jnp.ones((1, 6, 6)), "index": jnp.arange(1)})
