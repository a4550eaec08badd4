import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.layers.dense import Dense

KEY = jax.random.key(0, impl="philox2x32")
INIT = nn.initializers.truncated_normal(0.02)
CASES = {  # ours, Flax's, the shape of what it maps
    "tokens": (Dense(5), nn.Dense(5), (2, 3, 4)),
    "a vector": (Dense(5), nn.Dense(5), (4,)),
    "without bias": (Dense(5, False), nn.Dense(5, False), (2, 4)),
    "to heads": (Dense((3, 2, 2)), nn.DenseGeneral((3, 2, 2)), (2, 3, 4)),
    "from heads": (
        Dense(5, axes=2, kernel_init=INIT),
        nn.DenseGeneral(5, axis=(-2, -1), kernel_init=INIT),
        (2, 3, 2, 4),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_layer_of_flax_with_its_parameters(name):
    own, other, shape = CASES[name]
    x = jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)
    variables = own.init(KEY, x)
    jax.tree.map(np.testing.assert_array_equal, variables, other.init(KEY, x))

    def both(module):
        def loss(variables, x):
            y = module.apply(variables, x)
            return jnp.sum(jnp.sin(y)), y

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(variables, x)

    got, wanted = both(own), both(other)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, wanted)
