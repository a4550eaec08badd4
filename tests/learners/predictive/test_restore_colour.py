"""Restoration and colours: errors are taken where they should be, colours are shared by bins."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from learners.learner_cases.predictive import Tiny

from medjax.core.errors import InputError
from medjax.image.colour import rgb_to_lab
from medjax.learners import predictive
from medjax.learners.predictive.colour import colour_bins, lightness, share_colour, share_level
from medjax.models.pretraining import PixelHead, Restorer
from medjax.models.unet import UNet

KEY = jax.random.key(0, impl="philox2x32")


class Same(nn.Module):
    """The image, times a learned number."""

    @nn.compact
    def __call__(self, x, train=False):
        return self.param("gain", nn.initializers.ones, (), jnp.float32) * x


def batch(*shape):
    image = np.random.default_rng(0).random(shape, np.float32)
    return {"image": jnp.asarray(image), "index": jnp.arange(shape[0])}


def first_loss(learner, batch):
    def loss(batch):
        return learner.step(learner.init(KEY, batch), batch, KEY)[1]["loss"]

    return float(jax.jit(loss)(batch))


def test_inpainting_takes_the_error_within_the_boxes():
    x = batch(3, 12, 12, 1)
    # Halves apart by 2 about each image's mean: what is filled in is 1 off everywhere.
    half = jnp.where(jnp.arange(12) % 2 == 0, 1.0, -1.0).reshape(1, 12, 1, 1)
    x["image"] = jnp.broadcast_to(half, (3, 12, 12, 1)) + 5
    assert first_loss(predictive.inpainting(Same(), optax.sgd(0.1)), x) == pytest.approx(1)


def test_an_identity_is_off_by_the_damage():
    x = batch(3, 12, 12, 1)
    for learner in (
        predictive.context_restoration(Same(), optax.sgd(0.1), patch=3, swaps=2),
        predictive.models_genesis(Same(), optax.sgd(0.1)),
    ):
        assert 1e-3 < first_loss(learner, x) < 0.5
    untouched = predictive.models_genesis(Same(), optax.sgd(0.1), shuffle=0, remap=0, paint=0)
    assert first_loss(untouched, x) == 0
    with pytest.raises(InputError, match="paint: expected a number from 0 to 1"):
        predictive.models_genesis(Same(), optax.sgd(0.1), paint=1.5)


def test_restorers_give_images_of_any_size():
    for shape in ((1, 13, 9, 2), (1, 6, 9, 7, 1)):
        x = batch(*shape)["image"]
        for backbone in (Tiny(), UNet(shape[-1], (4, 8))):
            restorer = Restorer(backbone, 32)
            out, _ = jax.eval_shape(lambda x, r=restorer: r.init_with_output(KEY, x), x)
            assert out.shape == x.shape
    with pytest.raises(InputError, match=r"backbone: expected one that maps images to \(8, 8, 1\)"):
        Restorer(UNet(2, (4, 8))).init(KEY, batch(1, 8, 8, 1)["image"])


def test_a_linear_head_writes_each_place_where_it_is():
    head = PixelHead(1)
    x = jnp.arange(6.0).reshape(1, 2, 3, 1)
    params = {"linear": {"kernel": jnp.ones((1, 8)), "bias": jnp.arange(8.0) / 100}}
    y = np.asarray(head.apply({"params": params}, x, (4, 12)))[0, ..., 0]
    patch = np.arange(8).reshape(2, 4) / 100
    wanted = np.kron(np.arange(6).reshape(2, 3), np.ones((2, 4))) + np.tile(patch, (2, 3))
    np.testing.assert_allclose(y, wanted, rtol=1e-6)


def test_colours_are_shared_by_their_nearest_bins():
    bins = colour_bins()
    # Zhang et al. count 313 with a gamut of their own.
    assert 220 < len(bins) < 330
    rgb = np.random.default_rng(0).random((2, 3, 4, 3))
    values = rgb_to_lab(rgb)[..., 1:].astype(np.float32)
    shares = np.asarray(share_colour(jnp.asarray(values)))
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-5)
    assert ((shares > 0).sum(-1) == 5).all()
    distance = np.linalg.norm(values[..., None, :] - bins, axis=-1)
    np.testing.assert_array_equal(shares.argmax(-1), distance.argmin(-1))
    two = np.sort(distance[0, 0, 0])[:2]
    ratio = np.exp((two[1] ** 2 - two[0] ** 2) / 50)
    top = np.sort(shares[0, 0, 0])[::-1]
    np.testing.assert_allclose(top[0] / top[1], ratio, rtol=1e-3)

    levels = np.asarray(share_level(jnp.asarray([0.0, 0.25, 1.0])))
    np.testing.assert_allclose(levels @ np.arange(32) / 31, [0, 0.25, 1], atol=1e-6)
    assert (levels.sum(-1) == 1).all()


def test_colourisation_sees_no_colour():
    learner = predictive.colourisation(Tiny(), optax.sgd(0.1))
    x = batch(2, 8, 8, 3)
    grey = np.asarray(lightness(x["image"]))
    assert (np.ptp(grey, axis=-1) == 0).all()
    np.testing.assert_allclose(grey[..., 0] * 50 + 50, rgb_to_lab(x["image"])[..., 0], rtol=1e-5)
    loss = first_loss(learner, x)
    assert 0.5 * np.log(len(colour_bins())) < loss < 2 * np.log(len(colour_bins()))
    with pytest.raises(InputError, match="kind: expected one of colour, intensity"):
        predictive.colourisation(Tiny(), optax.sgd(0.1), kind="hue")
    with pytest.raises(InputError, match=r"image: expected floating \(\.\.\., 3\)"):
        learner.init(KEY, batch(2, 8, 8, 1))
