"""Cartesian MRI: masks, coils and the Fourier transform as one operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from medjax.core.arrays import with_rank
from medjax.core.errors import InputError
from medjax.core.struct import static, struct
from medjax.core.trees import nbytes
from medjax.core.types import Array, Bool
from medjax.physics.cache import in_parts
from medjax.physics.fft import centring, fft, modulate, times
from medjax.physics.operator import LinearOperator, require_complex

from .coils import Coils
from .sampling import Sampling


@struct
class Cartesian(LinearOperator):
    """``Sampling(mask) @ Fourier(ndim) @ Coils(maps, ndim)`` in one, and faster.

    What centring multiplies by is merged into the maps and the mask. The normal
    operator needs no centring at all, as a shift of the mask does the same, and no
    transform along axes on which the mask does not depend, where the two cancel: for
    lines one axis is left. And on CPU a batch passes through the cache once.

    Images ``(*batch, *spatial)`` become zero-filled k-space ``(*batch, [coil,]
    *spatial)``.

    Attributes:
        mask: bool, or real weights, meeting the trailing axes of k-space as in
            `Sampling`: ``(x,)``, ``(y, x)``, or with coils ``(batch, 1, y, x)``.
        maps: complex sensitivities ``(*batch, coil, *spatial)``; without them k-space
            has no coil axis.
        ndim: number of spatial axes.

    Raises:
        InputError: as `Sampling` and `Coils`.
    """

    mask: Array
    maps: Array | None = None
    ndim: int = static(default=2)

    def __post_init__(self):
        Sampling(self.mask)
        if self.maps is not None:
            Coils(self.maps, self.ndim)

    @property
    def sampling(self) -> Sampling:
        """The last factor: what it does to k-space."""
        return Sampling(self.mask)

    def forward(self, x: Array) -> Array:
        self._check(x, coil=False)
        before, after, scale = centring(x.shape[-self.ndim :])

        def work(x: Array, weights: Array, maps: Array | None) -> Array:
            return times(fft(self._seen(modulate(x, before), maps), self._all), weights)

        return self._in_parts(work, x, self._weights(x, after, scale), coil=False)

    def adjoint(self, y: Array) -> Array:
        self._check(y, coil=self.maps is not None)
        before, after, scale = centring(y.shape[-self.ndim :], inverse=True)

        def work(y: Array, weights: Array, maps: Array | None) -> Array:
            images = fft(times(y, weights), self._all, inverse=True)
            return modulate(self._combined(images, maps), after)

        weights = self._weights(y, before, scale)
        return self._in_parts(work, y, weights, coil=self.maps is not None)

    def normal(self, x: Array) -> Array:
        self._check(x, coil=False)
        mask = with_rank(self.mask, max(self.ndim, self.mask.ndim))
        axes = tuple(a for a in self._all if mask.shape[a] > 1)
        weights = mask.astype(jnp.finfo(x.dtype).dtype)
        weights = jnp.roll(weights**2, [-(mask.shape[a] // 2) for a in axes], axes)

        def work(x: Array, weights: Array, maps: Array | None) -> Array:
            kspace = times(fft(self._seen(x, maps), axes), weights)
            return self._combined(fft(kspace, axes, inverse=True), maps)

        return self._in_parts(work, x, weights, coil=False)

    @property
    def _all(self) -> tuple[int, ...]:
        return tuple(range(-self.ndim, 0))

    def _check(self, x: Array, *, coil: bool) -> None:
        """Raise for an image, or with ``coil`` for k-space, that mask or maps do not fit."""
        require_complex(x, "Cartesian")
        shape = x.shape
        if self.maps is not None:
            seen = x if coil else jnp.expand_dims(x, x.ndim - self.ndim)
            maps = Coils(self.maps, self.ndim).matching(seen)
            shape = (
                *seen.shape[: -self.ndim - 1],
                maps.shape[-self.ndim - 1],
                *seen.shape[-self.ndim :],
            )
        self.sampling.matching(shape)

    def _weights(self, like: Array, factors: Sequence[np.ndarray], scale: float) -> Array:
        """The mask times one factor an axis, real where all sizes are even."""
        dtype = like.dtype if any(map(np.iscomplexobj, factors)) else jnp.finfo(like.dtype).dtype
        weights = with_rank(self.mask, max(self.ndim, self.mask.ndim)).astype(dtype) * scale
        for axis, factor in zip(self._all, factors, strict=True):
            factor = factor.reshape(-1, *(1,) * (-1 - axis))
            weights = weights * with_rank(jnp.asarray(factor, dtype), weights.ndim)
        return weights

    def _seen(self, x: Array, maps: Array | None) -> Array:
        return x if maps is None else Coils(maps, self.ndim).forward(x)

    def _combined(self, images: Array, maps: Array | None) -> Array:
        return images if maps is None else Coils(maps, self.ndim).adjoint(images)

    def _in_parts(
        self, work: Callable[..., Array], x: Array, weights: Array, *, coil: bool
    ) -> Array:
        """``work(x, weights, maps)``, a few samples at a time where that is faster."""
        axes = self.ndim + (self.maps is not None)  # of one sample's k-space
        batch = x.shape[: x.ndim - (axes if coil else self.ndim)]
        kspace = nbytes(x)
        if self.maps is not None and not coil:
            kspace *= self.maps.shape[-axes]
        own = []  # which of weights and maps differ from sample to sample
        arrays = [x]
        shared: list[Array | None] = []
        for leaf in (with_rank(weights, max(axes, weights.ndim)), self.maps):
            lead = () if leaf is None else leaf.shape[: leaf.ndim - axes]
            own.append(any(n > 1 for n in lead))
            if own[-1]:
                arrays.append(jnp.broadcast_to(leaf, (*batch, *leaf.shape[len(lead) :])))
                shared.append(None)
            else:
                shared.append(None if leaf is None else leaf.reshape(leaf.shape[len(lead) :]))

        def function(x: Array, *rest: Array) -> Array:
            rest = iter(rest)
            return work(x, *(next(rest) if o else s for o, s in zip(own, shared, strict=True)))

        return in_parts(function, *arrays, batch=batch, nbytes=kspace)


def sampled_columns(kspace: Array | np.ndarray) -> Bool[Array | np.ndarray, " x"]:
    """The mask of zero-filled k-space: columns with a nonzero sample anywhere.

    Args:
        kspace: ``(..., y, x)`` of one scan: all slices, coils and rows count, so
            that a sample that happens to be zero hides no column. A NumPy array is
            looked at on the host.

    Returns:
        ``(x,)``, true where a column was sampled.

    Raises:
        InputError: for an array of fewer than two axes.
    """
    if kspace.ndim < 2:
        raise InputError("kspace", "an array (..., y, x)", kspace.shape)
    return (kspace != 0).any(axis=tuple(range(kspace.ndim - 1)))
