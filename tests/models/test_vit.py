"""The vision transformer beside those of timm, DINOv2, MAE, torchvision and MONAI."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.core.trees import count, named_leaves
from medjax.models.vit import SIZES, Tokens, ViT
from medjax.models.weights.importer import import_weights
from medjax.models.weights.vit import DINOV2, MAE, MONAI, TIMM, TORCHVISION

KEY = jax.random.key(0, impl="philox2x32")
REFERENCE = Path(__file__).parents[1] / "reference" / "vit.npz"
SMALL = {"width": 24, "depth": 2, "heads": 2, "hidden": 48, "patch": 4, "image_size": 16}
SWIGLU = {**SMALL, "hidden": 24, "swiglu": True, "layer_scale": 1e-5}

CASES = {
    "timm": (TIMM, ViT(3, **SMALL, qk_norm=True)),
    "larger": (TIMM, ViT(3, **SMALL)),
    "timm_swiglu": (TIMM, ViT(**SWIGLU, registers=2)),
    "dinov2": (DINOV2, ViT(**SWIGLU)),
    "mae": (MAE, ViT(**SMALL, positions="sinusoidal")),
    "torchvision": (TORCHVISION, ViT(3, **SMALL)),
    "monai": (
        MONAI,
        ViT(3, **{**SMALL, "image_size": (8, 12, 4)}, qkv_bias=False, epsilon=1e-5),
    ),
}


def small(**changes):
    return ViT(**{**SMALL, "depth": 1, "image_size": 8, **changes})


def image(*shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def random(module, x):
    """Variables of a module, whose initialisers take long to compile."""
    shapes = jax.eval_shape(module.init, KEY, x)
    return jax.tree.map(lambda leaf: 0.3 * image(*leaf.shape), shapes)


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE) as file:
        return dict(file)


@pytest.mark.parametrize("name", CASES)
def test_with_an_originals_weights_it_gives_the_originals_output(name, reference):
    naming, module = CASES[name]
    tensors = {k.removeprefix(f"{name}/"): a for k, a in reference.items() if f"{name}/" in k}
    x = jnp.asarray(reference[f"{name}:input"])
    variables, report = import_weights(tensors, naming, jax.eval_shape(module.init, KEY, x))
    assert report.complete

    def everything(variables, x):
        tokens = module.apply(variables, x, method="embed")
        return module.apply(variables, x), module.apply(variables, tokens, method="encode")

    output, (class_token, registers, patches) = jax.jit(everything)(variables, x)
    expected = reference[f"{name}:logits"]
    # MONAI's classifier ends in a tanh.
    output = np.tanh(output) if name == "monai" else output
    np.testing.assert_allclose(output, expected, atol=1e-5 * np.abs(expected).max())
    if f"{name}:tokens" in reference:
        tokens = jnp.concatenate([class_token[:, None], registers, patches], axis=1)
        expected = reference[f"{name}:tokens"]
        np.testing.assert_allclose(tokens, expected, atol=1e-5 * np.abs(expected).max())


def test_embedding_and_encoding_apart_are_the_whole_and_a_subset_sees_itself_alone():
    module, x = small(positions="rotary", registers=1), image(2, 8, 12, 1)
    variables = random(module, x)

    def parts(variables, x):
        tokens = module.apply(variables, x, method="embed")
        kept = Tokens(tokens.values[:, 1::2], jnp.repeat(tokens.coordinates[None, 1::2], 2, axis=0))
        encode = [module.apply(variables, t, method="encode") for t in (tokens, kept)]
        # What was not kept plays no part.
        other = module.apply(variables, x.at[:, :4, :4].set(0), method="embed")
        again = module.apply(variables, Tokens(other.values[:, 1::2], kept[1]), method="encode")
        return (*encode, again, module.apply(variables, x, method="features"))

    whole, subset, again, features = jax.jit(parts)(variables, x)
    np.testing.assert_allclose(features.pooled, whole.class_token, atol=1e-6)
    np.testing.assert_allclose(features.maps[0].reshape(2, 6, 24), whole.patches, atol=1e-6)
    assert subset.patches.shape == (2, 3, 24)
    assert subset.registers.shape == (2, 1, 24)
    np.testing.assert_allclose(subset.patches, again.patches, atol=1e-6)
    assert np.abs(subset.patches - whole.patches[:, 1::2]).max() > 1e-4


def test_a_mask_token_hides_patches_and_keeps_their_positions():
    module, x = small(mask_token=True), image(2, 8, 8, 1)
    mask = jnp.asarray([[True, False, False, False], [False, True, True, False]])
    variables = module.init(KEY, x, mask, method="embed")
    plain = module.apply(variables, x, method="embed").values
    hidden = module.apply(variables, x, mask, method="embed").values
    np.testing.assert_array_equal(hidden[~mask], plain[~mask])
    position = variables["params"]["position"]["table"].reshape(4, 24)
    expected = variables["params"]["mask_token"][None] + position
    np.testing.assert_allclose(hidden[0, 0], expected[0], atol=1e-6)
    np.testing.assert_allclose(hidden[1, 2], expected[2], atol=1e-6)
    with pytest.raises(InputError, match="mask_token=True"):
        jax.eval_shape(
            lambda: small().init(KEY, x, mask, method="embed"),
        )


def test_sinusoidal_positions_of_another_grid_lie_between_those_of_the_native_one():
    module = small(positions="sinusoidal", width=8)
    x = jnp.zeros((1, 16, 16, 1))
    tokens = module.init_with_output(KEY, x, method="embed")[0].values[0].reshape(4, 4, 8)
    # Cells 0.5 apart, of which the first two are at -0.25 and 0.25; the last axis comes first.
    np.testing.assert_allclose(tokens[0, :2, 0], np.sin([-0.25, 0.25]), atol=1e-6)
    np.testing.assert_allclose(tokens[:2, 0, 4], np.sin([-0.25, 0.25]), atol=1e-6)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary"])
@pytest.mark.parametrize("spatial", [(9, 12), (5, 7, 6)])
def test_one_class_serves_two_and_three_dimensions_of_any_size(spatial, positions):
    module = small(positions=positions, width=36, pool="mean", remat="dots", drop_path=0.1)
    x = jax.ShapeDtypeStruct((2, *spatial, 1), jnp.float32)
    features, _ = jax.eval_shape(lambda x: module.init_with_output(KEY, x, method="features"), x)
    grid = tuple(-(-n // 4) for n in spatial)
    assert features.pooled.shape == (2, 36)
    assert [m.shape for m in features.maps] == [(2, *grid, 36)]


def test_every_option_learns_and_bfloat16_is_near_float32():
    options = {"registers": 1, "swiglu": True, "qk_norm": True, "layer_scale": 0.5}
    module, x = small(classes=2, positions="rotary", drop_path=0.1, **options), image(2, 8, 8, 1)
    variables = random(module, x)

    def output(variables, module):
        return module.apply(variables, x, train=True, rngs={"dropout": KEY})

    def loss(variables):
        logits = output(variables, module)
        return jnp.mean((logits - 1) ** 2), logits

    gradients, logits = jax.jit(jax.grad(loss, has_aux=True))(variables)
    for path, leaf in named_leaves(gradients):
        assert np.isfinite(leaf).all(), path
        assert np.abs(leaf).max() > 1e-6, path
    half = module.clone(dtype=jnp.bfloat16)
    got = jax.jit(lambda variables: output(variables, half))(variables)
    assert got.dtype == jnp.float32
    assert 0 < np.abs(got - logits).max() < 0.05 * np.abs(logits).max()


def test_named_sizes_have_the_parameters_of_the_literature():
    # Millions, with a head of 1000 classes; g without, as DINOv2 releases it.
    millions = {"ti": 5.717, "s": 22.05, "b": 86.57, "l": 304.33, "h": 632.05, "g": 1136.48}
    assert set(millions) == set(SIZES)
    for size, expected in millions.items():
        released = {"classes": 1000, "patch": 14 if size == "h" else 16}
        if size == "g":
            released = {"patch": 14, "image_size": 518, "layer_scale": 1e-5}
        shapes = jax.eval_shape(ViT.named(size, **released).init, KEY, jnp.zeros((1, 28, 28, 3)))
        assert count(shapes) / 1e6 == pytest.approx(expected, rel=1e-3), size
    with pytest.raises(InputError, match="size: expected one of ti, s, b"):
        ViT.named("xl")
