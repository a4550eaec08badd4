"""Laws of metrics, by table: reference values, known values, edges."""

from __future__ import annotations

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.image.similarity import ssim_map
from medjax.metrics import METRICS, dice, iou, mae, mse, nmse, psnr, rmse, ssim

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "metrics.npz")
IMAGE = ("mae", "mse", "rmse", "nmse", "psnr", "ssim")
OVERLAP = ("dice", "iou")
RANKED = ("average_precision", "best_dice", "auroc")  # their tests are in test_anomaly
# Of sets and of several scales: their laws are in metrics/generative.
SETS = (
    "ms_ssim",
    "frechet_distance",
    "kernel_distance",
    "inception_score",
    "precision_recall",
    "density_coverage",
    "ms_ssim_diversity",
    "mode_collapse",
    "data_copying",
    "membership_advantage",
)


def noisy(seed: int = 0, shape=(2, 9, 10)):
    a, b = jax.random.split(jax.random.key(seed))
    target = jax.random.uniform(a, shape)
    return target + 0.1 * jax.random.normal(b, shape), target


def test_every_metric_is_in_a_table():
    assert set(METRICS) == {*IMAGE, *OVERLAP, *RANKED, *SETS}


@pytest.mark.parametrize("name", ["mse", "nmse", "psnr", "ssim"])
@pytest.mark.parametrize("case", ["2d", "3d"])
def test_image_metrics_agree_with_scikit_image(name, case):
    prediction = jnp.asarray(REFERENCE[f"{case}/prediction"])
    target = jnp.asarray(REFERENCE[f"{case}/target"])
    got = jax.jit(METRICS[name])(prediction, target)
    np.testing.assert_allclose(got, REFERENCE[f"{case}/{name}"], rtol=2e-6)


@pytest.mark.parametrize("name", OVERLAP)
def test_overlap_agrees_with_scikit_learn(name):
    prediction = jnp.argmax(jnp.asarray(REFERENCE["labels/logits"]), axis=-1)
    target = jnp.asarray(REFERENCE["labels/target"])
    got = METRICS[name](prediction, target, classes=3)
    np.testing.assert_allclose(got, REFERENCE[f"labels/{name}"], rtol=1e-6)


def test_known_errors():
    target = jnp.full((2, 4, 4), 2.0)
    prediction = target + jnp.array([0.5, -1.0]).reshape(2, 1, 1)
    np.testing.assert_allclose(mae(prediction, target), [0.5, 1.0])
    np.testing.assert_allclose(mse(prediction, target), [0.25, 1.0])
    np.testing.assert_allclose(rmse(prediction, target), [0.5, 1.0])
    np.testing.assert_allclose(nmse(prediction, target), [0.0625, 0.25])
    np.testing.assert_allclose(psnr(prediction, target), [12.0412, 6.0206], rtol=1e-5)


def test_ssim_of_constant_images_is_their_luminance():
    one, two = jnp.full((1, 8, 8), 1.0), jnp.full((1, 8, 8), 2.0)
    c1 = (0.01 * 2) ** 2
    np.testing.assert_allclose(ssim(one, two), [(4 + c1) / (5 + c1)], rtol=1e-6)


def test_equal_images_score_best():
    _, image = noisy()
    best = {"mae": 0, "mse": 0, "rmse": 0, "nmse": 0, "psnr": np.inf, "ssim": 1}
    for name in IMAGE:
        np.testing.assert_allclose(jax.jit(METRICS[name])(image, image), best[name], rtol=1e-6)


def test_an_empty_target_has_no_scale():
    prediction, target = noisy()
    target = target.at[1].set(0)
    for name in ("nmse", "psnr", "ssim"):
        for second in (prediction, target):
            got = jax.jit(METRICS[name])(second, target)
            assert not np.isnan(got[0])
            assert np.isnan(got[1])
    assert np.isfinite(psnr(prediction, target, data_range=1.0)).all()
    np.testing.assert_allclose(ssim(target, target, data_range=1), 1, rtol=1e-6)


def test_a_range_can_be_of_the_volume():
    prediction, target = noisy()
    by_number = psnr(prediction, target, data_range=3.0)
    by_sample = psnr(prediction, target, data_range=jnp.array([3.0, 3.0]))
    np.testing.assert_array_equal(by_number, by_sample)
    by_default = psnr(prediction, target)
    shift = 20 * np.log10(3 / np.max(target, axis=(1, 2)))
    np.testing.assert_allclose(by_number - by_default, shift, rtol=1e-4)
    with pytest.raises(InputError, match="data_range"):
        ssim(prediction, target, data_range=jnp.ones((3,)))


def test_ssim_in_float32_keeps_its_digits_far_from_zero():
    rng = np.random.default_rng(0)
    target = (rng.random((1, 24, 24)) + 1000).astype(np.float32)
    prediction = (target + 0.2 * rng.standard_normal(target.shape)).astype(np.float32)
    compiled = jax.jit(functools.partial(ssim_map, data_range=1.0))
    narrow = compiled(jnp.asarray(prediction), jnp.asarray(target))
    assert narrow.dtype == jnp.float32
    with jax.enable_x64(True):
        wide = compiled(jnp.asarray(prediction, jnp.float64), jnp.asarray(target, jnp.float64))
        np.testing.assert_allclose(np.asarray(narrow), np.asarray(wide), atol=2e-5)


@pytest.mark.parametrize("name", IMAGE)
def test_low_precision_is_summed_in_float32(name):
    prediction, target = (x.astype(jnp.bfloat16) for x in noisy())
    got = jax.jit(METRICS[name])(prediction, target)
    assert got.dtype == jnp.float32
    exact = jax.jit(METRICS[name])(prediction.astype(jnp.float32), target.astype(jnp.float32))
    np.testing.assert_array_equal(got, exact)


@pytest.mark.parametrize("name", IMAGE)
def test_images_that_cannot_be_compared(name):
    prediction, target = noisy()
    metric = METRICS[name]
    with pytest.raises(InputError, match=r"jnp\.abs"):
        metric(prediction.astype(jnp.complex64), target)
    with pytest.raises(InputError, match="floating"):
        metric(jnp.ones((2, 9, 10), jnp.uint8), target)
    with pytest.raises(InputError, match="one shape"):
        metric(prediction[:1], target)


@pytest.mark.parametrize("shape", [(2, 9, 6), (2, 9), (1, 7, 7, 7, 7)])
def test_ssim_needs_room_for_its_window(shape):
    image = jnp.ones(shape)
    with pytest.raises(InputError, match="at least 7"):
        ssim(image, image)


def test_known_overlaps():
    target = jnp.array([[0, 0, 1, 1, 2, 9]])
    prediction = jnp.array([[0, 1, 1, 1, 0, 0]])
    # Class 3 is absent from both; the label 9 belongs to no class, its guess counts.
    expected = [[2 / 5, 4 / 5, 0, np.nan]]
    np.testing.assert_allclose(dice(prediction, target, classes=4), expected, rtol=1e-6)
    expected = [[1 / 4, 2 / 3, 0, np.nan]]
    np.testing.assert_allclose(iou(prediction, target, classes=4), expected, rtol=1e-6)


@pytest.mark.parametrize("name", OVERLAP)
def test_masks_and_labels_say_the_same(name):
    a, b = jax.random.split(jax.random.key(0))
    prediction, target = (jax.random.randint(k, (2, 3, 4, 5), 0, 3) for k in (a, b))
    masks = [jnp.stack([x == i for i in range(3)], axis=-1) for x in (prediction, target)]
    metric = METRICS[name]
    by_label = jax.jit(functools.partial(metric, classes=3))(prediction, target)
    np.testing.assert_array_equal(metric(*masks), by_label)
    full = jnp.ones((1, 4, 2), bool)
    np.testing.assert_array_equal(metric(full, full), [[1.0, 1.0]])
    np.testing.assert_array_equal(metric(full, ~full), [[0.0, 0.0]])
    assert np.isnan(metric(~full, ~full)).all()


@pytest.mark.parametrize("name", OVERLAP)
def test_segmentations_that_cannot_be_compared(name):
    metric = METRICS[name]
    labels, masks = jnp.zeros((1, 4), jnp.int32), jnp.zeros((1, 4, 2), bool)
    for arguments in (
        {"prediction": labels, "target": labels},
        {"prediction": masks, "target": masks, "classes": 2},
        {"prediction": masks[0], "target": masks[0]},
        {"prediction": masks, "target": masks.astype(jnp.int32), "classes": 2},
        {"prediction": masks.astype(jnp.float32), "target": masks.astype(jnp.float32)},
        {"prediction": masks, "target": masks[..., :1]},
    ):
        with pytest.raises(InputError, match=name):
            metric(**arguments)
