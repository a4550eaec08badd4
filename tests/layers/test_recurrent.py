import jax
import jax.numpy as jnp
import numpy as np

from medjax.layers import ConvGRU


def test_a_unit_of_window_one_is_a_gated_recurrent_unit_in_every_pixel():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((2, 3, 4, 2)), jnp.float32)
    state = jnp.asarray(rng.standard_normal((2, 3, 4, 5)), jnp.float32)
    unit = ConvGRU(5)
    variables = unit.init(jax.random.key(0, impl="philox2x32"), x)
    result = unit.apply(variables, x, state)

    params = jax.tree.map(np.asarray, variables["params"])
    gates, candidate = params["gates"], params["candidate"]
    assert gates["kernel"].shape == (1, 1, 7, 10)
    both = np.concatenate([x, state], axis=-1)
    update, reset = np.split(
        1 / (1 + np.exp(-(both @ gates["kernel"][0, 0] + gates["bias"]))), 2, -1
    )
    seen = np.concatenate([x, reset * state], -1)
    new = np.tanh(seen @ candidate["kernel"][0, 0] + candidate["bias"])
    np.testing.assert_allclose(result, (1 - update) * state + update * new, atol=1e-5)
    np.testing.assert_array_equal(unit.apply(variables, x), unit.apply(variables, x, 0 * state))
