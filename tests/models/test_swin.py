"""Both versions of the Swin transformer beside those of timm, torchvision and MONAI."""

import functools
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.core.trees import count, named_leaves
from medjax.models.swin import SIZES, Swin, SwinBlock
from medjax.models.weights import import_file, import_weights, save_weights
from medjax.models.weights.catalogue import Entry
from medjax.models.weights.importer import OWN
from medjax.models.weights.swin import ENTRIES, INFLATIONS, MICROSOFT, TIMM, TORCHVISION

KEY = jax.random.key(0, impl="philox2x32")
REFERENCE = Path(__file__).parents[1] / "reference" / "swin.npz"
SMALL = Swin(3, 8, (2, 2), (1, 2), 2, 4, mlp_ratio=2)
CASES = {
    "whole": (TIMM, SMALL),
    "split": (TIMM, SMALL),
    "whole_v2": (TIMM, SMALL.clone(version=2)),
    "split_v2": (TIMM, SMALL.clone(version=2, pretrained=(2, 3))),
    "torchvision": (TORCHVISION, SMALL),
    "torchvision_v2": (TORCHVISION, SMALL.clone(version=2)),
}


class Blocks(nn.Module):
    """Two blocks of volumes, the second shifted."""

    @nn.compact
    def __call__(self, x):
        for i in range(2):
            fields = (2, (4, 4, 4), bool(i), 2, 1, None, None, 1e-5, jnp.float32)
            x = SwinBlock(*fields, name=f"stage0_block{i}")(x, 0.0, False)
        return x


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


def tensors(reference, name):
    return {k.removeprefix(f"{name}/"): a for k, a in reference.items() if f"{name}/" in k}


@pytest.mark.parametrize("name", CASES)
def test_with_an_originals_weights_it_gives_the_originals_output(name, reference):
    (naming, module), x = CASES[name], jnp.asarray(reference[f"{name}:input"])
    shapes = jax.eval_shape(module.init, KEY, x)
    variables, report = import_weights(tensors(reference, name), naming, shapes)
    assert report.complete

    def everything(variables, x):
        pooled, maps = module.apply(variables, x, method="features")
        return module.apply(variables, pooled, method="classify"), maps

    logits, maps = jax.jit(everything)(variables, x)
    for got, what in ((logits, "logits"), (maps[0], "map0"), (maps[1], "map1")):
        expected = reference[f"{name}:{what}"]
        np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


def test_blocks_of_volumes_give_what_monais_give(reference):
    x = jnp.asarray(reference["volume:input"])
    shapes = jax.eval_shape(Blocks().init, KEY, x)
    variables, report = import_weights(tensors(reference, "volume"), TIMM, shapes)
    assert report.complete
    expected = reference["volume:map0"]
    got = jax.jit(Blocks().apply)(variables, x)
    np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("version", [1, 2])
def test_inflated_it_answers_to_a_volume_of_equal_slices_as_to_the_image(
    version, tmp_path, monkeypatch
):
    pytest.importorskip("safetensors")
    module = Swin(0, 4, (1, 2), (1, 2), 2, 2, mlp_ratio=1, version=version)
    variables = random(module, jnp.zeros((1, 16, 16, 3)))
    save_weights(tmp_path / "a.safetensors", variables)
    # Biases are interpolated to larger windows.
    make = functools.partial(module.clone, window=3)
    entry = Entry(make, (16, 16), 3, "patch_embed", {"medjax": OWN}, INFLATIONS)
    monkeypatch.setitem(ENTRIES, "tiny", entry)
    flat, deep = (
        import_file(tmp_path / "a.safetensors", "tiny", channels=1, volume=volume)
        for volume in (False, True)
    )
    assert "params/merge1/reduction/kernel" in deep.report.adapted
    x = image(1, 16, 16, 1)
    expected = jax.jit(flat.module.apply)(flat.variables, x)
    got = jax.jit(deep.module.apply)(deep.variables, jnp.repeat(x[:, None], 8, axis=1))
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())


def test_the_authors_names_differ_in_where_merges_are_counted(reference):
    theirs = {}
    for name, tensor in tensors(reference, "whole").items():
        name = name.replace("layers.1.downsample", "layers.0.downsample")
        theirs[name.replace("head.fc", "head")] = tensor
    # Which old files hold and which say nothing.
    theirs["layers.0.blocks.0.attn.relative_position_index"] = np.zeros((16, 16), np.int64)
    x = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
    shapes = jax.eval_shape(SMALL.init, KEY, x)
    variables, report = import_weights(theirs, MICROSOFT, shapes)
    assert report.complete
    ours, _ = import_weights(tensors(reference, "whole"), TIMM, shapes)
    jax.tree.map(np.testing.assert_array_equal, variables, ours)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("spatial", [(18, 25), (9, 10, 14)])
def test_one_class_serves_two_and_three_dimensions_of_any_size(spatial, version):
    module = SMALL.clone(version=version, remat="full", drop_path=0.1)
    x = jax.ShapeDtypeStruct((2, *spatial, 1), jnp.float32)
    features, _ = jax.eval_shape(lambda x: module.init_with_output(KEY, x, method="features"), x)
    sizes = [tuple(-(-n // step) for n in spatial) for step in (2, 4)]
    assert features.pooled.shape == (2, 16)
    assert [m.shape for m in features.maps] == [(2, *sizes[0], 8), (2, *sizes[1], 16)]


@pytest.mark.parametrize("version", [1, 2])
def test_one_step_is_finite_reaches_every_parameter_and_bfloat16_is_near(version):
    module = SMALL.clone(depths=(2, 1), version=version, remat="dots", drop_path=0.1)
    x = image(2, 18, 18, 1)
    variables = random(module, x)

    def output(variables, module):
        return module.apply(variables, x, train=True, rngs={"dropout": KEY})

    def loss(variables):
        logits = output(variables, module)
        return jnp.mean((logits - 1) ** 2), logits

    gradients, logits = jax.jit(jax.grad(loss, has_aux=True))(variables)
    for path, leaf in named_leaves(gradients):
        assert np.isfinite(leaf).all(), path
        assert np.abs(leaf).max() > 1e-8, path
    half = module.clone(dtype=jnp.bfloat16, remat="none")
    got = jax.jit(lambda variables: output(variables, half))(variables)
    assert got.dtype == jnp.float32
    assert 0 < np.abs(got - logits).max() < 0.1 * np.abs(logits).max()


def test_named_sizes_have_the_parameters_of_the_literature_and_fields_must_fit():
    x = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    shapes = jax.eval_shape(Swin.named("t", classes=1000).init, KEY, x)
    assert count(shapes) / 1e6 == pytest.approx(28.29, rel=1e-3)
    assert all(len(size["depths"]) == len(size["heads"]) == 4 for size in SIZES.values())
    with pytest.raises(InputError, match="size: expected one of t, s"):
        Swin.named("xl")
    with pytest.raises(InputError, match="heads for each of 1 stages"):
        jax.eval_shape(SMALL.clone(depths=(2,)).init, KEY, x)
    with pytest.raises(InputError, match="pretrained: expected 2 windows"):
        jax.eval_shape(SMALL.clone(pretrained=(2,)).init, KEY, x)
