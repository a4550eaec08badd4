"""Distances of images by what a fixed network sees in them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.image.resize import gradient_magnitude
from medjax.losses import l1, l2
from medjax.losses.perceptual import (
    backbone_maps,
    captured,
    contextual,
    on_gradients,
    perceptual,
    segmentation_perceptual,
)
from medjax.models import ResNet, UNet

KEY = jax.random.key(0, impl="philox2x32")


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


P, T = normal(0, 2, 4, 5, 1), normal(1, 2, 4, 5, 1)


def test_maps_are_weighted_and_no_gradient_goes_to_the_target():
    loss = perceptual(lambda x: (x, 2 * x), (1.0, 0.25))
    np.testing.assert_allclose(loss(P, T), 2 * l2(P, T), rtol=1e-5)
    np.testing.assert_array_equal(loss(P, P), 0)
    to_target = jax.grad(lambda t: loss(P, t).sum())(T)
    np.testing.assert_array_equal(to_target, 0)
    assert jax.grad(lambda p: loss(p, T).sum())(P).any()
    with pytest.raises(InputError, match="weights: expected 2, one for each feature map"):
        perceptual(lambda x: (x, x), (1.0,))(P, T)


class Inner(nn.Module):
    @nn.compact
    def __call__(self, x):
        return 3 * nn.Dense(2, name="dense")(x)


class Outer(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(1, name="head")(Inner(name="inner")(x))


def test_layers_inside_a_network_are_captured_by_their_paths():
    module = Outer()
    variables = module.init(KEY, P)
    dense, inner = captured(module, variables, ("inner/dense", "inner"))(P)
    kernel = variables["params"]["inner"]["dense"]["kernel"]
    np.testing.assert_allclose(dense, P @ kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(inner, 3 * dense, rtol=1e-6)
    for wrong in ("outer", "inner/other"):
        with pytest.raises(InputError, match="layers: expected names of submodules"):
            captured(module, variables, (wrong,))(P)


def test_any_backbone_and_any_segmentation_network_will_do():
    image = jax.ShapeDtypeStruct((2, 16, 16, 1), jnp.float32)
    backbone = ResNet(depths=(1, 1), block="basic", widths=(4, 4), stem=4)
    variables = jax.eval_shape(backbone.init, KEY, image)

    def values(variables, image):
        return perceptual(backbone_maps(backbone, variables, (0, 2)))(image, image)

    assert jax.eval_shape(values, variables, image).shape == (2,)
    network = UNet(2, (4, 8))
    learned = jax.eval_shape(network.init, KEY, image)

    def by_segmentation(variables, image):
        return segmentation_perceptual(network, variables, ("encoder0", "encoder1"))(image, image)

    assert jax.eval_shape(by_segmentation, learned, image).shape == (2,)


def test_the_segmentation_loss_adds_pixels_and_features():
    module = Outer()
    variables = module.init(KEY, P)
    seen = captured(module, variables, ("inner",))
    loss = segmentation_perceptual(module, variables, ("inner",), weight=0.5)
    wanted = l1(P, T) + 0.5 * l1(seen(P)[0], seen(T)[0])
    np.testing.assert_allclose(loss(P, T), wanted, rtol=1e-5)


def test_gradient_maps_are_what_is_compared():
    np.testing.assert_allclose(
        on_gradients(l1)(P, T), l1(gradient_magnitude(P), gradient_magnitude(T)), rtol=1e-6
    )
    np.testing.assert_allclose(on_gradients(l1)(P + 3, P), 0, atol=1e-5)


def test_the_contextual_loss_is_its_equations_and_does_not_mind_where_things_are():
    x, y = normal(2, 2, 2, 3, 4), normal(3, 2, 2, 3, 4)
    loss = jax.jit(contextual(lambda image: [image]))
    wanted = []
    for a, b in zip(np.asarray(x).reshape(2, 6, 4), np.asarray(y).reshape(2, 6, 4), strict=True):
        a, b = a - b.mean(0), b - b.mean(0)
        cosine = a @ b.T / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
        distance = (1 - cosine) / 2
        w = np.exp((1 - distance / (distance.min(1, keepdims=True) + 1e-5)) / 0.5)
        wanted.append(-np.log((w / w.sum(1, keepdims=True)).max(0).mean()))
    np.testing.assert_allclose(loss(x, y), wanted, rtol=1e-4)
    np.testing.assert_allclose(loss(y[:, ::-1], y), 0, atol=1e-4)
    assert np.isfinite(jax.jit(jax.grad(lambda x: contextual(lambda i: [i])(x, y).sum()))(y)).all()
    with pytest.raises(InputError, match="bandwidth: expected a number above 0"):
        contextual(lambda image: [image], 0.0)
