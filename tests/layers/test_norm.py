import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from medjax.core.errors import InputError
from medjax.layers import normalization

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")


@pytest.mark.parametrize(
    ("kind", "axes", "groups"),
    [
        ("instance", (1, 2), 12),
        ("group", (1, 2, 4), 4),
        ("layer", (3, 4), 1),
        ("batch", (0, 1, 2), 12),
    ],
)
def test_each_norm_takes_its_own_statistics_even_far_from_zero(kind, axes, groups):
    # A mean a thousand deviations away: E[x^2] - E[x]^2 would lose the variance.
    x = 1000 + np.random.default_rng(0).standard_normal((2, 8, 8, 12)).astype(np.float32)
    norm = normalization(kind, 12, train=True)
    y, _ = norm.init_with_output(KEY, jnp.asarray(x))
    grouped = x.astype(float).reshape(2, 8, 8, groups, 12 // groups)
    expected = grouped - grouped.mean(axes, keepdims=True)
    expected /= np.sqrt(grouped.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, expected.reshape(x.shape), atol=2e-3)


def test_batch_norm_learns_only_in_training_and_uses_what_it_learned_elsewhere():
    x = jnp.full((2, 4, 4, 1), 3.0)
    training = normalization("batch", 1, train=True)
    variables = training.init(KEY, x)
    _, learned = training.apply(variables, x, mutable=["batch_stats"])
    np.testing.assert_allclose(learned["batch_stats"]["mean"], [0.3], rtol=1e-6)
    np.testing.assert_allclose(learned["batch_stats"]["var"], [0.9], rtol=1e-6)
    predicting = normalization("batch", 1, train=False)
    y = predicting.apply({**variables, **learned}, x)
    np.testing.assert_allclose(y, jnp.full_like(x, 2.7 / 0.9**0.5), rtol=1e-4)


def test_batch_norm_under_jit_has_the_statistics_of_the_global_batch_on_eight_devices():
    # A mean that differs from device to device, so that statistics of each alone would differ.
    x = np.arange(8, dtype=np.float32)[:, None, None, None] + np.zeros((8, 4, 4, 1), np.float32)
    norm = normalization("batch", 1, train=True)
    variables = norm.init(KEY, jnp.asarray(x))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    placed = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    apply = jax.jit(lambda v, x: norm.apply(v, x, mutable=["batch_stats"]))
    program = apply.lower(variables, placed).compile().as_text()
    assert "all-reduce" in program
    assert "all-gather" not in program
    y, learned = apply(variables, placed)
    np.testing.assert_allclose(y, (x - x.mean()) / np.sqrt(x.var() + 1e-5), rtol=1e-5)
    np.testing.assert_allclose(learned["batch_stats"]["mean"], [0.1 * x.mean()], rtol=1e-6)
    np.testing.assert_allclose(learned["batch_stats"]["var"], [0.9 + 0.1 * x.var()], rtol=1e-6)


def test_names_other_than_the_known_are_refused_and_none_is_nothing():
    assert normalization("none", 4, train=True) is None
    refuse = getattr(normalization, "__wrapped__", normalization)
    with pytest.raises(InputError, match="norm: expected one of instance, group, layer, batch"):
        refuse("spectral", 4, train=True)
