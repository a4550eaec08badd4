"""Augmentation of what a discriminator sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.augment.discriminator import (
    about_mean,
    adaptive,
    diff_augment,
    saturation,
    translate,
)
from medjax.core.errors import InputError

KEY = jax.random.key(0, impl="philox2x32")


def batch(*shape):
    x = np.random.default_rng(0).standard_normal(shape)
    return {"image": jnp.asarray(x, jnp.float32), "index": jnp.arange(shape[0], dtype=jnp.int32)}


def applied(transform, batch):
    return np.asarray(jax.jit(transform)(KEY, batch)["image"])


@pytest.mark.parametrize("spatial", [(8, 9), (8, 6, 7)])
def test_diff_augment_keeps_shapes_and_gives_finite_slopes(spatial):
    b = batch(3, *spatial, 2)

    @jax.jit
    def both(image):
        def total(x):
            y = diff_augment()(KEY, {**b, "image": x})["image"]
            return jnp.sum(y**2), y

        return jax.grad(total, has_aux=True)(image)

    slope, y = both(b["image"])
    assert y.shape == slope.shape == b["image"].shape
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() > 0
    assert (np.asarray(y) == 0).any((1, 2)).any()  # a hole


def test_shifts_are_whole_and_zeros_come_in():
    b = batch(16, 8, 8, 1)
    moved = applied(translate(1 / 4), b)
    shifts = set()
    for image, y in zip(np.asarray(b["image"]), moved, strict=True):
        wide = np.pad(image, ((2, 2), (2, 2), (0, 0)))
        found = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if np.array_equal(wide[i : i + 8, j : j + 8], y)
        ]
        assert len(found) == 1
        shifts.add(found[0])
    assert len(shifts) > 5


def test_contrast_keeps_the_mean_and_saturation_each_voxels():
    b = batch(8, 4, 4, 3)
    x = np.asarray(b["image"])
    y = applied(about_mean(0.5), b)
    np.testing.assert_allclose(y.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-6)
    factor = y.std((1, 2, 3)) / x.std((1, 2, 3))
    assert 0.5 <= factor.min() < factor.max() <= 1.5
    y = applied(saturation(1.0), b)
    np.testing.assert_allclose(y.mean(-1), x.mean(-1), atol=1e-6)
    assert not np.allclose(y, x)
    single = batch(2, 4, 4, 1)
    np.testing.assert_array_equal(applied(saturation(1.0), single), single["image"])


def test_a_chance_of_zero_changes_nothing_and_one_changes_all():
    b = batch(4, 6, 6, 1)
    run = jax.jit(lambda chance: adaptive().transform(chance)(KEY, b)["image"])
    np.testing.assert_array_equal(run(jnp.float32(0)), b["image"])
    changed = np.asarray(run(jnp.float32(1)) != b["image"]).any((1, 2, 3))
    assert changed.all()


def test_wrong_arguments_are_refused():
    with pytest.raises(InputError, match="policy: expected some of colour, translation, cutout"):
        diff_augment(("color",))
    with pytest.raises(InputError, match="target"):
        adaptive(target=1.0)
    with pytest.raises(InputError, match="images: expected a number above 0"):
        adaptive(images=0)
    with pytest.raises(InputError, match="share"):
        translate(2.0)
