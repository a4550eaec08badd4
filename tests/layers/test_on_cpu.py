"""What is computed once is what it would be otherwise."""

import jax
import jax.numpy as jnp
import numpy as np

from medjax.layers.on_cpu import concatenated


def test_channels_of_both_and_their_gradients():
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((2, 3, n)).astype(np.float32) for n in (4, 5))
    np.testing.assert_array_equal(jax.jit(concatenated)(x, y), np.concatenate([x, y], -1))
    ct = jnp.asarray(rng.standard_normal((2, 3, 9)).astype(np.float32))
    got = jax.jit(lambda ct: jax.vjp(concatenated, x, y)[1](ct))(ct)
    np.testing.assert_array_equal(got[0], ct[..., :4])
    np.testing.assert_array_equal(got[1], ct[..., 4:])
