import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.layers.conv_norm import ConvNorm, NormActivation

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")


@pytest.mark.parametrize("norm", ["batch", "group", "weight_standardised", "none"])
def test_a_bias_stands_only_where_no_norm_follows(norm):
    params = jax.eval_shape(ConvNorm(4, norm=norm).init, KEY, jnp.zeros((1, 8, 8, 2)))["params"]
    assert ("bias" in params["conv"]) == (norm == "none")
    assert ("norm" in params) == (norm != "none")


def test_weight_standardisation_forgets_the_scale_of_the_kernel_before_the_norm():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((1, 8, 8, 2)), jnp.float32)
    # Without the norm's part in it: a scale that differs between the features of a group.
    scale = jnp.asarray([1.0, 9.0] + [1.0] * 14)
    for norm, same in (("group", False), ("weight_standardised", True)):
        unit = ConvNorm(16, norm=norm, activation=None)
        variables = jax.jit(unit.init)(KEY, x)
        kernel = variables["params"]["conv"]["kernel"] * scale[None, None, None]
        params = {**variables["params"], "conv": {"kernel": kernel}}
        expected, got = unit.apply(variables, x), unit.apply({"params": params}, x)
        assert np.allclose(got, expected, atol=1e-2) == same


def test_half_precision_comes_out_and_statistics_are_float32():
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(1, 8, 8, 2)), jnp.float32)
    for unit in (ConvNorm(4, dtype=jnp.bfloat16), NormActivation(dtype=jnp.bfloat16)):
        y, variables = jax.eval_shape(unit.init_with_output, KEY, x)
        assert y.dtype == jnp.bfloat16
        assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}


def test_norm_and_activation_before_a_convolution():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 4, 4, 3)), jnp.float32)
    variables = NormActivation().init(KEY, x)
    y, _ = NormActivation().apply(variables, x, True, mutable=["batch_stats"])
    x = np.asarray(x)
    expected = nn.relu((x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5))
    np.testing.assert_allclose(y, expected, atol=1e-5)
