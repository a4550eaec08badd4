import jax
import jax.numpy as jnp
import numpy as np

from medjax.layers.attention_gate import AttentionGate


def test_a_gate_is_what_its_equation_says():
    rng = np.random.default_rng(0)
    x, signal = rng.standard_normal((1, 3, 4, 2)), rng.standard_normal((1, 3, 4, 5))
    w, v, psi = (rng.standard_normal(shape) for shape in ((2, 3), (5, 3), (3, 1)))
    params = {
        "skip": {"kernel": w[None, None], "bias": np.asarray([0.1, -0.2, 0.3])},
        "signal": {"kernel": v[None, None]},
        "gate": {"kernel": psi[None, None], "bias": np.asarray([-0.5])},
    }
    params = jax.tree.map(jnp.float32, params)
    hidden = np.maximum(x @ w + np.asarray([0.1, -0.2, 0.3]) + signal @ v, 0)
    expected = x / (1 + np.exp(0.5 - hidden @ psi))
    got = AttentionGate(3).apply({"params": params}, jnp.float32(x), jnp.float32(signal))
    np.testing.assert_allclose(got, expected, atol=1e-5)
