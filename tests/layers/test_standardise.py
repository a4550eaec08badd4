import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.layers.spread import biased, spread, total
from medjax.layers.standardise import BatchNorm, GroupNorm

SHAPE = (2, 4, 3, 6)
EPSILON = 1e-5
PAIRS = {
    "group": (GroupNorm(3), nn.GroupNorm(3, epsilon=EPSILON, use_fast_variance=False)),
    "instance": (GroupNorm(0), nn.InstanceNorm(epsilon=EPSILON, use_fast_variance=False)),
    "batch": (
        BatchNorm(train=True),
        nn.BatchNorm(False, momentum=0.9, epsilon=EPSILON, use_fast_variance=False),
    ),
}


def normal(seed, shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def everything(module):
    """Output and new statistics, gradients, forwards over them, gradients of a penalty on them."""

    def total_of(params, x, rest):
        y, new = module.apply({"params": params, **rest}, x, mutable=list(rest))
        return jnp.sum(jnp.sin(y) * jnp.cos(jnp.arange(y.size)).reshape(y.shape)), (y, new)

    def function(variables, x):
        rest = {"batch_stats": variables["batch_stats"]} if "batch_stats" in variables else {}
        args = variables["params"], x
        gradients = jax.grad(lambda *a: total_of(*a, rest)[0], (0, 1))

        def penalty(*a):
            return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradients(*a)))

        forwards = jax.jvp(gradients, args, jax.tree.map(jnp.cos, args))
        return total_of(*args, rest)[1], forwards, jax.grad(penalty, (0, 1))(*args)

    return function


@pytest.mark.parametrize("name", PAIRS)
def test_norms_and_derivatives_to_second_order_are_those_of_flax(name):
    own, reference = PAIRS[name]
    # Flax's own promotes float32 to float64, which strict promotion forbids.
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        x = 10 + 3 * normal(0, SHAPE)
        variables = reference.init(jax.random.key(0), x)
        assert jax.tree.structure(variables) == jax.tree.structure(
            own.init(jax.random.key(0), x.astype(jnp.float32))
        )
        leaves, tree = jax.tree.flatten(variables)
        leaves = [a + normal(i, a.shape) ** 2 for i, a in enumerate(leaves)]
        variables = jax.tree.unflatten(tree, leaves)
        got, wanted = (jax.jit(everything(m))(variables, x) for m in (own, reference))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), got, wanted)


def test_a_group_norm_is_modulated_as_if_afterwards():
    x, scale, shift = (
        normal(i, s).astype(jnp.float32) for i, s in enumerate((SHAPE, (2, 6), (2, 6)))
    )
    variables = GroupNorm(2).init(jax.random.key(0), x)
    plain = GroupNorm(2).apply(variables, x)
    wanted = plain * (1 + scale[:, None, None]) + shift[:, None, None]
    np.testing.assert_allclose(GroupNorm(2).apply(variables, x, scale, shift), wanted, atol=1e-6)


def test_groups_that_do_not_divide_the_channels_are_named():
    with pytest.raises(InputError, match="4"):
        GroupNorm(4).init(jax.random.key(0), jnp.ones((1, 2, 2, 6)))


def test_statistics_of_many_places_are_exact_enough_far_from_zero():
    # Sums of 2^20 numbers near 1000: a running float32 sum would lose the deviation of one.
    x = 1000 + normal(0, (1, 1024, 1024, 1)).astype(jnp.float32)
    y = np.asarray(GroupNorm(0).apply({"params": {"scale": jnp.ones(1), "bias": jnp.zeros(1)}}, x))
    wanted = np.asarray(x, float) - np.asarray(x, float).mean()
    np.testing.assert_allclose(y, wanted / np.sqrt((wanted**2).mean() + EPSILON), atol=2e-3)


@pytest.mark.parametrize("lead", [0, 1, 2])
def test_spread_and_total_are_each_others_transpose(lead):
    with jax.enable_x64(True):
        x, values = normal(0, SHAPE), normal(1, SHAPE[:lead] + SHAPE[-1:])
        sizes = SHAPE[lead:-1]
        wanted = x.sum(tuple(range(lead, 3)))
        np.testing.assert_allclose(total(x, lead), wanted, atol=1e-12)
        np.testing.assert_allclose(
            jnp.vdot(total(x, lead), values), jnp.vdot(x, spread(values, sizes))
        )
        back = jax.grad(lambda v: jnp.vdot(spread(v, sizes), x))(values)
        np.testing.assert_allclose(back, wanted, atol=1e-12)
        forth = jax.grad(lambda x: jnp.vdot(total(x, lead), values))(x)
        np.testing.assert_array_equal(forth, spread(values, sizes))


@pytest.mark.parametrize("lead", [0, 1])
def test_what_a_long_sum_is_of_is_summed_in_float32_and_never_written(lead):
    x = normal(0, (2, 16, 16, 8)).astype(jnp.bfloat16)
    squared = jax.jit(lambda x: total(jnp.square(x.astype(jnp.float32)), lead))
    wanted = (np.asarray(x, float) ** 2).sum(tuple(range(lead, 3)))
    np.testing.assert_allclose(squared(x), wanted, rtol=1e-6)
    assert squared.lower(x).compile().memory_analysis().temp_size_in_bytes < 2 * x.size
    half = np.asarray(total(x, lead), float)
    np.testing.assert_allclose(half, np.asarray(x, float).sum(tuple(range(lead, 3))), rtol=2**-8)


def test_under_vmap_both_keep_the_mapped_axis():
    x, bias = normal(0, (5, *SHAPE)), normal(1, (6, 5))
    with jax.enable_x64(True):
        got = jax.vmap(lambda x, b: total(biased(x, b), 1), (0, 1))(x, bias)
        np.testing.assert_allclose(got, (x + bias.T[:, None, None, None]).sum((2, 3)), atol=1e-5)


def test_on_several_devices_sums_gather_nothing():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    x = jax.device_put(
        jnp.ones((8, 4, 4, 2)), jax.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    )
    for lead, summed in ((0, True), (1, False)):
        program = jax.jit(lambda x, lead=lead: total(x * x, lead)).lower(x).compile().as_text()
        assert "all-gather" not in program
        assert ("all-reduce" in program) == summed


def test_what_is_exported_has_no_call_that_only_this_version_knows():
    function = jax.jit(jax.grad(lambda x: jnp.sum(total(jnp.sin(x), 1) ** 2)))
    x = jnp.ones(SHAPE, jnp.float32)
    assert "custom_call" in function.lower(x).as_text()
    exported = jax.export.export(function, platforms=("cpu",))(x)
    np.testing.assert_allclose(exported.call(x), function(x), rtol=1e-6)
