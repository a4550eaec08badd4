"""Operators of physics: ``y = A(x)``, with adjoints, composition and laws.

An operator is a frozen dataclass registered as a pytree. What a scan is made
of (masks, coil maps, trajectories, angles) are its leaves, so that one may
``jit``, ``vmap``, ``grad`` and shard over them; sizes and numbers of axes are
static. Leading axes of ``x`` are batch axes everywhere.

On gradients: for a real loss of complex arrays ``jax.grad`` returns the
conjugate of the direction of steepest ascent (for ``loss = sum(abs(x)**2)`` it
is ``2 * conj(x)``). Optax adds updates as they come, so conjugate the gradient
of a complex parameter before an update; `tests/physics/test_laws.py` holds
this fact fixed. Gradients of real parameters need nothing.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from medjax.core.arrays import meets_last, with_rank
from medjax.core.errors import InputError
from medjax.core.struct import struct
from medjax.core.types import Array


def require_complex(x: Array, who: str) -> None:
    """Raise `InputError` for a real array where a complex one is due."""
    if not jnp.iscomplexobj(x):
        hint = "x.astype(jnp.complex64)"
        if len(x.shape) > 0 and x.shape[-1] == 2:
            hint = "medjax.physics.from_real_pair(x)"
        elif len(x.shape) > 3 and x.shape[1] == 2:
            hint = "medjax.physics.adapters.from_deepinverse(x)"
        raise InputError(
            who, f"a complex array (adapt a real one by {hint})", f"{x.dtype} {x.shape}"
        )


def from_real_pair(x: Array) -> Array:
    """Complex numbers from a last axis of two: real and imaginary part (fastMRI's layout)."""
    if not jnp.issubdtype(x.dtype, jnp.floating) or x.shape[-1:] != (2,):
        raise InputError(
            "from_real_pair", "a real floating array whose last axis is 2", f"{x.dtype} {x.shape}"
        )
    return jax.lax.complex(x[..., 0], x[..., 1])


def to_real_pair(x: Array) -> Array:
    """Real and imaginary part as a last axis of two."""
    require_complex(x, "to_real_pair")
    return jnp.stack([jnp.real(x), jnp.imag(x)], axis=-1)


class LinearOperator:
    """A linear map. A subclass gives `forward`, and `adjoint` or `domain`.

    ``A(x)`` applies it, ``A.H`` is the adjoint, ``A @ B`` is ``x -> A(B(x))``,
    ``A.gram`` is the normal operator ``A.H @ A`` in its fastest known form,
    ``A + B`` and ``2.0 * A`` are what they look like.
    """

    def forward(self, x: Array) -> Array:
        """``A x``."""
        raise TypeError(f"{type(self).__name__} does not define forward")

    def domain(self, y: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        """Shape and dtype of ``x`` for those of ``y``; needed where `adjoint` is not written."""
        return y

    def adjoint(self, y: Array) -> Array:
        """``A^H y``, by default from ``jax.linear_transpose`` of `forward`."""
        x = self.domain(jax.ShapeDtypeStruct(y.shape, y.dtype))
        (transposed,) = jax.linear_transpose(self.forward, x)(jnp.conj(y))
        return jnp.conj(transposed)

    def normal(self, x: Array) -> Array:
        """``A^H A x``."""
        return self.adjoint(self.forward(x))

    def __call__(self, x: Array) -> Array:
        return self.forward(x)

    @property
    def H(self) -> LinearOperator:
        return Adjoint(self)

    @property
    def gram(self) -> LinearOperator:
        return Gram(self)

    def __matmul__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            got = type(other).__name__
            raise TypeError(f"A @ B composes operators, A(x) applies one; got {got}")
        return Composition((*_factors(self), *_factors(other)))

    def __add__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            return NotImplemented
        return Sum(self, other)

    def __mul__(self, scalar: Any) -> LinearOperator:
        return Composition((Scale(jnp.asarray(scalar)), *_factors(self)))

    __rmul__ = __mul__


def _factors(a: LinearOperator) -> tuple[LinearOperator, ...]:
    return a.operators if isinstance(a, Composition) else (a,)


@struct
class Identity(LinearOperator):
    """``x -> x``: nothing, where an operator is due."""

    def forward(self, x: Array) -> Array:
        return x

    def adjoint(self, y: Array) -> Array:
        return y


@struct
class Scale(LinearOperator):
    """``x -> scalar * x``, with a real or complex scalar."""

    scalar: Array

    def forward(self, x: Array) -> Array:
        return cast_like(self.scalar, x) * x

    def adjoint(self, y: Array) -> Array:
        return jnp.conj(cast_like(self.scalar, y)) * y


def cast_like(leaf: Array, like: Array) -> Array:
    """A leaf in the dtype of the array that it multiplies; a complex leaf needs a complex one."""
    if jnp.iscomplexobj(leaf):
        require_complex(like, "operator")
    return leaf.astype(like.dtype)


def matching(name: str, leaf: Array, shape: tuple[int, ...]) -> Array:
    """A leaf with as many axes as data of this shape, whose last axes it meets or is 1 on.

    Raises:
        InputError: that names the leaf, where it does not fit.
    """
    if not meets_last(leaf.shape, shape):
        raise InputError(name, f"axes that are 1 or the last ones of {shape}", leaf.shape)
    return with_rank(leaf, len(shape))


@struct
class Adjoint(LinearOperator):
    """``A.H``: from measurements back to images."""

    of: LinearOperator

    def forward(self, x: Array) -> Array:
        return self.of.adjoint(x)

    def adjoint(self, y: Array) -> Array:
        return self.of.forward(y)

    @property
    def H(self) -> LinearOperator:
        return self.of


@struct
class Gram(LinearOperator):
    """``A.H @ A``, the normal operator, in its fastest known form; self-adjoint."""

    of: LinearOperator

    def forward(self, x: Array) -> Array:
        return self.of.normal(x)

    def adjoint(self, y: Array) -> Array:
        return self.of.normal(y)

    @property
    def H(self) -> LinearOperator:
        return self


@struct
class Composition(LinearOperator):
    """``A @ B @ ...``: one operator after the other; the last acts first."""

    operators: tuple[LinearOperator, ...]

    def forward(self, x: Array) -> Array:
        return functools.reduce(lambda v, a: a.forward(v), reversed(self.operators), x)

    def adjoint(self, y: Array) -> Array:
        return functools.reduce(lambda v, a: a.adjoint(v), self.operators, y)

    def normal(self, x: Array) -> Array:
        first, *rest = self.operators
        for a in reversed(rest):
            x = a.forward(x)
        x = first.normal(x)
        for a in rest:
            x = a.adjoint(x)
        return x


@struct
class Sum(LinearOperator):
    """``A + B``, on one domain and into one range."""

    left: LinearOperator
    right: LinearOperator

    def forward(self, x: Array) -> Array:
        return self.left.forward(x) + self.right.forward(x)

    def adjoint(self, y: Array) -> Array:
        return self.left.adjoint(y) + self.right.adjoint(y)
