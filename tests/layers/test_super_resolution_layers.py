"""Parts of super-resolution networks: known values, PyTorch's, and what is written in full."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.layers.fuzzy import FuzzyRules
from medjax.layers.implicit import FourierPatches, LocalImplicit
from medjax.layers.map_attention import EntropyAttention, information
from medjax.layers.subpixel import SubPixel, nearest, pixel_shuffle, scale_stages
from medjax.layers.texture import texture_transfer
from medjax.layers.unfold import unfolded

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")
REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "super_resolution.npz")


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def last(name):
    """A stored array of PyTorch's, channels last."""
    return jnp.asarray(np.moveaxis(REFERENCE[name], 1, -1))


def test_channels_become_the_places_of_a_block():
    x = jnp.arange(24.0).reshape(1, 1, 2, 12)  # two channels of blocks of 2 x 3
    y = pixel_shuffle(x, (2, 3))
    assert y.shape == (1, 2, 6, 2)
    np.testing.assert_array_equal(y[0, :, :, 0], [[0, 1, 2, 12, 13, 14], [3, 4, 5, 15, 16, 17]])
    np.testing.assert_array_equal(y[0, 1, :3, 1], [9, 10, 11])
    assert pixel_shuffle(normal(0, 1, 2, 3, 4, 8), (1, 2, 2)).shape == (1, 2, 6, 8, 2)
    with pytest.raises(InputError, match="pixel_shuffle: expected a multiple of 4 channels, got 6"):
        pixel_shuffle(normal(0, 1, 2, 2, 6), 2)


@pytest.mark.parametrize(("spatial", "scale"), [((3, 4), (2, 3)), ((2, 3, 2), (1, 1, 2))])
def test_a_sub_pixel_convolution_begins_as_nearest_neighbours(spatial, scale):
    x, module = normal(0, 1, *spatial, 2), SubPixel(3, scale)
    y, _ = jax.jit(module.init_with_output)(KEY, x)
    np.testing.assert_allclose(y, nearest(y[:, *(slice(None, None, s) for s in scale)], scale))
    assert y.std() > 0.1


def test_scales_are_taken_by_prime_factors():
    assert scale_stages((1, 4, 6)) == [(1, 2, 2), (1, 2, 3)]
    assert scale_stages((3,)) == [(3,)]
    assert scale_stages((1, 1)) == []


def test_a_neighbourhood_is_unfolded_row_by_row():
    x = unfolded(jnp.arange(4.0).reshape(1, 2, 2, 1))
    assert x[0, 0, 0].tolist() == [0, 0, 0, 0, 0, 1, 0, 2, 3]
    assert unfolded(normal(0, 1, 2, 3, 4, 2), (1, 3, 1)).shape == (1, 2, 3, 4, 6)


def test_texture_transfer_is_that_of_pytorch():
    values = {scale: last(f"texture_value{scale}") for scale in (1, 2)}
    query, key = last("texture_query"), last("texture_key")
    textures, relevance = jax.jit(texture_transfer)(query, key, values)
    np.testing.assert_allclose(relevance[..., 0], REFERENCE["texture_relevance"], rtol=1e-5)
    for scale in values:
        np.testing.assert_allclose(textures[scale], last(f"texture_out{scale}"), rtol=1e-5)


def test_texture_of_an_image_in_itself_is_the_image():
    x = normal(0, 1, 3, 4, 3, 2)
    textures, relevance = jax.jit(texture_transfer)(x, x, {1: x})
    np.testing.assert_allclose(textures[1], x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(relevance, 1, rtol=1e-5)
    with pytest.raises(InputError, match=r"values: expected sizes \(6, 8, 6\) at scale 2"):
        texture_transfer(x, x, {2: x})


def dense(params, name, x):
    return x @ np.asarray(params[name]["kernel"]) + np.asarray(params[name]["bias"])


def test_the_implicit_decoder_is_its_definition_at_every_place():
    x, sizes, module = normal(0, 1, 3, 2, 2), (4, 5), LocalImplicit(2, (5,))
    variables = jax.jit(module.init, static_argnums=2)(KEY, x, sizes)
    got = jax.jit(module.apply, static_argnums=2)(variables, x, sizes)
    params, wide = variables["params"], np.pad(np.asarray(x[0]), [(1, 1), (1, 1), (0, 0)])
    for i, j in np.ndindex(*sizes):
        at = [(i + 0.5) * 3 / 4 - 0.5, (j + 0.5) * 2 / 5 - 0.5]
        total = 0
        for a, b in np.ndindex(2, 2):
            corner = np.floor(at) + [a, b]
            weight = np.prod(1 - np.abs(at - corner))
            u, v = (int(c) for c in np.clip(corner, 0, [2, 1]))
            told = [at[0] - u, at[1] - v, 3 / 4, 2 / 5]
            hidden = np.concatenate([wide[u : u + 3, v : v + 3].ravel(), told])
            hidden = np.maximum(dense(params, "hidden0", hidden), 0)
            total = total + weight * dense(params, "head", hidden)
        np.testing.assert_allclose(got[0, i, j], total, rtol=1e-4, atol=1e-5)


def test_a_patch_is_the_sum_of_its_waves():
    # One patch, all of whose coefficients are a bias: an explicit function of place.
    x, sizes = normal(0, 1, 2, 3, 2), (4, 5)
    module = FourierPatches(1, (2, 3), 2, 1.0, ())
    shapes = jax.eval_shape(lambda key: module.init(key, x, sizes), KEY)["params"]
    params = jax.tree.map(lambda s: jnp.zeros(s.shape), shapes)
    bias = normal(1, 18)
    params["coefficients"]["bias"] = bias
    steps = [np.array([[0.5], [0.75]]), np.array([[1.0], [0.25]])]
    params |= {f"steps{i}": jnp.asarray(s, jnp.float32) for i, s in enumerate(steps)}
    got = jax.jit(module.apply, static_argnums=2)({"params": params}, x, sizes)
    a = np.asarray(bias).reshape(3, 3, 2)
    for i, j in np.ndindex(*sizes):
        at = (i + 0.5) * 2 / 4, (j + 0.5) * 3 / 5
        total = 0
        for (m, n), (cosine, minus_sine) in zip(np.ndindex(3, 3), a.reshape(-1, 2), strict=True):
            waves = [
                np.array([-s[0, 0], 0, s[1, 0]])[t] for s, t in zip(steps, (m, n), strict=True)
            ]
            phase = np.pi * sum(w * p for w, p in zip(waves, at, strict=True))
            total += cosine * np.cos(phase) - minus_sine * np.sin(phase)
        np.testing.assert_allclose(got[0, i, j, 0], total, rtol=1e-4, atol=1e-5)


def test_information_is_one_for_flat_channels_and_small_for_a_peak():
    flat, peak = jnp.zeros((1, 9, 1)), jnp.zeros((1, 9, 1)).at[0, 4].set(50.0)
    np.testing.assert_allclose(information(jnp.concatenate([flat, peak], -1)), [[1, 0]], atol=1e-5)


def test_the_attention_of_a_flat_channel_has_a_slope():
    module, x = EntropyAttention(2), jnp.ones((1, 3, 3, 2))
    slope = jax.jit(jax.grad(lambda x: module.apply(module.init(KEY, x), x).sum()))(x)
    assert np.isfinite(slope).all()


def test_fuzzy_rules_are_means_of_memberships():
    x, module = normal(0, 1, 2, 3, 4), FuzzyRules(5)
    centre, width = normal(1, 4, 5), normal(2, 4, 5)
    apply = jax.jit(lambda x: module.apply({"params": {"centre": centre, "log_width": width}}, x))
    away = np.asarray(x)[..., None] - np.asarray(centre)
    members = np.exp(-(away**2) / (2 * np.exp(2 * np.asarray(width))))
    np.testing.assert_allclose(apply(x), np.prod(members, axis=-2) ** (1 / 4), atol=1e-6)
    np.testing.assert_allclose(apply(x.at[0, 0, 0].set(centre[:, 0]))[0, 0, 0, 0], 1, rtol=1e-6)
