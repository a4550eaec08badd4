"""Chance, choice, mixing and erasing, and k-space by way of its images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax import augment
from medjax.augment import Boxes, Classes, Image, Labels
from medjax.core.errors import InputError
from medjax.physics import fftc, ifftc

KEY = jax.random.key(0)
COUNT = 100


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    arrays = {
        "image": rng.random((COUNT, 8, 10), np.float32),
        "label": rng.integers(0, 4, (COUNT, 8, 10), np.int32),
        "class": np.eye(4, dtype=np.float32)[rng.integers(0, 4, COUNT)],
        "index": np.arange(COUNT, dtype=np.int32),
    }
    return jax.tree.map(jnp.asarray, arrays)


def changed(out, batch):
    return np.any(np.asarray(out["image"] != batch["image"]).reshape(COUNT, -1), 1)


def test_sometimes_is_as_often_as_asked_and_undone(batch):
    mirror = augment.flip(-1, probability=1.0)
    out = jax.jit(augment.sometimes(0.3, mirror))(KEY, batch)
    chosen = changed(out, batch)
    assert 15 < chosen.sum() < 45
    np.testing.assert_array_equal(out["image"][chosen], batch["image"][chosen][:, :, ::-1])
    back = jax.jit(augment.inverse(augment.sometimes(0.3, mirror)))(KEY, out)
    np.testing.assert_array_equal(back["image"], batch["image"])
    never = jax.jit(augment.sometimes(0.0, augment.noise(1.0)))(KEY, batch)
    assert not changed(never, batch).any()
    with pytest.raises(InputError, match="probability: expected a number from 0 to 1"):
        augment.sometimes(1.5, mirror)
    with pytest.raises(InputError, match="keeps names, shapes and dtypes"):
        augment.sometimes(0.5, augment.random_crop((4, 4)))(KEY, batch)


def test_one_of_takes_each_as_often(batch):
    across, down = (augment.flip(axis, probability=1.0) for axis in (-1, -2))
    choose = augment.one_of(across, down)
    out = jax.jit(choose)(KEY, batch)
    first, second = (
        (np.asarray(out["image"]) == np.flip(batch["image"], axis)).all((1, 2)) for axis in (2, 1)
    )
    assert (first ^ second).all()
    assert 30 < first.sum() < 70
    both = augment.chain(choose, across)
    back = jax.jit(lambda b: augment.inverse(both)(KEY, both(KEY, b)))(batch)
    np.testing.assert_array_equal(back["image"], batch["image"])
    with pytest.raises(InputError, match="one with an inverse"):
        augment.inverse(augment.one_of(across, augment.noise(0.1)))
    with pytest.raises(InputError, match="transforms: expected at least one"):
        augment.one_of()


def test_cutout_is_boxes_of_the_fill(batch):
    entries = {"image": Image(), "label": Labels()}
    out = jax.jit(augment.cutout(0.5, fill=-1.0, entries=entries))(KEY, batch)
    holes = np.asarray(out["image"]) == -1
    np.testing.assert_array_equal(
        np.asarray(out["image"])[~holes], np.asarray(batch["image"])[~holes]
    )
    np.testing.assert_array_equal(out["label"], batch["label"])
    for hole in holes:
        rows, columns = hole.any(1), hole.any(0)
        np.testing.assert_array_equal(hole, rows[:, None] & columns)
        assert rows.sum() <= 4
        assert columns.sum() <= 5
    assert (holes.sum((1, 2)) == 20).sum() > 10
    many = jax.jit(augment.cutout((0.1, 0.3), holes=4))(KEY, batch)["image"]
    assert 0.05 < np.mean(np.asarray(many) == 0) < 0.25
    for wrong in ({"size": 0.0}, {"size": (0.5, 0.2)}, {"size": 0.5, "holes": 0}):
        with pytest.raises(InputError):
            augment.cutout(**wrong)


def test_mixup_averages_images_and_classes_alike(batch):
    entries = {"image": Image(), "class": Classes()}
    out = jax.jit(augment.mixup(0.4, entries=entries))(KEY, batch)
    own, other = np.asarray(batch["image"]), np.roll(batch["image"], -1, 0)
    share = ((out["image"] - other) / (own - other)).reshape(COUNT, -1)
    share = np.median(share, 1)
    assert 0 <= share.min() < 0.1 < 0.9 < share.max() <= 1
    expected = share[:, None] * batch["class"] + (1 - share[:, None]) * np.roll(
        batch["class"], -1, 0
    )
    np.testing.assert_allclose(out["class"], expected, atol=1e-5)
    with pytest.raises(InputError, match="label: expected floating"):
        augment.mixup(0.4, entries={"label": Labels()})(KEY, batch)
    with pytest.raises(InputError, match="image: expected no points or boxes"):
        augment.mixup(0.4, entries={"image": Boxes()})(KEY, batch)
    with pytest.raises(InputError, match="alpha: expected a number above 0"):
        augment.mixup(0.0, entries=entries)


def test_cutmix_pastes_boxes_and_weighs_classes_by_area(batch):
    entries = {"image": Image(), "label": Labels(), "class": Classes()}
    out = jax.jit(augment.cutmix(entries=entries))(KEY, batch)
    pasted = np.asarray(out["image"]) != np.asarray(batch["image"])
    for name in ("image", "label"):
        both = np.where(pasted, np.roll(batch[name], -1, 0), batch[name])
        np.testing.assert_array_equal(out[name], both)
    for box in pasted:
        np.testing.assert_array_equal(box, box.any(1)[:, None] & box.any(0))
    area = pasted.mean((1, 2))
    assert 0 <= area.min() < 0.1 < 0.5 < area.max()
    expected = (1 - area[:, None]) * batch["class"] + area[:, None] * np.roll(batch["class"], -1, 0)
    np.testing.assert_allclose(out["class"], expected, atol=1e-5)


def test_kspace_is_augmented_by_way_of_its_images():
    rng = np.random.default_rng(0)
    coils = rng.standard_normal((3, 2, 6, 8, 2), np.float32).view(np.complex64)[..., 0]
    kspace = fftc(jnp.asarray(coils), 2)
    batch = {"kspace": kspace, "index": jnp.arange(3)}
    mirror = augment.flip(-1, probability=1.0, entries={"kspace": Image(channels="first")})
    there = augment.on_kspace(mirror)
    out = jax.jit(there)(KEY, batch)
    np.testing.assert_allclose(ifftc(out["kspace"], 2), coils[..., ::-1], atol=1e-5)
    np.testing.assert_allclose(
        jax.jit(augment.inverse(there))(KEY, out)["kspace"], kspace, atol=1e-5
    )
