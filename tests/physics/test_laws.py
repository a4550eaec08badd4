"""The laws of every operator in the registry, and two facts that all of physics stands on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from operator_cases import CASES
from operator_cases.values import normal

from medjax.physics import OPERATORS, Cartesian, birdcage

INSTANCES = [
    pytest.param(make, shape, id=f"{name}-{i}")
    for name, instances in CASES.items()
    for i, (make, shape) in enumerate(instances)
]


def inner(u, v) -> complex:
    return complex(np.vdot(np.asarray(u), np.asarray(v)))


def assert_close(got, expected, tolerance):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, atol=tolerance * max(1, np.abs(expected).max()))


def test_every_registered_operator_is_held_to_the_laws():
    assert set(CASES) == set(OPERATORS)
    for name in OPERATORS:
        assert OPERATORS.summary(name)


@pytest.mark.parametrize(("dtype", "tolerance"), [("complex64", 1e-5), ("complex128", 1e-12)])
@pytest.mark.parametrize(("make", "shape"), INSTANCES)
def test_adjoint_linearity_and_gram(make, shape, dtype, tolerance):
    with jax.enable_x64(dtype == "complex128"):
        a, x, other = make(dtype), normal(2, shape, dtype), normal(4, shape, dtype)
        y = normal(3, jax.eval_shape(a, x).shape, dtype)
        c = 0.3 - 1.7j  # linear over the complex numbers

        @jax.jit
        def both_sides(a, x, other, y):
            ax, aty = a(x), a.H(y)
            (transposed,) = jax.linear_transpose(a.forward, x)(jnp.conj(y))
            return {
                "linear": (a(x + c * other), ax + c * a(other)),
                "gram": (a.gram(x), a.H(ax)),
                "what forward implies": (aty, jnp.conj(transposed)),
            }, (ax, aty)

        sides, (ax, aty) = both_sides(a, x, other, y)
        bound = tolerance * np.linalg.norm(ax) * np.linalg.norm(y)
        assert abs(inner(ax, y) - inner(x, aty)) <= bound
        for left, right in sides.values():
            assert left.dtype == dtype
            assert_close(left, right, tolerance * 10)


def inexact(tree) -> tuple[list[jax.Array], object]:
    """The leaves one can differentiate, and how to put them back."""
    leaves, structure = jax.tree.flatten(tree)
    where = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.inexact)]

    def rebuild(values):
        full = list(leaves)
        for i, value in zip(where, values, strict=True):
            full[i] = value
        return jax.tree.unflatten(structure, full)

    return [leaves[i] for i in where], rebuild


def directions(seed, tree):
    """Normal numbers in the shapes of a tree, real where it is real."""

    def one(leaf):
        values = normal(seed, leaf.shape, "complex128")
        return values if jnp.iscomplexobj(leaf) else jnp.real(values)

    return jax.tree.map(one, tree)


def along(gradients, direction) -> jax.Array:
    """The derivative along a direction, of a real function of real and complex arrays."""
    pairs = zip(jax.tree.leaves(gradients), jax.tree.leaves(direction), strict=True)
    return sum(jnp.sum(jnp.real(g * d)) for g, d in pairs)


@pytest.mark.parametrize(
    ("make", "shape"), [instances[-1] for instances in CASES.values()], ids=CASES
)
def test_derivatives_in_the_image_and_in_the_physics(make, shape):
    """First and second order in reverse mode, against central differences."""
    with jax.enable_x64(True):
        a = make("complex128")
        leaves, rebuild = inexact(a)

        def measured(arguments):
            leaves, x = arguments
            y = rebuild(leaves)(x)
            # Not linear, so that the second order is more than zero.
            return jnp.sum(jnp.sin(jnp.real(y)) + jnp.real(y) * jnp.imag(y))

        at = (leaves, normal(2, shape, "complex128"))
        v, w = directions(5, at), directions(6, at)
        first = jax.jit(jax.value_and_grad(measured))
        second = jax.jit(jax.grad(lambda arguments: along(jax.grad(measured)(arguments), v)))
        eps = 1e-5
        high, grad_high = first(jax.tree.map(lambda p, d: p + eps * d, at, w))
        low, grad_low = first(jax.tree.map(lambda p, d: p - eps * d, at, w))
        _, gradient = first(at)
        curvature = along(second(at), w)
        np.testing.assert_allclose(along(gradient, w), (high - low) / (2 * eps), rtol=1e-5)
        difference = (along(grad_high, v) - along(grad_low, v)) / (2 * eps)
        np.testing.assert_allclose(curvature, difference, rtol=1e-4)


@pytest.mark.parametrize(("make", "shape"), INSTANCES)
def test_an_operator_is_an_argument_of_transformations(make, shape):
    a, x = make("complex64"), normal(2, (2, *shape), "complex64")
    leaves, rebuild = inexact(a)
    two = [a, rebuild([2 * leaf for leaf in leaves])]
    stacked = jax.tree.map(lambda *leaf: np.stack(leaf), *two)
    there_and_back = jax.jit(lambda a, x: a.H(a(x)))
    got = jax.jit(jax.vmap(lambda a, x: a.H(a(x))))(stacked, x)
    assert_close(got, np.stack([there_and_back(*one) for one in zip(two, x, strict=True)]), 1e-5)

    if leaves:
        # To the fourth: the sum of squares does not see what a unitary operator does.
        power = jax.jit(jax.grad(lambda leaves: jnp.sum(jnp.abs(rebuild(leaves)(x[0])) ** 4)))
        for gradient in map(np.asarray, power(leaves)):
            assert np.isfinite(gradient).all()
            assert gradient.any()


@pytest.mark.parametrize(("make", "shape"), [i[0] for i in CASES.values()], ids=CASES)
def test_a_batch_over_eight_devices_is_not_gathered(make, shape):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    whole, split = (NamedSharding(mesh, PartitionSpec(*p)) for p in ((), ("data",)))
    a = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=whole), make("complex64")
    )
    x = jax.ShapeDtypeStruct((8, *shape), "complex64", sharding=split)
    text = jax.jit(lambda a, x: a.H(a(x))).lower(a, x).compile().as_text()
    assert "all-gather" not in text
    assert "all-to-all" not in text


def test_the_gradient_of_a_complex_array_is_the_conjugate_of_the_ascent():
    x = jnp.array([1.0 + 2.0j, -3.0 + 0.5j])
    gradient = jax.grad(lambda x: jnp.sum(jnp.real(x * jnp.conj(x))))(x)
    np.testing.assert_allclose(gradient, 2 * jnp.conj(x), rtol=1e-6)


def test_a_sharded_batch_stays_where_it_is():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    x = normal(1, (8, 6, 5), "complex64")
    sensitivities = birdcage(2, (6, 5))[None] * normal(2, (8, 1, 1, 1), "complex64")
    mask = jnp.array([1.0, 0.0, 0.5, 1.0, 0.0])

    def work(a, x):
        def loss(a, x):
            return jnp.sum(jnp.abs(a(x)) ** 4)

        return a.H(a(x)), jax.grad(loss, argnums=1)(a, x)

    a = Cartesian(mask, sensitivities)
    expected = jax.jit(work)(a, x)
    placed = Cartesian(
        jax.device_put(mask, NamedSharding(mesh, PartitionSpec())),
        jax.device_put(sensitivities, split),
    )
    compiled = jax.jit(work).lower(placed, jax.device_put(x, split)).compile()
    text = compiled.as_text()
    assert "all-gather" not in text
    assert "all-to-all" not in text
    got = compiled(placed, jax.device_put(x, split))
    for g, e in zip(got, expected, strict=True):
        assert g.sharding.is_equivalent_to(split, g.ndim)
        assert_close(g, e, 1e-5)
