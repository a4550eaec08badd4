"""Mirroring, turns, crops and blocks: exact, with points and boxes, and undone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax import augment
from medjax.augment import Boxes, Image, Labels, Points
from medjax.core.errors import InputError

KEY = jax.random.key(0)
ENTRIES = {
    "image": Image(channels="last"),
    "label": Labels(outside=7),
    "points": Points(),
    "boxes": Boxes(),
}


def batch_of(shape, count=12):
    """Each image is bright at its point, which is also the centre of its box."""
    rng = np.random.default_rng(0)
    points = np.stack([rng.integers(1, n - 1, count) for n in shape], -1)
    image = rng.random((count, *shape, 2), np.float32)
    label = rng.integers(0, 3, (count, *shape))
    for i, p in enumerate(points):
        image[(i, *p)] = 5.0
        label[(i, *p)] = 4
    arrays = {
        "image": image,
        "label": label.astype(np.int32),
        "points": points[:, None].astype(np.float32),
        "boxes": np.concatenate([points - 1, points + 1], -1)[:, None].astype(np.float32),
        "index": np.arange(count),
    }
    return jax.tree.map(jnp.asarray, arrays)


TRANSFORMS = {
    "flip": (augment.flip(-3, entries=ENTRIES), (5, 6, 4)),
    "turn": (augment.rotate90((-3, -1), entries=ENTRIES), (5, 6, 5)),
    "once": (augment.rotate90((-2, -1), turns=1, entries=ENTRIES), (4, 6)),
    "crop": (augment.random_crop((4, 3, 5), entries=ENTRIES), (6, 5, 7)),
    "center": (augment.center((7, 4, 6), entries=ENTRIES), (6, 5, 6)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_everything_moves_together_and_back(name):
    transform, shape = TRANSFORMS[name]
    batch = batch_of(shape)
    out = jax.jit(transform)(KEY, batch)
    n, seen = len(shape), 0
    for i in range(12):
        point = np.asarray(out["points"][i, 0])
        place = tuple(point.astype(int))
        if any(not 0 <= p < m for p, m in zip(place, out["label"].shape[1:], strict=True)):
            continue
        seen += 1
        assert (out["image"][(i, *place)] == 5).all()
        assert out["label"][(i, *place)] == 4
        np.testing.assert_array_equal(out["boxes"][i, 0], np.concatenate([point - 1, point + 1]))
    assert seen >= 2
    if name in ("crop", "center"):
        with pytest.raises(InputError, match="one with an inverse"):
            augment.inverse(transform)
        return
    assert seen == 12
    moved = np.any(np.asarray(out["label"]).reshape(12, -1) != batch["label"].reshape(12, -1), 1)
    assert moved.any()
    assert name == "once" or not moved.all()
    back = jax.jit(augment.inverse(transform))(KEY, out)
    jax.tree.map(np.testing.assert_array_equal, back, batch)
    assert n == len(shape)


def test_flip_mirrors_about_half_and_turns_are_numpys():
    batch = {"image": jnp.arange(12.0).reshape(1, 3, 4) * jnp.ones((200, 1, 1))}
    batch["index"] = jnp.arange(200)
    flipped = np.asarray(jax.jit(augment.flip(-1))(KEY, batch)["image"])
    mirrored = (flipped[:, 0, 0] == 3).sum()
    assert 70 < mirrored < 130
    one = {"image": batch["image"][:1], "index": batch["index"][:1]}
    turned = augment.rotate90(turns=-1)(KEY, one)["image"][0]
    np.testing.assert_array_equal(turned, np.rot90(one["image"][0], -1))
    with pytest.raises(InputError, match="axes: expected equal sizes"):
        augment.rotate90()(KEY, one)
    with pytest.raises(InputError, match="axis: expected a spatial one, from -2 to -1"):
        augment.flip(-3)(KEY, one)


def test_crops_center_and_blocks():
    image = np.random.default_rng(0).random((40, 5, 6), np.float32)
    batch = {"image": jnp.asarray(image), "index": jnp.arange(40)}
    crops = np.asarray(jax.jit(augment.random_crop((4, 4)))(KEY, batch)["image"])
    windows = np.lib.stride_tricks.sliding_window_view(image, (4, 4), (1, 2))
    found = (windows == crops[:, None, None]).all((-2, -1))
    assert (found.reshape(40, -1).sum(1) == 1).all()
    assert found.any(0).all()  # each of the six places was drawn
    with pytest.raises(InputError, match=r"size: expected one within \(5, 6\)"):
        augment.random_crop((6, 6))(KEY, batch)
    entries = {"image": Image(outside=-1.0)}
    center = np.asarray(augment.center((8, 3), entries=entries)(KEY, batch)["image"])
    np.testing.assert_array_equal(center[:, 1:6], image[:, :, 1:4])
    assert (center[:, [0, 6, 7]] == -1).all()
    blocks = np.asarray(
        augment.reduce(2)(KEY, {"image": batch["image"][:, :4]} | {"index": 0})["image"]
    )
    np.testing.assert_allclose(blocks[:, 1, 2], image[:, 2:4, 4:].mean((1, 2)), rtol=1e-6)
    with pytest.raises(InputError, match="sizes: expected those that 4 divides"):
        augment.reduce(4)(KEY, batch)
    integers = {"image": jnp.zeros((1, 4, 4), jnp.int32), "index": jnp.zeros(1, jnp.int32)}
    with pytest.raises(InputError, match="labels: expected soft ones"):
        augment.reduce(2, entries={"image": Labels()})(KEY, integers)
