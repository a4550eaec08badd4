import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.models import DnCNN

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")


def test_the_network_predicts_what_is_taken_away():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((1, 4, 5, 2)), jnp.float32)
    variables = DnCNN(3, 3).init(KEY, x)
    noise = DnCNN(3, 3, residual=False).apply(variables, x)
    assert jnp.abs(noise).max() > 0.01
    np.testing.assert_allclose(DnCNN(3, 3).apply(variables, x), x - noise, atol=1e-6)


def test_only_hidden_layers_are_normalised():
    x = jax.ShapeDtypeStruct((1, 4, 5, 2), jnp.float32)
    params = jax.eval_shape(DnCNN(3, 4, norm="batch").init, KEY, x)["params"]
    assert set(params) == {"conv0", "conv1", "conv2", "head", "norm1", "norm2"}
    assert "bias" in params["conv0"]
    assert "bias" not in params["conv1"]


def test_a_network_of_one_layer_is_refused():
    with pytest.raises(InputError, match="depth: expected at least 2, got 1"):
        DnCNN(3, 1).init(KEY, jnp.zeros((1, 4, 5, 2)))
