import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.trees import named_leaves
from medjax.layers import ConvBlock, average_pool

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")


def zeros_like(shapes):
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)


@pytest.mark.parametrize("norm", ["instance", "group", "batch", "none"])
def test_a_convolution_has_a_bias_only_where_no_norm_follows(norm):
    block = ConvBlock(4, norm=norm, residual=True)
    params = jax.eval_shape(block.init, KEY, jnp.zeros((1, 8, 8, 2)))["params"]
    names = {name for name, _ in named_leaves(params)}
    convolutions = {"conv0", "conv1", "shortcut"}
    assert {f"{name}/kernel" for name in convolutions} <= names
    assert (norm == "none") == ({f"{name}/bias" for name in convolutions} <= names)
    assert (norm != "none") == ({f"{name}_norm/scale" for name in convolutions} <= names)


def test_a_residual_block_without_its_branch_is_a_shortcut():
    block = ConvBlock(3, strides=2, norm="none", activation=nn.tanh, residual=True)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((1, 4, 4, 3)), jnp.float32)
    variables = zeros_like(jax.eval_shape(block.init, KEY, x))
    np.testing.assert_allclose(block.apply(variables, x), jnp.tanh(average_pool(x, 2)), rtol=1e-6)


def test_dropout_drops_whole_channels_in_training_alone():
    block = ConvBlock(16, norm="none", activation=lambda x: x + 1, dropout=0.5)
    x = jnp.zeros((2, 4, 4, 1))
    variables = zeros_like(jax.eval_shape(block.init, KEY, x))
    y = block.apply(variables, x, train=True, rngs={"dropout": jax.random.fold_in(KEY, 1)})
    dropped = np.asarray(y == 0)
    np.testing.assert_array_equal(dropped.any((1, 2)), dropped.all((1, 2)))
    assert 0 < dropped.mean() < 1
    assert not (block.apply(variables, x) == 0).any()


def test_bfloat16_activations_meet_float32_statistics_and_parameters():
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(1, 8, 8, 2)), jnp.float32)
    exact, rounded = (ConvBlock(8, dtype=dtype) for dtype in (jnp.float32, jnp.bfloat16))
    variables = jax.jit(rounded.init)(KEY, x)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}
    y = jax.jit(rounded.apply)(variables, x)
    assert y.dtype == jnp.bfloat16
    expected = jax.jit(exact.apply)(variables, x)
    np.testing.assert_allclose(y.astype(jnp.float32), expected, atol=0.1)
    assert float(expected.std()) > 0.3
