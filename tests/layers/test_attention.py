"""Attention, positions, patches, windows and the blocks made of them."""

import types

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.cudnn import fused_attention_stablehlo

from medjax.core.errors import InputError
from medjax.layers import attention
from medjax.layers.attention import MultiHeadAttention, attend, linear_attention
from medjax.layers.drop import DropPath, LayerScale
from medjax.layers.layer_norm import LayerNorm
from medjax.layers.mlp import MLP
from medjax.layers.patch import PatchEmbed, from_patches, patch_grid, to_patches
from medjax.layers.position import grid_coordinates, resize_positions, rotary, sinusoidal
from medjax.layers.transformer import Block, Transformer, rematerialised
from medjax.layers.window import WindowAttention, Windows, relative_offsets

KEY = jax.random.key(0, impl="philox2x32")


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def test_attention_is_the_formula_of_its_parameters():
    x, context = normal(2, 3, 4), normal(2, 5, 6, seed=1)
    bias = normal(1, 2, 3, 5, seed=2)
    mask = jnp.ones((2, 1, 3, 5), bool).at[:, :, :, 4].set(False)
    module = MultiHeadAttention(2)
    variables = jax.jit(module.init)(KEY, x, context)
    params = jax.tree.map(np.asarray, variables["params"])
    query = np.einsum("btc,cphd->btphd", x, params["query"]["kernel"])[:, :, 0]
    both = np.einsum("bsc,cphd->pbshd", context, params["key_value"]["kernel"])
    logits = np.einsum("bthd,bshd->bhts", query, both[0]) / np.sqrt(2) + np.asarray(bias)
    weights = np.asarray(jax.nn.softmax(jnp.asarray(logits)[..., :4], axis=-1))
    expected = np.einsum("bhts,bshd->bthd", weights, both[1][:, :4])
    expected = np.einsum("bthd,hdc->btc", expected, params["out"]["kernel"])
    y = jax.jit(lambda v: module.apply(v, x, context, bias=bias, mask=mask))(variables)
    np.testing.assert_allclose(y, expected, atol=1e-6)


def test_attention_refuses_what_it_cannot_do():
    with pytest.raises(InputError, match="heads: expected a divisor of the 4 channels"):
        jax.eval_shape(MultiHeadAttention(3).init, KEY, normal(1, 2, 4))
    linear = MultiHeadAttention(2, kind="linear")
    with pytest.raises(InputError, match="softmax attention for a bias or mask"):
        jax.eval_shape(
            lambda x: linear.init(KEY, x, mask=jnp.ones((1, 1, 2, 2), bool)), normal(1, 2, 4)
        )


def test_linear_attention_is_the_quadratic_form_with_its_own_similarity():
    query, key, value = (normal(2, 5, 3, 4, seed=i) for i in range(3))
    similarity = jnp.einsum("bthc,bshc->bhts", nn.elu(query) + 1, nn.elu(key) + 1)
    weights = similarity / similarity.sum(axis=-1, keepdims=True)
    expected = jnp.einsum("bhts,bshc->bthc", weights, value)
    np.testing.assert_allclose(linear_attention(query, key, value), expected, atol=1e-5)


def test_softmax_attention_in_bfloat16_is_near_that_in_float32():
    query, key, value = (normal(2, 5, 3, 4, seed=i) for i in range(3))
    half = attend(*(a.astype(jnp.bfloat16) for a in (query, key, value)))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), attend(query, key, value), atol=0.03)


def test_a_token_that_may_see_nothing_gets_the_mean_of_all_and_finite_gradients():
    query, key, value = (normal(1, 4, 2, 3, seed=i) for i in range(3))
    mask = jnp.ones((1, 1, 4, 4), bool).at[0, 0, 2].set(False)
    y, back = jax.vjp(lambda *a: attend(*a, mask=mask), query, key, value)
    np.testing.assert_allclose(y[0, 2], value[0].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(y[0, 1], attend(query, key, value)[0, 1], atol=1e-6)
    gradients = back(jnp.ones_like(y))
    assert all(jnp.isfinite(gradient).all() for gradient in gradients)
    assert not gradients[0][0, 2].any()  # no query changes what it cannot see


@pytest.mark.parametrize("tokens", [6, 7])
def test_compiled_for_an_nvidia_gpu_attention_is_one_kernel_and_elsewhere_it_is_xlas(
    tokens, monkeypatch
):
    assert not attention.has_cudnn()
    query = jax.ShapeDtypeStruct((2, tokens, 3, 8), jnp.bfloat16)
    # As where a GPU is: only programs are made, which no GPU need run.
    monkeypatch.setattr(attention, "has_cudnn", lambda: True)
    version = types.SimpleNamespace(cudnn_get_version=lambda: 91200)
    monkeypatch.setattr(fused_attention_stablehlo, "cuda_versions", version)
    monkeypatch.setattr(fused_attention_stablehlo, "check_compute_capability", lambda _: True)

    def loss(query, key, value):
        return attend(query, key, value).astype(jnp.float32).sum()

    with jax.numpy_dtype_promotion("standard"):
        traced = jax.jit(jax.grad(loss)).trace(query, query, query)
        programs = [traced.lower(lowering_platforms=(p,)).as_text() for p in ("cuda", "tpu")]
    matrix = f"{tokens}x{tokens}x"
    assert ["fmhaSoftmaxBackward" in program for program in programs] == [True, False]
    assert [matrix in program for program in programs] == [False, True]


def test_cudnn_is_asked_only_for_what_it_takes():
    half = jnp.zeros((1, 2, 1, 64), jnp.bfloat16)
    assert attention.fits_cudnn(half, None, None)
    assert not attention.fits_cudnn(half.astype(jnp.float32), None, None)
    assert not attention.fits_cudnn(half[..., :12], None, None)
    assert not attention.fits_cudnn(half, jnp.zeros((1, 1, 2, 2)), None)


@pytest.mark.parametrize("axes", [2, 3])
def test_rotary_products_depend_on_the_distance_alone_and_keep_lengths(axes):
    query, key = normal(1, 1, 1, 14), normal(1, 1, 1, 14, seed=1)
    here, there = normal(1, axes, seed=2), normal(1, axes, seed=3)

    def product(shift):
        a, b = rotary(query, here + shift), rotary(key, there + shift)
        return float(jnp.sum(a * b)), float(jnp.linalg.norm(a))

    (at_0, length), (at_5, _) = product(0.0), product(5.0)
    assert at_0 == pytest.approx(at_5, abs=1e-4)
    assert length == pytest.approx(float(jnp.linalg.norm(query)), rel=1e-5)
    assert at_0 != pytest.approx(float(jnp.sum(query * key)), abs=1e-2)
    with pytest.raises(InputError, match="channels of a head"):
        rotary(query[..., : 2 * axes - 1], here)


def test_sinusoidal_positions_have_known_values():
    # Two axes share 8 channels: the last one first, sines before cosines.
    encoding = sinusoidal(jnp.asarray([[3.0, 2.0]]), 9)[0]
    each = [f(v * w) for v in (2.0, 3.0) for f in (np.sin, np.cos) for w in (1.0, 0.01)]
    np.testing.assert_allclose(encoding, [*each, 0.0], atol=1e-6)
    assert grid_coordinates((2, 3)).tolist() == [[i, j] for i in range(2) for j in range(3)]
    with pytest.raises(InputError, match="at least 6, two for each of 3 axes"):
        sinusoidal(jnp.zeros((1, 3)), 5)


def test_resized_positions_keep_what_is_linear_in_the_middle():
    ramp = jnp.arange(8, dtype=jnp.float32)[:, None, None] * jnp.ones((8, 4, 2))
    assert resize_positions(ramp, (8, 4)) is ramp
    larger = resize_positions(ramp, (16, 4))
    np.testing.assert_allclose(larger[6:10, 0, 0], np.arange(6, 10) / 2 - 0.25, atol=1e-5)


@pytest.mark.parametrize(("spatial", "patch"), [((5, 7), 3), ((4, 5, 3), (2, 1, 2))])
def test_patches_are_those_of_a_convolution_and_go_back_to_the_image(spatial, patch):
    x = normal(2, *spatial, 3)
    patches = to_patches(x, patch)
    assert patches.shape[1:-1] == patch_grid(spatial, patch)
    np.testing.assert_array_equal(from_patches(patches, patch, spatial), x)

    window = (patch,) * len(spatial) if isinstance(patch, int) else patch
    module = PatchEmbed(4, patch)
    variables = module.init(KEY, x)
    grid = patches.shape[1:-1]
    edges = [(0, g * p - n) for g, p, n in zip(grid, window, spatial, strict=True)]
    padded = jnp.pad(x, [(0, 0), *edges, (0, 0)])
    layout = ("NHWC", "HWIO", "NHWC") if len(spatial) == 2 else ("NDHWC", "DHWIO", "NDHWC")
    expected = jax.lax.conv_general_dilated(
        padded, variables["params"]["kernel"], window, "VALID", dimension_numbers=layout
    )
    np.testing.assert_allclose(module.apply(variables, x), expected, atol=1e-5)


def test_stochastic_depth_drops_whole_samples_and_keeps_the_mean():
    x = jnp.ones((4000, 2))
    module = DropPath()
    y = module.apply({}, x, 0.25, True, rngs={"dropout": KEY})
    assert set(np.unique(y)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    np.testing.assert_array_equal(y[:, 0], y[:, 1])
    assert float(y.mean()) == pytest.approx(1, abs=0.05)
    assert module.apply({}, x, 0.25) is x


def test_layer_scale_norm_and_gated_mlp_are_their_formulas():
    x = normal(2, 3, 4)
    np.testing.assert_allclose(LayerScale(0.5).init_with_output(KEY, x)[0], 0.5 * x)
    large = 1e4 + x
    y = LayerNorm(0.0).init_with_output(KEY, large)[0]
    centred = np.asarray(large, np.float64) - np.asarray(large, np.float64).mean(-1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(-1, keepdims=True))
    np.testing.assert_allclose(y, expected, atol=2e-3)
    module = MLP(5, gated=True, activation=nn.silu)
    y, variables = module.init_with_output(KEY, x)
    gate, up, down = (variables["params"][name]["kernel"] for name in ("gate", "up", "down"))
    np.testing.assert_allclose(y, (nn.silu(x @ gate) * (x @ up)) @ down, atol=1e-6)


def test_the_scanned_stack_is_its_blocks_one_by_one_however_it_is_rematerialised():
    block = Block(2, 8, layer_scale=0.5, parent=None)
    stack, x = Transformer(block, 2), normal(2, 4, 6)
    at = grid_coordinates((3,))
    shapes = jax.eval_shape(stack.init, KEY, x, at)
    variables = jax.tree.map(lambda leaf: 0.3 * normal(*leaf.shape, seed=leaf.size), shapes)

    @jax.jit
    def apply(own, y):
        return block.apply({"params": own}, y, at, 0.0, False)

    y = x
    for layer in range(2):
        y = apply(jax.tree.map(lambda a, i=layer: a[i], variables["params"]["block"]), y)

    def outcome(module):
        def loss(variables):
            output = module.apply(variables, x, at, train=True)
            return jnp.sum(output**2), output

        return jax.jit(jax.value_and_grad(loss, has_aux=True))(variables)

    (_, output), gradients = outcome(stack)
    np.testing.assert_allclose(output, y, atol=1e-5)
    for changes in ({"remat": "full"}, {"remat": "dots", "unroll": 2}):
        (_, other), others = outcome(stack.clone(**changes))
        np.testing.assert_allclose(other, output, atol=1e-5)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), others, gradients
        )
    with pytest.raises(InputError, match="remat: expected one of none, full, dots"):
        rematerialised(Block, "some")


def test_shifted_windows_see_what_is_near_and_never_across_the_border_or_the_padding():
    windows = Windows.of((8, 8), (4, 4), True)
    assert windows == ((4, 4), (2, 2))
    mask = windows.mask((8, 8))
    assert mask[0].all()  # wholly inside
    assert mask[-1].sum() == 4 * 4 * 4  # four corners, each 2 x 2
    assert Windows.of((8, 8), (4, 4), False).mask((8, 8)) is None
    assert Windows.of((3, 8), (4, 4), True) == ((3, 4), (0, 2))
    # Of 5 columns, 3 in the last window are zeros that were added.
    padded = Windows.of((4, 5), (4, 4), False).mask((4, 5))
    assert padded[1].sum() == 4 * 4 + 12 * 12
    assert relative_offsets((2, 2))[0].tolist() == [[0, 0], [0, -1], [-1, 0], [-1, -1]]


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("spatial", [(5, 6), (3, 5, 2)])
def test_window_attention_is_that_of_each_window_alone(cosine, spatial):
    window = (4,) * len(spatial)
    x = normal(1, *spatial, 4)
    module = WindowAttention(2, window, False, cosine)
    variables = jax.jit(module.init)(KEY, x)
    y = jax.jit(module.apply)(variables, x)
    assert y.shape == x.shape
    # The first window, alone: what else there is, and the padding, plays no part.
    first = tuple(slice(0, min(4, n)) for n in spatial)
    if all(n == min(4, n) or n > 4 for n in spatial):
        alone = jax.jit(module.apply)(variables, x[:, *first])
        np.testing.assert_allclose(y[:, *first], alone, atol=1e-5)
