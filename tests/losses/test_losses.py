"""Laws of losses, by table: reference values, known values, edges and their gradients."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from medjax.core.errors import InputError
from medjax.losses import (
    LOSSES,
    cross_entropy,
    dice,
    dice_cross_entropy,
    l1,
    l2,
    rmse,
    ssim,
    weighted,
)

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "metrics.npz")
PIXEL = ("l1", "l2", "rmse", "ssim")
OVERLAP = ("dice", "cross_entropy", "dice_cross_entropy")
# Of a prediction by itself: their laws are in test_regularity.
REGULARITY = ("low_rank", "vectorial_total_variation")
SHAPE = (2, 8, 9)


def complex_image(seed: int, shape=SHAPE):
    a, b = jax.random.split(jax.random.key(seed))
    return jax.lax.complex(jax.random.normal(a, shape), jax.random.normal(b, shape))


def value_and_gradient(loss, prediction, target):
    def total(x):
        values = loss(x, target)
        assert values.shape == prediction.shape[:1]
        assert values.dtype == jnp.float32
        return jnp.sum(values), values

    (_, values), gradient = jax.value_and_grad(total, has_aux=True)(prediction)
    return values, gradient


def test_every_loss_is_in_a_table():
    assert set(LOSSES) == {*PIXEL, *OVERLAP, *REGULARITY}


@pytest.mark.parametrize("case", ["2d", "3d"])
def test_ssim_agrees_with_scikit_image(case):
    prediction = jnp.asarray(REFERENCE[f"{case}/prediction"])
    target = jnp.asarray(REFERENCE[f"{case}/target"])
    expected = 1 - REFERENCE[f"{case}/ssim"]
    np.testing.assert_allclose(jax.jit(ssim)(prediction, target), expected, atol=1e-6)
    # The same magnitudes with other phases.
    turned = (
        jax.lax.complex(0.6 * prediction, 0.8 * prediction),
        jax.lax.complex(0 * target, target),
    )
    np.testing.assert_allclose(ssim(*turned), expected, atol=1e-6)


def test_overlap_losses_agree_with_float64():
    logits = jnp.asarray(REFERENCE["labels/logits"])
    labels = jnp.asarray(REFERENCE["labels/target"])
    both = REFERENCE["labels/soft_dice"], REFERENCE["labels/cross_entropy"]
    np.testing.assert_allclose(dice(logits, labels), both[0], rtol=2e-6)
    np.testing.assert_allclose(cross_entropy(logits, labels), both[1], rtol=2e-6)
    np.testing.assert_allclose(dice_cross_entropy(logits, labels), sum(both), rtol=2e-6)


def test_known_distances():
    target = jnp.zeros((2, 4, 5), jnp.complex64)
    prediction = target.at[0].add(3 + 4j)
    np.testing.assert_allclose(l1(prediction, target), [5, 0])
    np.testing.assert_allclose(l2(prediction, target), [25, 0])
    np.testing.assert_allclose(rmse(prediction, target), [5, 0])
    np.testing.assert_allclose(l1(prediction.real, target.real), [3, 0])
    np.testing.assert_allclose(l2(prediction.real, target.real), [9, 0])


@pytest.mark.parametrize("name", PIXEL)
def test_pixel_losses_at_their_edges(name):
    """Finite values and gradients for equal, empty and constant images."""
    image = complex_image(0)
    empty, flat = jnp.zeros_like(image), jnp.ones_like(image)
    loss = jax.jit(lambda p, t: value_and_gradient(LOSSES[name], p, t))
    for prediction, target in (
        (image, image),
        (image, empty),
        (empty, image),
        (empty, empty),
        (flat, flat),
        (flat, 2 * flat),
    ):
        values, gradient = loss(prediction, target)
        assert np.isfinite(values).all()
        assert np.isfinite(gradient).all()
        if prediction is target:
            np.testing.assert_allclose(values, 0, atol=1e-6)
            np.testing.assert_allclose(gradient, 0, atol=1e-6)
        else:
            assert np.all(values > 0)


@pytest.mark.parametrize("name", PIXEL)
def test_gradients_of_pixel_losses(name):
    with jax.enable_x64(True):
        prediction, target = (jax.random.normal(jax.random.key(i), (1, 7, 8)) for i in (1, 2))

        def loss(p):
            return LOSSES[name](jax.lax.complex(p, 0.3 * p), jax.lax.complex(target, target))[0]

        check_grads(jax.jit(loss), (prediction,), order=1, modes=["rev"])


@pytest.mark.parametrize("name", OVERLAP)
def test_overlap_losses_at_their_edges(name):
    """Finite values and gradients where a class is absent, alone, or certain."""
    labels = jnp.array([[0, 0, 1, 1], [1, 1, 1, 1]])
    right = 2 * jax.nn.one_hot(labels, 3) - 1
    loss = jax.jit(lambda z: value_and_gradient(LOSSES[name], z, labels))
    before = np.inf
    for scale in (-1e4, -10.0, 0.0, 1.0, 10.0, 1e4):
        values, gradient = loss(scale * right)
        assert np.isfinite(values).all()
        assert np.isfinite(gradient).all()
        assert np.all(values < before)
        # In float32 the loss may be flat where the answer is certain.
        before = np.asarray(values) + 1e-6
    np.testing.assert_allclose(values, 0, atol=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_low_precision_is_summed_in_float32(name):
    shape = SHAPE if name in PIXEL else (*SHAPE, 3)
    target = jnp.ones(SHAPE, jnp.float32 if name in PIXEL else jnp.uint8)
    x = jax.random.normal(jax.random.key(0), shape).astype(jnp.bfloat16)
    loss = jax.jit(LOSSES[name])
    got = loss(x, target)
    assert got.dtype == jnp.float32
    np.testing.assert_array_equal(got, loss(x.astype(jnp.float32), target))


def test_weighted_sums():
    prediction, target = complex_image(1), complex_image(2)
    loss = weighted(((0.84, ssim), (0.16, l1)))
    expected = 0.84 * ssim(prediction, target) + 0.16 * l1(prediction, target)
    np.testing.assert_allclose(loss(prediction, target), expected, rtol=1e-6)
    with pytest.raises(InputError, match="at least one"):
        weighted(())


@pytest.mark.parametrize("name", PIXEL)
def test_images_that_cannot_be_compared(name):
    image = complex_image(0)
    for prediction, target in (
        (image, image.real),
        (image[:1], image),
        (image.real, jnp.ones(SHAPE, jnp.int32)),
    ):
        with pytest.raises(InputError, match=name):
            LOSSES[name](prediction, target)


@pytest.mark.parametrize("name", OVERLAP)
def test_labels_that_do_not_fit(name):
    logits, labels = jnp.zeros((2, 4, 3)), jnp.zeros((2, 4), jnp.int32)
    for prediction, target in (
        (logits, labels.astype(jnp.float32)),
        (logits.astype(jnp.int32), labels),
        (logits, labels[..., None]),
        (logits[..., 0], labels[..., 0]),
    ):
        with pytest.raises(InputError, match=r"expected (integer labels|logits)"):
            LOSSES[name](prediction, target)
