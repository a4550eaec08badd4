"""Layers of GANs: parity with PyTorch's plain forms, and what each promises."""

from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.layers import fir
from medjax.layers.batch_deviation import batch_deviation
from medjax.layers.equalised import EqualisedConv, EqualisedDense
from medjax.layers.modulated import ModulatedConv, modulated_convolve, with_noise
from medjax.layers.spectral import SpectralConv, SpectralDense, largest_singular_value
from medjax.layers.transposed import convolve_transposed

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "adversarial.npz")
KEY = jax.random.key(0, impl="philox2x32")


def last(name):
    """An image of the reference, channels last."""
    return jnp.asarray(np.moveaxis(REFERENCE[name], 1, -1), jnp.float32)


def kernel(name, order=(1, 0)):
    """A kernel of the reference, ``(out, in, *window)``, as ``(*window, in, out)``."""
    w = REFERENCE[name]
    w = w.transpose(*range(2, w.ndim), *order)
    return jnp.asarray(w, jnp.float32)


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n", [2, 3])
def test_filters_are_those_of_the_reference(n):
    @jax.jit
    def forms(x):
        uneven = fir.filtered(x, (1.0, 2.0, 4.0), up=3, down=2, padding=(2, 1))
        return fir.upsample(x), fir.downsample(x), uneven

    for got, name in zip(forms(last(f"fir{n}")), ("up", "down", "uneven"), strict=True):
        close(got, last(f"fir{n}_{name}"))


def test_filters_keep_constants_and_sizes():
    x = jnp.ones((1, 8, 8, 2))
    larger, smaller, same = jax.jit(lambda x: (fir.upsample(x), fir.downsample(x), fir.blur(x)))(x)
    for y, size in ((larger, 16), (smaller, 4), (same, 8)):
        close(np.asarray(y)[:, 2:-2, 2:-2], 1.0)
        assert y.shape == (1, size, size, 2)
    assert jax.eval_shape(lambda x: fir.blur(x, (1.0, 2.0, 1.0)), x).shape == x.shape
    with pytest.raises(InputError, match="up, down: expected numbers of at least 1"):
        fir.filtered(x, down=0)
    with pytest.raises(InputError, match="taps: expected at least one"):
        fir.filtered(x, (1.0, -1.0))
    with pytest.raises(InputError, match="filtered: expected sizes of 9 at least"):
        fir.filtered(x, (1.0,) * 9)


@pytest.mark.parametrize("n", [2, 3])
def test_modulated_convolution_is_that_of_weights_made_for_each_sample(n):
    x, w = last(f"modulated{n}"), kernel(f"modulated{n}_weight")
    style = jnp.asarray(REFERENCE[f"modulated{n}_style"], jnp.float32)
    names = {"demodulated": True, "plain": False}

    @jax.jit
    def forms(*inputs):
        return {
            f"modulated{n}_{name}{end}": modulated_convolve(*inputs, demodulate=on, up=bool(end))
            for name, on in names.items()
            for end in ("", "_up")
        }

    for name, got in forms(x, w, style).items():
        close(got, last(name))
    with pytest.raises(InputError, match=r"style: expected \(2, 3\), got \(1, 3\)"):
        modulated_convolve(x, w, style[:1])


@pytest.mark.parametrize("n", [2, 3])
def test_reducing_and_transposed_convolutions_are_those_of_the_reference(n):
    module = EqualisedConv(4, down=True, use_bias=False, activation=None)
    got = jax.jit(module.apply)({"params": {"kernel": kernel(f"down{n}_weight")}}, last(f"down{n}"))
    close(got, last(f"down{n}_out"))
    w = kernel(f"transposed{n}_weight", order=(0, 1))
    stride = (2, 3, 1)[:n]
    got = jax.jit(lambda x, w: convolve_transposed(x, w, stride))(last(f"modulated{n}"), w)
    close(got, last(f"transposed{n}"))


def test_batch_deviation_is_that_of_the_reference():
    got = jax.jit(lambda x: batch_deviation(x, 4, 2))(last("deviation"))
    close(got, last("deviation_out"))  # groups of 3
    volume = jax.jit(batch_deviation)(jnp.ones((4, 2, 2, 2, 3)))
    close(np.asarray(volume)[..., 3:], 1e-4)  # images all alike
    with pytest.raises(InputError, match="features: expected a divisor of 3 channels, got 2"):
        batch_deviation(volume[..., :3], features=2)
    with pytest.raises(InputError, match="group: expected at least 1"):
        batch_deviation(volume, 0)


def test_power_iteration_finds_the_largest_singular_value_and_its_gradient():
    matrix = jnp.asarray(REFERENCE["matrix"], jnp.float32)
    start = jnp.ones(5)
    value, u = jax.jit(largest_singular_value, static_argnums=2)(matrix, start, 30)
    close(value, REFERENCE["singular"])
    slope = jax.jit(jax.grad(lambda m: largest_singular_value(m, u, 1)[0]))(matrix)
    left, _, right = np.linalg.svd(REFERENCE["matrix"])
    close(slope, np.outer(left[:, 0], right[0]))
    with pytest.raises(InputError, match="iterations: expected at least 1"):
        largest_singular_value(matrix, start, 0)


@pytest.mark.parametrize("spatial", [(5, 6), (3, 4, 5)])
def test_spectral_layers_follow_their_weights_only_in_training(spatial):
    module = SpectralConv(4)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, *spatial, 3)), jnp.float32)
    variables = jax.jit(module.init)(KEY, x)
    start = variables["spectral"]["norm"]["u"]
    apply = jax.jit(lambda v: module.apply(v, x, train=True, mutable=["spectral"])[1])
    for _ in range(30):
        variables = {**variables, **apply(variables)}
    assert not np.allclose(variables["spectral"]["norm"]["u"], start)
    matrix = np.asarray(variables["params"]["kernel"]).reshape(-1, 4)
    plain = jax.jit(nn.Conv(4, (3,) * len(spatial)).apply)
    scaled = dict(variables["params"])
    scaled["kernel"] = scaled["kernel"] / np.linalg.svd(matrix)[1][0]
    # At the time of use nothing changes.
    got, after = jax.jit(lambda v: module.apply(v, x, mutable=["spectral"]))(variables)
    np.testing.assert_allclose(got, plain({"params": scaled}, x), rtol=1e-2, atol=1e-3)
    np.testing.assert_array_equal(
        after["spectral"]["norm"]["u"], variables["spectral"]["norm"]["u"]
    )


def test_spectral_dense_has_slope_one_at_most():
    x = jnp.eye(6)
    module = SpectralDense(3, use_bias=False)
    variables = jax.jit(module.init)(KEY, x)
    apply = jax.jit(lambda v: module.apply(v, x, train=True, mutable=["spectral"]))
    for _ in range(30):
        y, after = apply(variables)
        variables = {**variables, **after}
    close(np.linalg.svd(np.asarray(y))[1][0], 1.0)


def test_equalised_layers_have_unit_variance_and_start_at_their_bias():
    x = jax.random.normal(KEY, (64, 100))
    for rate in (1.0, 0.01):
        module = EqualisedDense(50, bias_init=2.0, rate=rate)
        y, variables = jax.tree.map(np.asarray, jax.jit(module.init_with_output)(KEY, x))
        assert abs(y.mean() - 2) < 0.1
        assert abs(y.std() - 1) < 0.1
        assert abs(variables["params"]["kernel"].std() * rate - 1) < 0.1


def test_demodulated_noise_keeps_its_variance_whatever_the_style():
    x = jax.random.normal(KEY, (2, 16, 16, 32))
    latent = np.asarray([[1.0] * 8, [30.0] * 8], np.float32)
    y = np.asarray(jax.jit(ModulatedConv(16).init_with_output)(KEY, x, jnp.asarray(latent))[0])
    np.testing.assert_allclose(y[:, 2:-2, 2:-2].std((1, 2, 3)), 1, atol=0.15)
    noisy = np.asarray(with_noise(jnp.zeros((2, 4, 4, 3)), jnp.asarray(2.0), KEY))
    np.testing.assert_array_equal(noisy[..., 0], noisy[..., 2])
    assert noisy[0].std() > 1


def test_half_precision_stays_half_precision():
    x = jnp.ones((2, 4, 4, 3), jnp.bfloat16)
    module = ModulatedConv(2, up=True, dtype=jnp.bfloat16)
    y, variables = jax.eval_shape(module.init_with_output, KEY, x, jnp.ones((2, 5)))
    assert y.dtype == jnp.bfloat16
    assert y.shape == (2, 8, 8, 2)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}
