"""Rigid motion between the shots of a scan, as a part of the scan's operator."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from medjax.core.arrays import meets_last, with_rank
from medjax.core.errors import InputError
from medjax.core.struct import static, struct
from medjax.core.types import Array
from medjax.physics.fft import fftc, ifftc
from medjax.physics.fourier import Fourier
from medjax.physics.operator import LinearOperator, cast_like, require_complex

from .coils import Coils


@struct
class RigidMotion(LinearOperator):
    """An image in the pose of every shot: ``(..., *spatial)`` to ``(..., shot, *spatial)``.

    A rotation in a plane is three shears, each a shift of every row by its own
    distance, which a ramp of phase does exactly for an image of limited band and
    period (Unser et al. 1995, IEEE Trans Image Process 4:1371; Larkin et al. 1997,
    Opt Commun 139:99). Translations are ramps as well and join those of the last
    shears: in the plane ``(y, x)`` by ``(ty, tx)`` and the angle ``a`` the rows move
    along ``x`` by ``y tan(a/2)``, then columns along ``y`` by ``ty - x sin(a)``, then
    rows by ``tx + (y - ty) tan(a/2)``. In a volume the planes turn one after the other.

    Every shear is unitary, so the adjoint of a shot's motion is its inverse and the
    normal operator is the number of shots. What leaves the field of view comes
    back at the other side; an object needs a margin of as much as it moves. Angles
    of head motion are far within the method's range, which ends towards pi.

    The object first turns about the centre, index ``n // 2``, and then moves.

    Attributes:
        translation: real, ``(*batch, shot, ndim)``, in the unit of ``spacing``. Content
            moves towards higher indices where it is positive.
        rotation: real, in radians: ``(*batch, shot)`` in 2D, from ``y`` towards ``x``;
            ``(*batch, shot, 3)`` in 3D, about the axes ``z``, ``y`` and ``x``, taken
            in this order, and each from the first towards the second of the two
            axes that remain.
        spacing: distance of pixels along each axis, as in millimetres; without it
            pixels are square and the unit.

    Raises:
        InputError: for leaves that are not real or do not fit each other, a spacing
            that is not positive, or, when applied, a real image or one whose batch
            axes do not fit those of the motion.
    """

    translation: Array
    rotation: Array
    spacing: tuple[float, ...] | None = static(default=None)

    def __post_init__(self):
        for name, leaf in (("translation", self.translation), ("rotation", self.rotation)):
            if not jnp.issubdtype(leaf.dtype, jnp.floating):
                raise InputError(name, "a real floating array", leaf.dtype)
        moves = self.translation.shape
        if len(moves) < 2 or moves[-1] not in (2, 3):
            raise InputError("translation", "(*batch, shot, 2 or 3)", moves)
        turns = moves[:-1] if moves[-1] == 2 else moves
        if self.rotation.shape != turns:
            raise InputError("rotation", f"{turns} for translations {moves}", self.rotation.shape)
        spacing = (1.0,) * self.ndim if self.spacing is None else self.spacing
        if len(spacing) != self.ndim or not all(0 < d < math.inf for d in spacing):
            raise InputError("spacing", f"{self.ndim} positive numbers", self.spacing)

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return self.translation.shape[-1]

    @property
    def shots(self) -> int:
        """Number of poses."""
        return self.translation.shape[-2]

    def forward(self, x: Array) -> Array:
        x = jnp.expand_dims(x, x.ndim - self.ndim)
        for axis, distance in self._shears(x):
            x = _shift(x, axis, distance)
        return x

    def adjoint(self, y: Array) -> Array:
        for axis, distance in reversed(self._shears(y)):
            y = _shift(y, axis, -distance)
        return jnp.sum(y, axis=-self.ndim - 1)

    def normal(self, x: Array) -> Array:
        require_complex(x, "RigidMotion")
        return x * self.shots

    def _shears(self, x: Array) -> list[tuple[int, Array]]:
        """Axis of each shear of ``x``, which has a shot axis, and how far its lines move there."""
        require_complex(x, "RigidMotion")
        ndim, real = self.ndim, jnp.finfo(x.dtype).dtype
        batch = self.translation.shape[:-2]
        if not meets_last(batch, x.shape[: x.ndim - ndim - 1]):
            raise InputError("translation", f"batch axes that fit those of {x.shape}", batch)

        def per_shot(leaf: Array) -> Array:
            leaf = with_rank(leaf.astype(real), x.ndim - ndim)
            return leaf.reshape(*leaf.shape, *(1,) * ndim)

        step = (1.0,) * ndim if self.spacing is None else self.spacing
        position = []
        for axis, (n, d) in enumerate(zip(x.shape[-ndim:], step, strict=True)):
            line = (jnp.arange(n) - n // 2).astype(real) * d
            position.append(with_rank(line.reshape(-1, *(1,) * (ndim - 1 - axis)), x.ndim))
        move = [per_shot(self.translation[..., axis]) for axis in range(ndim)]
        planes = [(0, 1, self.rotation)]
        if ndim == 3:
            planes = [
                (first, second, self.rotation[..., about])
                for about, (first, second) in enumerate([(1, 2), (0, 2), (0, 1)])
            ]
        # An axis moves in the last plane that has it: later ones leave it alone.
        due = {axis: i for i, plane in enumerate(planes) for axis in plane[:2]}
        shears = []
        for i, (first, second, angle) in enumerate(planes):
            u = move[first] if due[first] == i else 0 * move[first]
            v = move[second] if due[second] == i else 0 * move[second]
            turn = per_shot(angle)
            along, across = jnp.tan(turn / 2), -jnp.sin(turn)
            shears += [
                (second - ndim, along * position[first] / step[second]),
                (first - ndim, (u + across * position[second]) / step[first]),
                (second - ndim, (v + along * (position[first] - u)) / step[second]),
            ]
        return shears


def _shift(x: Array, axis: int, distance: Array) -> Array:
    """``x`` moved along one axis by ``distance`` pixels, of the rank of ``x`` and 1 there."""
    n = x.shape[axis]
    frequency = with_rank((jnp.arange(n) - n // 2).astype(distance.dtype), x.ndim)
    phase = frequency * jnp.swapaxes(distance, axis, -1) * (-2 * math.pi / n)
    ramp = jax.lax.complex(jnp.cos(phase), jnp.sin(phase))
    return jnp.swapaxes(ifftc(ramp * fftc(jnp.swapaxes(x, axis, -1), 1), 1), axis, -1)


@struct
class Shots(LinearOperator):
    """What each shot samples, put together: ``(..., shot, *rest)`` to ``(..., *rest)``.

    ``y = sum over shots of mask[shot] * x[shot]``. Where each sample belongs to one
    shot, the masks are disjoint; where several shots sample it, their sum is
    measured.

    Attributes:
        mask: bool, or real weights, ``(*batch, shot, *rest)`` with axes that are equal
            to the data's or one; for k-space ``(..., shot, coil, y, x)`` it is
            ``(shot, 1, 1, x)`` where shots sample lines along ``y``.
        axes: number of axes that follow the shot's.

    Raises:
        InputError: for a mask that is neither bool nor real floating, or, when
            applied, one that does not fit the data.
    """

    mask: Array
    axes: int = static(default=2)

    def __post_init__(self):
        if not (self.mask.dtype == bool or jnp.issubdtype(self.mask.dtype, jnp.floating)):
            raise InputError("mask", "a bool or real floating array", self.mask.dtype)
        if self.mask.ndim <= self.axes:
            raise InputError("mask", f"a shot axis and {self.axes} more", self.mask.shape)

    def forward(self, x: Array) -> Array:
        return jnp.sum(self._weights(x) * x, axis=-self.axes - 1)

    def adjoint(self, y: Array) -> Array:
        y = jnp.expand_dims(y, y.ndim - self.axes)
        return self._weights(y) * y

    def _weights(self, x: Array) -> Array:
        """The mask at the rank and precision of ``x``, which has a shot axis of any size."""
        mask, shot = self.mask, self.mask.ndim - self.axes - 1
        met = x.shape[x.ndim - mask.ndim :] if mask.ndim <= x.ndim else ()
        if len(met) != mask.ndim or any(
            m not in (1, n) and not (i == shot and n == 1)
            for i, (m, n) in enumerate(zip(mask.shape, met, strict=True))
        ):
            raise InputError("mask", f"shots that fit data of shape {x.shape}", mask.shape)
        return with_rank(cast_like(mask, x), x.ndim)


def motion_corrupted(mask: Array, motion: RigidMotion, maps: Array | None = None) -> LinearOperator:
    """The scan of an object that moves between shots: ``Shots @ Fourier @ Coils @ motion``.

    Coils stay where they are while the object moves (Batchelor et al. 2005, Magn
    Reson Med 54:1273).

    Args:
        mask: bool or real, what each shot samples: ``(*batch, shot, *spatial)`` with
            axes that are those of k-space or one. Without a batch leading spatial
            axes may be left out: ``(shot, x)`` for lines.
        motion: a pose a shot.
        maps: complex sensitivities ``(*batch, coil, *spatial)``; without them k-space
            has no coil axis.

    Returns:
        An operator from images ``(*batch, *spatial)`` to the k-space that the shots
        fill, ``(*batch, coil, *spatial)``, zero where none samples.

    Raises:
        InputError: for a mask of another number of shots.
    """
    ndim = motion.ndim
    if 0 < mask.ndim <= ndim:
        mask = mask.reshape(mask.shape[0], *(1,) * (ndim + 1 - mask.ndim), *mask.shape[1:])
    if mask.ndim <= ndim or mask.shape[-ndim - 1] != motion.shots:
        raise InputError("mask", f"an axis of {motion.shots} shots", mask.shape)
    if maps is None:
        return Shots(mask, ndim) @ Fourier(ndim) @ motion
    # Maps and masks meet data that has a shot and a coil axis.
    mask, maps = jnp.expand_dims(mask, -ndim - 1), jnp.expand_dims(maps, -ndim - 2)
    return Shots(mask, ndim + 1) @ Fourier(ndim) @ Coils(maps, ndim) @ motion
