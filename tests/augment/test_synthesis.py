"""Label synthesis: the distributions it says, no label that shows, keyed by sample."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.augment.synthesis import _acquisition, _contrast, synthesise, synthseg
from medjax.core.errors import InputError

LABELS = (0, 2, 41, 530)


def batch(shape=(16, 20), indices=(4, 9, 2)):
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, len(LABELS), (len(indices), *(n // 4 for n in shape)))
    for axis in range(1, 1 + len(shape)):
        blocks = np.repeat(blocks, 4, axis)
    maps = np.asarray(LABELS)[blocks]
    return {"label": jnp.asarray(maps, jnp.int32), "index": jnp.asarray(indices, jnp.int32)}


def test_a_samples_image_is_its_own():
    transform = jax.jit(synthseg(LABELS, targets={2: 1, 41: 1}))
    full = batch()
    whole = transform(jax.random.key(0), full)
    assert whole["image"].shape == full["label"].shape
    assert whole["image"].dtype == jnp.float32
    assert float(whole["image"].min()) >= 0
    assert float(whole["image"].max()) <= 1
    assert set(np.unique(whole["label"])) <= {0, 1}
    order = jnp.asarray([2, 0, 0])
    part = transform(jax.random.key(0), jax.tree.map(lambda x: x[order], full))
    np.testing.assert_allclose(part["image"], whole["image"][order], atol=1e-5)
    np.testing.assert_array_equal(part["label"], whole["label"][order])
    # Of one map, samples of other indices have other contrasts.
    same = {**full, "label": jnp.broadcast_to(full["label"][:1], full["label"].shape)}
    images = transform(jax.random.key(0), same)["image"]
    assert float(jnp.abs(images[0] - images[1]).max()) > 0.05


def test_labels_of_a_group_look_alike_and_numbers_tell_nothing():
    # Twenty voxels of one label between others, out of reach of the smallest blur. The
    # last two are not listed.
    line = np.repeat(np.asarray([0, 2, 41, 530, 77, -3]), 20)[None, None, None]
    maps = jnp.asarray(np.broadcast_to(line, (400, 1, 2, 120)), jnp.int32)
    many = {"label": maps, "index": jnp.arange(400)}
    plain = {"bias": 0.0, "gamma": 0.0, "coarsest": 1.0, "coarsest_isotropic": 1.0}
    transform = synthesise(
        LABELS, groups=(0, 1, 1, 2), targets={530: 3}, deviations=(0.0, 0.0), **plain
    )
    out = jax.jit(transform)(jax.random.key(0), many)
    levels = np.asarray(out["image"])[:, 0, 0, 10::20]
    np.testing.assert_allclose(levels[:, 1], levels[:, 2], atol=1e-5)
    # Whatever the label's value: each group is as often brighter as darker than another.
    assert 0.4 < np.mean(levels[:, 3] > levels[:, 1]) < 0.6
    np.testing.assert_allclose(levels[:, 4:], 0, atol=1e-5)
    np.testing.assert_array_equal(out["label"], np.where(maps == 530, 3, 0))


def test_contrasts_have_the_papers_distribution():
    def draw(key):
        return _contrast(key, jax.random.fold_in(key, 1), 3, 0, (0.0, 250.0), (0.0, 30.0))

    mean, deviation = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 4000))
    assert not mean[:, 3].any()
    assert not deviation[:, 3].any()
    np.testing.assert_allclose(mean[:, 1:3].mean(), 125, rtol=0.03)
    np.testing.assert_allclose(mean[:, 1:3].std(), 250 / 12**0.5, rtol=0.03)
    np.testing.assert_allclose(deviation[:, 1:3].mean(), 15, rtol=0.03)
    np.testing.assert_allclose(np.mean(mean[:, 0] == 0), 0.05, atol=0.015)
    # A quarter by intention, and those that happen to be dark.
    np.testing.assert_allclose(np.mean(mean[:, 0] < 15), 0.3 + 0.7 * 15 / 250, atol=0.03)
    assert float(deviation[:, 0][(mean[:, 0] < 15) & (mean[:, 0] > 0)].min()) >= 0


def test_acquisition_blurs_samples_and_interpolates():
    matrix = np.asarray(_acquisition(40, jnp.float32(4.0), jnp.float32(1.0)))
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-5)
    line = np.random.default_rng(0).random(40)
    got = matrix @ line
    # Voxels of the scan lie at 0, 4, ..., 36, and lines between.
    np.testing.assert_allclose(
        got[5:8], got[4] + (got[8] - got[4]) * np.arange(1, 4) / 4, rtol=1e-5
    )
    taps = np.exp(-0.5 * (np.arange(40) - 8) ** 2)
    np.testing.assert_allclose(got[8], taps @ line / taps.sum(), rtol=1e-5)
    np.testing.assert_allclose(got[36:], got[36], rtol=1e-5)
    # Constants and, inside, ramps stay.
    ramp = np.asarray(_acquisition(40, jnp.float32(2.5), jnp.float32(0.5))) @ np.arange(40.0)
    np.testing.assert_allclose(ramp[3:36], np.arange(3, 36), atol=1e-3)


def test_what_cannot_be_used_is_named():
    floating = {"label": jnp.ones((1, 4, 4)), "index": jnp.zeros(1, jnp.int32)}
    for what, call in (
        ("labels", lambda: synthesise((0, 1, 1))),
        ("labels", lambda: synthesise((0, -1))),
        ("groups", lambda: synthesise((0, 1), groups=(0, 2))),
        ("groups", lambda: synthesise((0, 1), groups=(0,))),
        ("means", lambda: synthesise((0, 1), means=(9.0, 1.0))),
        ("coarsest", lambda: synthesise((0, 1), spacing=5.0)),
        ("label", lambda: synthesise((0, 1))(jax.random.key(0), floating)),
    ):
        with pytest.raises(InputError) as raised:
            call()
        assert raised.value.what == what
