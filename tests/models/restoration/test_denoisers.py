"""What is specific of the denoising networks; their laws are in test_registry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.models import DnCNN
from medjax.models.classifiers import EfficientNet
from medjax.models.classifiers.inverted import Inverted
from medjax.models.restoration import (
    CNCL,
    AttentionDenoiser,
    BackboneUNet,
    CVMIDNet,
    Eformer,
    SpachTransformer,
    SRDenseNet,
    StruNet,
)

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")
RESIDUAL = {
    "cvmidnet": CVMIDNet(2, 2),
    "srdensenet": SRDenseNet(2, 2, 1, 2),
    "spach_transformer": SpachTransformer(2, (0, 1), (1, 1), 1, (1,), (1,), 2, 0, 0.0),
    "eformer": Eformer((2, 4), (0, 1), (1, 1), 2, 4, 1),
    "strunet": StruNet((2, 4), (0, 1), (1, 1), 2, 1),
}
BLOCKS = (Inverted(3, 4, 4, 1, "silu", 2), Inverted(3, 4, 4, 2, "silu", 2))


def image(*shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def shapes(module, *sizes):
    x = jax.ShapeDtypeStruct((1, *sizes), jnp.float32)
    return jax.tree.map(lambda leaf: leaf.shape, jax.eval_shape(module.init, KEY, x)["params"])


@pytest.mark.parametrize("name", RESIDUAL)
def test_a_network_of_zeros_returns_the_image_of_any_size(name):
    x = image(1, 5, 7, 1)
    variables = jax.eval_shape(RESIDUAL[name].init, KEY, x)
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), variables)
    np.testing.assert_array_equal(jax.jit(RESIDUAL[name].apply)(nothing, x), x)


@pytest.mark.parametrize("name", ["spach_transformer", "strunet"])
def test_a_transformer_starts_near_the_image(name):
    """With kernels as large as He's its first output is off by twice the image's spread."""
    x = image(2, 8, 8, 1)
    start, _ = jax.jit(RESIDUAL[name].init_with_output)(KEY, x)
    assert jnp.sqrt(jnp.mean((start - x) ** 2)) < 0.5


def test_a_complex_network_takes_pairs_and_norms_all_but_the_first_layer():
    params = shapes(CVMIDNet(3, 4, pairs=True, norm="batch"), 4, 5, 2)
    assert set(params) == {"conv0", "conv1", "conv2", "norm1", "norm2", "head"}
    assert params["head"]["imaginary"] == (3, 3, 3, 1)
    assert "bias" in params["conv0"]
    assert "bias" not in params["conv1"]
    with pytest.raises(InputError, match="norm: expected none or batch"):
        shapes(CVMIDNet(3, 4, norm="instance"), 4, 5, 2)


def test_dense_blocks_see_all_that_was_found_before():
    params = shapes(SRDenseNet(), 4, 5, 1)
    assert params["block0_conv0"]["kernel"][2:] == (128, 16)
    assert params["block7_conv0"]["kernel"][2:] == (8 * 128, 16)
    assert params["block7_conv7"]["kernel"][2:] == (7 * 16, 16)
    assert params["bottleneck"]["kernel"] == (1, 1, 9 * 128, 256)


def test_content_is_fused_of_what_is_predicted_and_of_what_the_noise_leaves():
    x = image(1, 4, 5, 1)
    content, noise = DnCNN(2, 2, residual=False), DnCNN(3, 2, residual=False)
    module = CNCL(content, noise, both=True)
    params = module.init(KEY, x)["params"]
    kernel = jnp.asarray([0.25, 0.75]).reshape(1, 1, 2, 1)
    params = {**params, "fusion": {**params["fusion"], "kernel": kernel}}
    kept = content.apply({"params": params["content"]}, x)
    taken = noise.apply({"params": params["noise"]}, x)
    both = module.apply({"params": params}, x)
    np.testing.assert_allclose(both[..., :1], 0.25 * kept + 0.75 * (x - taken), atol=1e-6)
    np.testing.assert_allclose(both[..., 1:], taken, atol=1e-6)
    np.testing.assert_array_equal(CNCL(content, noise).apply({"params": params}, x), both[..., :1])


def test_content_and_noise_are_two_networks():
    network = DnCNN(2, 2, residual=False)
    with pytest.raises(InputError, match="a network of its own"):
        shapes(CNCL(network, network), 4, 5, 1)


def test_the_windows_of_spach_join_the_two_coarsest_of_four_levels():
    params = shapes(SpachTransformer(swin_depths=(1, 1)), 16, 16, 1)
    assert params["joined"]["kernel"] == (1, 1, 16 * 16, 8 * 16)
    assert params["reduced2"]["kernel"] == (1, 1, 3 * 4 * 16, 4 * 16)
    assert params["reduced1"]["kernel"] == (1, 1, 2 * 2 * 16, 2 * 16)
    assert "reduced0" not in params
    with pytest.raises(InputError, match="fewer stages than levels"):
        shapes(SpachTransformer(blocks=(1, 1), heads=(1, 1)), 16, 16, 1)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (AttentionDenoiser((4, 8), tasks=2), "task: expected one of 2 a sample, got None"),
        (AttentionDenoiser((4,)), "at least two levels"),
        (Eformer((4, 8), (1,), (1, 1)), "at least two levels"),
        (StruNet((4,), (1,), (1,)), "at least two levels"),
        (BackboneUNet(1, EfficientNet(2, BLOCKS, 4), (4, 4), 4), "without classes"),
        (BackboneUNet(1, EfficientNet(0, BLOCKS, 4), (4,), 4), "with 1 maps"),
        (BackboneUNet(1, EfficientNet(0, BLOCKS, 4), (4, 4), 3), "a multiple of the backbone"),
    ],
)
def test_fields_that_do_not_fit_are_refused(module, message):
    with pytest.raises(InputError, match=message):
        shapes(module, 8, 9, 1)
