import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.layers.correlate import correlate

CASES = {
    "plain": ((2, 5, 4, 3), (3, 2, 3, 2), (1, 1), ((1, 1), (0, 1)), (1, 1)),
    "strides that leave a rest": ((1, 7, 6, 2), (3, 3, 2, 1), (2, 3), ((1, 2), (0, 0)), (1, 1)),
    "strides that divide the window": (
        (1, 7, 6, 2),
        (4, 3, 2, 3),
        (2, 3),
        ((2, 1), (0, 1)),
        (1, 1),
    ),
    "dilated": ((1, 7, 8, 2), (3, 2, 2, 2), (2, 1), ((1, 2), (3, 0)), (2, 1)),
    "of one place, strided": ((2, 7, 8, 4), (1, 1, 4, 3), (2, 3), ((0, 0), (0, 0)), (1, 1)),
    "to one channel": ((2, 5, 6, 9), (3, 2, 9, 1), (1, 1), ((1, 1), (1, 0)), (1, 1)),
    "to fewer channels": ((1, 5, 6, 4), (3, 3, 4, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    "to more channels": ((1, 6, 7, 1), (3, 3, 1, 5), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    "with all that it reaches": ((2, 4, 5, 3), (3, 3, 3, 4), (1, 1), ((2, 2), (2, 2)), (1, 1)),
    "as large as the image": ((3, 4, 4, 3), (4, 4, 3, 2), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    "volume": ((2, 3, 4, 3, 2), (3, 1, 2, 2, 1), (2, 1, 1), ((1, 1), (0, 0), (1, 0)), (1, 1, 2)),
}
MAPPED = {"images": (0, None), "kernels": (None, 0), "both": (0, 0)}


def jax_own(x, kernel, strides, edges, dilation):
    axes = "DHW"[-len(strides) :]
    layout = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    return jax.lax.conv_general_dilated(
        x, kernel, strides, edges, rhs_dilation=dilation, dimension_numbers=layout
    )


def second_order(convolution, settings):
    """Gradients, forwards over them, and gradients of a penalty on them."""

    def total(x, kernel):
        return jnp.sum(jnp.sin(convolution(x, kernel, *settings)))

    def penalty(x, kernel):
        dx, dkernel = jax.grad(total, (0, 1))(x, kernel)
        return jnp.sum(dx**2) + jnp.sum(dkernel**3)

    def everything(x, kernel):
        forwards = jax.jvp(jax.grad(total, (0, 1)), (x, kernel), (jnp.cos(x), jnp.cos(kernel)))
        return forwards, jax.grad(penalty, (0, 1))(x, kernel)

    return everything


def arrays(case, count):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=(count, *shape))) for shape in case[:2]]


def agree(got, wanted):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-11), got, wanted)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_jax(name):
    with jax.enable_x64(True):
        case = CASES[name]
        x, kernel = (a[0] for a in arrays(case, 1))
        agree(*(jax.jit(second_order(f, case[2:]))(x, kernel) for f in (correlate, jax_own)))


@pytest.mark.parametrize("name", MAPPED)
def test_derivatives_are_those_of_jax_under_vmap(name):
    with jax.enable_x64(True):
        case, axes = CASES["dilated"], MAPPED[name]
        args = [a if axis == 0 else a[0] for a, axis in zip(arrays(case, 2), axes, strict=True)]
        mapped = (jax.vmap(second_order(f, case[2:]), axes) for f in (correlate, jax_own))
        agree(*(jax.jit(f)(*args) for f in mapped))


def test_in_a_branch_axes_are_in_the_order_that_is_fast_on_cpu():
    case = CASES["to fewer channels"]
    x, kernel = (a[0] for a in arrays(case, 1))

    def gradients(x, kernel):
        return jax.grad(lambda x, k: jnp.sum(correlate(x, k, *case[2:]) ** 2), (0, 1))(x, kernel)

    def lazily(due, x, kernel):
        return jax.lax.cond(due, gradients, lambda *same: same, x, kernel)

    text = jax.jit(lazily).lower(True, x, kernel).as_text()
    orders = re.findall(r"dim_numbers = (.*?), window", text)
    assert len(orders) == 3
    assert set(orders) == {"[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"}


def test_gradients_over_parts_of_a_batch_add_up():
    settings = CASES["plain"][2:]

    def gradients(kernel, x):
        return jax.grad(lambda *pair: jnp.sum(jnp.sin(correlate(*pair, *settings))), (0, 1))(
            x, kernel
        )

    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    whole, part = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec("data")
    # A kernel that is the same on all devices has the sum of their gradients.
    mapped = jax.shard_map(gradients, mesh=mesh, in_specs=(whole, part), out_specs=(part, whole))
    with jax.enable_x64(True):
        x, kernel = (array[0] for array in arrays(CASES["plain"], 1))
        agree(jax.jit(mapped)(kernel, x), gradients(kernel, x))


def test_what_stands_still_costs_nothing():
    case = CASES["plain"]
    x, kernel = (a[0] for a in arrays(case, 1))
    change = jax.jvp(lambda x: correlate(x, kernel, *case[2:]), (x,), (x,))[1]
    np.testing.assert_allclose(change, correlate(x, kernel, *case[2:]), rtol=1e-6)
    frozen = jax.make_jaxpr(jax.grad(lambda x: jnp.sum(correlate(x, kernel, *case[2:]))))(x)
    assert str(frozen).count("medjax_correlate") == 2  # forwards, and one back
