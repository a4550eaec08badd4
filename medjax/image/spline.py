"""Fields of cubic B-splines on a coarse uniform grid of control points."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from medjax.core.types import Array, Float

INJECTIVE = 0.4
"""Control displacements of up to this part of the knots' distance keep ``p + u(p)`` one-to-one.

Choi & Lee 2000, Injectivity conditions of 2D and 3D uniform cubic B-spline functions,
Graphical Models 62: below 1/2.046 of it in 2D and below 1/2.479 in 3D.
"""


def cubic_basis(
    positions: Float[Array, "*points"], samples: int, intervals: int, *, derivative: bool = False
) -> Float[Array, "*points control"]:
    """Uniform cubic B-splines at positions along one axis.

    Args:
        positions: in voxels.
        samples: voxels along the axis; the knots divide the extent from -0.5 to
            ``samples - 0.5`` evenly.
        intervals: between knots, at least 1.
        derivative: along the axis, per voxel, instead of the values.

    Returns:
        Weights of the ``intervals + 3`` control points; inside the image they sum to 1
        (derivatives to 0).
    """
    rate = intervals / samples
    knots = jnp.arange(-1, intervals + 2, dtype=positions.dtype)
    x = (positions[..., None] + 0.5) * rate - knots.reshape((1,) * positions.ndim + (-1,))
    distance = jnp.abs(x)
    far = jnp.clip(2 - distance, 0, None)
    if derivative:
        slope = jnp.where(distance < 1, 1.5 * distance**2 - 2 * distance, -(far**2) / 2)
        return rate * jnp.sign(x) * slope
    return jnp.where(distance < 1, 2 / 3 - distance**2 + distance**3 / 2, far**3 / 6)


def spline_field(
    control: Float[Array, "field *control"], shape: tuple[int, ...]
) -> Float[Array, "field *spatial"]:
    """The fields at all voxels, by one small matrix product an axis.

    Args:
        control: ``(field, *control)`` coefficients, ``intervals + 3`` along each axis.
        shape: ``len(shape)`` sizes of the image.
    """
    field = control
    for axis, n in enumerate(shape, start=1):
        basis = cubic_basis(jnp.arange(n, dtype=control.dtype), n, control.shape[axis] - 3)
        # Positions must not be rounded to bfloat16, as accelerators' products may be.
        field = jnp.moveaxis(
            jnp.tensordot(field, basis, axes=([axis], [1]), precision="highest"), -1, axis
        )
    return field


def spline_at(
    control: Float[Array, "field *control"],
    points: Float[Array, "points n"],
    shape: tuple[int, ...],
) -> tuple[Float[Array, "points field"], Float[Array, "points field n"]]:
    """The fields and their derivatives at points.

    Args:
        control: as for `spline_field`.
        points: in voxels; outside the image the field fades to zero within two knots.
        shape: ``n`` sizes of the image.

    Returns:
        Values, and derivatives per voxel along each axis.
    """
    n = len(shape)
    values, slopes = (
        [
            cubic_basis(points[:, a], shape[a], control.shape[a + 1] - 3, derivative=d)
            for a in range(n)
        ]
        for d in (False, True)
    )

    def contracted(bases: list[Array]) -> Array:
        total = jnp.broadcast_to(control[None], (points.shape[0], *control.shape))
        for basis in reversed(bases):
            total = jnp.sum(total * basis.reshape(-1, *(1,) * (total.ndim - 2), basis.shape[1]), -1)
        return total

    gradient = [
        contracted([slopes[a] if a == b else values[a] for a in range(n)]) for b in range(n)
    ]
    return contracted(values), jnp.stack(gradient, -1)


def invert_displacement(
    control: Float[Array, "n *control"],
    points: Float[Array, "points n"],
    shape: tuple[int, ...],
    *,
    steps: int = 12,
) -> Float[Array, "points n"]:
    """The ``p`` with ``p + u(p) = point``, by Newton's method.

    Args:
        control: coefficients of the displacement ``u`` in voxels, within `INJECTIVE`.
        points: in voxels.
        shape: of the image.
        steps: of Newton's method; it starts at the points themselves.
    """
    unit = jnp.eye(len(shape), dtype=points.dtype)[None]

    def step(_, p):
        u, slope = spline_at(control, p, shape)
        change = jnp.sum(small_inverse(unit + slope) * (p + u - points)[:, None, :], -1)
        return p - change

    return jax.lax.fori_loop(0, steps, step, points)


def small_inverse(matrix: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """Inverse of 2 x 2 and 3 x 3 matrices in closed form.

    LAPACK's solver is a call into a library, which XLA would not divide over devices.
    """
    if matrix.shape[-1] == 2:
        a, b, c, d = (matrix[..., i, j] for i in (0, 1) for j in (0, 1))
        adjugate = jnp.stack([jnp.stack([d, -b], -1), jnp.stack([-c, a], -1)], -2)
        return adjugate / (a * d - b * c)[..., None, None]
    x, y, z = (matrix[..., i, :] for i in range(3))
    columns = jnp.stack([jnp.cross(y, z), jnp.cross(z, x), jnp.cross(x, y)], -1)
    return columns / jnp.sum(x * columns[..., 0], -1)[..., None, None]
