import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.models import UNet

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")


def normal(*shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def test_an_odd_size_is_reflected_evenly_and_cropped_back_in_place():
    module = UNet(2, (2, 4), strides=4, norm="none")
    x = normal(1, 9, 14, 1)
    variables = jax.jit(module.init)(KEY, x)
    padded = jnp.pad(x, ((0, 0), (1, 2), (1, 1), (0, 0)), mode="reflect")
    apply = jax.jit(module.apply)
    np.testing.assert_allclose(
        apply(variables, x), apply(variables, padded)[:, 1:10, 1:15], atol=1e-5
    )


def test_an_image_smaller_than_the_padding_still_passes():
    module = UNet(1, (2, 2, 2, 2), norm="none")
    output, _ = jax.eval_shape(module.init_with_output, KEY, normal(1, 1, 3, 1))
    assert output.shape == (1, 1, 3, 1)


def test_strides_may_spare_the_axis_of_thick_slices():
    module = UNet(1, (2, 4, 8), strides=((1, 2, 2), 2))
    x = normal(1, 4, 8, 8, 1)
    _, captured = jax.eval_shape(
        lambda key, x: module.init_with_output(key, x, capture_intermediates=True)[0:2],
        KEY,
        x,
    )
    levels = [captured["intermediates"][f"encoder{i}"]["__call__"][0].shape for i in range(3)]
    assert levels == [(1, 4, 8, 8, 2), (1, 4, 4, 4, 4), (1, 2, 2, 2, 8)]
    up = captured["params"]
    assert up["up0"]["kernel"].shape == (1, 2, 2, 4, 2)
    assert up["up1"]["kernel"].shape == (2, 2, 2, 8, 4)


def test_dropout_acts_in_training_alone_and_follows_its_key():
    module = UNet(1, (8, 8), dropout=0.5)
    x = normal(1, 8, 8, 1)
    variables = jax.jit(module.init)(KEY, x)

    @jax.jit
    def trained(key):
        return module.apply(variables, x, train=True, rngs={"dropout": key})

    first, again, other = (trained(jax.random.fold_in(KEY, seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, jax.jit(module.apply)(variables, x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strides": (2,)}, "strides: expected one entry for each of 2 reductions"),
        ({"strides": ((1, 2, 2), 2)}, "strides: expected a positive integer, or 2 of them"),
        ({"features": (4,)}, "strides: expected one entry for each of 0 reductions"),
    ],
)
def test_strides_that_do_not_fit_are_refused(options, message):
    module = UNet(**({"out_channels": 1, "features": (2, 2, 2)} | options))
    with pytest.raises(InputError, match=message):
        module.init(KEY, normal(1, 8, 8, 1))


def test_what_is_no_image_is_refused():
    with pytest.raises(InputError, match=r"UNet: expected a floating array .* float32 \(8, 8\)"):
        UNet(1).init(KEY, normal(8, 8))
