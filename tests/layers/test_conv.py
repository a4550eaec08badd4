import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from medjax.core.errors import InputError
from medjax.layers import Conv, ConvTranspose, convolve
from medjax.layers.conv import convolve_folded, standardised
from medjax.layers.grouped import convolve_shifted

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")


def normal(seed, *shape, dtype=np.float32):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def lax_convolution(x, kernel, strides):
    layout = ("NDHWC", "DHWIO", "NDHWC")
    return jax.lax.conv_general_dilated(x, kernel, strides, "SAME", dimension_numbers=layout)


@pytest.mark.parametrize(
    ("size", "window", "strides"),
    [
        ((5, 6, 7), (3, 3, 3), (1, 1, 1)),
        ((6, 5, 4), (3, 3, 3), (2, 2, 2)),
        ((7, 4, 5), (2, 3, 1), (3, 1, 2)),
        ((4, 4, 5), (1, 3, 3), (2, 1, 1)),
        ((1, 3, 3), (3, 3, 3), (2, 2, 2)),
    ],
)
def test_folding_depth_into_channels_is_the_3d_convolution_and_so_are_its_gradients(
    size, window, strides
):
    with jax.enable_x64(True):
        x, kernel = normal(0, 2, *size, 2, dtype=float), normal(1, *window, 2, 3, dtype=float)

        def with_gradients(convolution):
            def objective(x, kernel):
                y = convolution(x, kernel, strides)
                return jnp.sum(jnp.cos(jnp.arange(y.size, dtype=float)) * y.ravel()), y

            return jax.jit(jax.grad(objective, (0, 1), has_aux=True))(x, kernel)

        jax.tree.map(
            lambda got, expected: np.testing.assert_allclose(got, expected, atol=1e-12),
            with_gradients(convolve_folded),
            with_gradients(lax_convolution),
        )


def test_the_platform_of_the_program_chooses_the_convolution():
    x, kernel = jnp.zeros((1, 4, 4, 4, 2)), jnp.zeros((3, 3, 3, 2, 2))
    traced = jax.jit(lambda x, kernel: jax.grad(lambda k: convolve(x, k).sum())(kernel))
    traced = traced.trace(x, kernel)
    dimensions = {
        platform: "[0, 1, 2, b, f]" in traced.lower(lowering_platforms=(platform,)).as_text()
        for platform in ("cpu", "cuda", "tpu")
    }
    assert dimensions == {"cpu": False, "cuda": True, "tpu": True}


def test_convolution_of_a_sharded_batch_gathers_nothing():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    x = jax.device_put(normal(0, 8, 4, 4, 4, 2), NamedSharding(mesh, PartitionSpec("data")))
    kernel = jax.device_put(normal(1, 3, 3, 3, 2, 3), NamedSharding(mesh, PartitionSpec()))
    gradient = jax.grad(lambda k, x: jnp.sum(convolve(x, k, 2) ** 2))
    program = jax.jit(gradient).lower(kernel, x).compile().as_text()
    assert "all-reduce" in program
    assert "all-gather" not in program


@pytest.mark.parametrize("size", [(7, 6), (5, 6, 4)])
def test_layers_agree_with_flax_on_the_same_parameters(size):
    x, window = normal(0, 2, *size, 3), (3,) * len(size)
    stride = (3, 1, 2)[: len(size)]
    pairs = [
        (Conv(4, strides=stride), nn.Conv(4, window, strides=stride)),
        (Conv(4, 1, use_bias=False), nn.Conv(4, (1,) * len(size), use_bias=False)),
        (ConvTranspose(4, stride), nn.ConvTranspose(4, stride, strides=stride)),
    ]
    for ours, flax in pairs:
        shapes = jax.eval_shape(flax.init, KEY, x)
        assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(
            jnp.shape, jax.eval_shape(ours.init, KEY, x)
        )
        variables = jax.tree.map(lambda s: normal(s.size, *s.shape), shapes)
        np.testing.assert_allclose(
            ours.apply(variables, x), flax.apply(variables, x), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(
    ("module", "deviation"),
    [(Conv(256, 3), (2 / (9 * 64)) ** 0.5), (ConvTranspose(256, 2), (1 / 64) ** 0.5)],
)
def test_initial_kernels_keep_the_scale_of_their_input(module, deviation):
    params = jax.jit(module.init)(KEY, jnp.zeros((1, 2, 2, 64)))["params"]
    assert float(params["kernel"].std()) == pytest.approx(deviation, rel=0.02)
    assert not params["bias"].any()


def test_computing_in_bfloat16_keeps_float32_parameters():
    x = jax.ShapeDtypeStruct((1, 4, 4, 2), jnp.float32)
    for module in (Conv(3, dtype=jnp.bfloat16), ConvTranspose(3, dtype=jnp.bfloat16)):
        y, variables = jax.eval_shape(module.init_with_output, KEY, x)
        assert y.dtype == jnp.bfloat16
        assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}


# size, window, strides, padding, dilation, groups, channels, features
SHAPES = [
    ((7, 6), (3, 3), 2, "half", 1, 1, 2, 3),
    ((7, 6), (3, 2), (2, 1), (2, 0), (1, 2), 1, 2, 3),
    ((7, 9), (3, 3), 1, "half", 2, 2, 4, 6),
    ((7, 9), (3, 3), 2, "same", 1, 4, 4, 4),
    ((9, 8), (7, 5), 2, "half", 1, 4, 4, 8),
    ((6, 5), (1, 1), 2, 1, 1, 1, 2, 3),
    ((5, 4, 6), (1, 1, 1), (1, 2, 3), "same", 1, 1, 2, 3),
    ((5, 6, 7), (3, 3, 3), 2, "half", 1, 1, 2, 3),
    ((5, 6, 7), (3, 1, 2), 1, "same", (2, 1, 2), 1, 2, 3),
    ((5, 6, 7), (3, 3, 3), (1, 2, 2), "half", 1, 3, 3, 3),
    ((5, 6, 7), (5, 3, 3), 1, "half", 1, 2, 2, 4),
]


@pytest.mark.parametrize("case", SHAPES)
def test_every_form_of_a_convolution_on_cpu_is_the_one_of_other_platforms(case):
    size, window, strides, padding, dilation, groups, channels, features = case
    with jax.enable_x64(True):
        x = normal(0, 2, *size, channels, dtype=float)
        kernel = normal(1, *window, channels // groups, features, dtype=float)
        options = {"padding": padding, "dilation": dilation, "groups": groups}

        def ours(x, kernel):
            return convolve(x, kernel, strides, **options)

        def plainly(x, kernel):
            ndim = len(size)
            steps, apart = np.broadcast_to(strides, ndim), np.broadcast_to(dilation, ndim)
            if padding == "half":
                edges = [((k - 1) // 2 * d,) * 2 for k, d in zip(window, apart, strict=True)]
            elif padding == "same":
                edges = "SAME"
            else:
                edges = [(int(p),) * 2 for p in np.broadcast_to(padding, ndim)]
            layout = ("NHWC", "HWIO", "NHWC") if ndim == 2 else ("NDHWC", "DHWIO", "NDHWC")
            return jax.lax.conv_general_dilated(
                x,
                kernel,
                [int(s) for s in steps],
                edges,
                rhs_dilation=[int(d) for d in apart],
                dimension_numbers=layout,
                feature_group_count=groups,
            )

        def with_gradients(convolution):
            def objective(x, kernel):
                y = convolution(x, kernel)
                return jnp.sum(jnp.cos(jnp.arange(y.size, dtype=float)) * y.ravel()), y

            return jax.jit(jax.grad(objective, (0, 1), has_aux=True))(x, kernel)

        jax.tree.map(
            lambda got, expected: np.testing.assert_allclose(got, expected, atol=1e-12),
            with_gradients(ours),
            with_gradients(plainly),
        )


def test_the_last_of_a_window_in_bfloat16_counts_as_much_as_the_first():
    x, kernel = jnp.ones((1, 40, 40, 2), jnp.bfloat16), jnp.ones((39, 39, 1, 2), jnp.bfloat16)
    y = convolve_shifted(x, kernel, (1, 1), ((0, 0), (0, 0)), (1, 1), 2)
    # In bfloat16 a sum of ones ends at 256.
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y.astype(jnp.float32), np.float32(jnp.bfloat16(39 * 39)))


def test_groups_that_do_not_divide_the_channels_are_refused():
    x = jnp.zeros((1, 4, 4, 4))
    with pytest.raises(InputError, match="groups: expected a divisor of 4 channels and 6 features"):
        Conv(6, groups=4).init(KEY, x)
    with pytest.raises(InputError, match="padding: expected an integer from 0"):
        Conv(4, padding=-1).init(KEY, x)


def test_depthwise_is_as_many_groups_as_there_are_channels():
    params = jax.eval_shape(Conv(6, groups=0).init, KEY, jnp.zeros((1, 4, 4, 3)))["params"]
    assert params["kernel"].shape == (3, 3, 1, 6)


def test_a_standardised_kernel_has_mean_0_and_variance_1_a_feature_and_so_does_its_layer():
    kernel = 3 + 2 * normal(0, 3, 3, 4, 5)
    got = np.asarray(standardised(kernel))
    np.testing.assert_allclose(got.mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(got.var((0, 1, 2)), 1, rtol=1e-4)
    x, params = normal(1, 1, 6, 6, 4), {"params": {"kernel": kernel}}
    layer = Conv(5, use_bias=False, standardise=True)
    shifted = {"params": {"kernel": 10 + 5 * kernel}}
    np.testing.assert_allclose(layer.apply(params, x), layer.apply(shifted, x), atol=1e-4)


@pytest.mark.parametrize("module", [Conv(2), ConvTranspose(2)])
@pytest.mark.parametrize(
    "x", [jnp.zeros((2, 4, 3)), jnp.zeros((2, 4, 4, 1), int), jnp.zeros((2, 4, 4, 1), complex)]
)
def test_what_is_no_image_is_refused_with_what_came(module, x):
    with pytest.raises(InputError, match=f"{type(module).__name__}: .* got {x.dtype}"):
        module.init(KEY, x)


def test_sizes_must_fit_the_rank():
    x = jnp.zeros((1, 4, 4, 1))
    for module in (Conv(2, (3, 3, 3)), Conv(2, 0), Conv(2, strides=(2,))):
        with pytest.raises(InputError, match=r"(kernel_size|strides): expected a positive integer"):
            module.init(KEY, x)
