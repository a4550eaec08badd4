"""Artefacts of scans as augmentation: those of `medjax.physics.artefacts`, a batch at a time."""

from __future__ import annotations

import jax

from medjax.core.errors import InputError
from medjax.core.types import Array, Key
from medjax.physics import ARTEFACTS
from medjax.physics.artefacts.batching import Artefact

from .compose import Transform
from .entries import IMAGE, Entries, on_images

SINOGRAM = ("beam_hardening", "ring")


def artefact(
    of: str | Artefact,
    severity: tuple[float, float] = (0.0, 1.0),
    *,
    entries: Entries = IMAGE,
    **options: object,
) -> Transform:
    """Give each sample an artefact, of a severity of its own.

    The channels of an image share the draw, as coils share the motion of what they see;
    independent ones have draws of their own. For some samples only, `sometimes`.

    Args:
        of: a name of `medjax.physics.ARTEFACTS`, which then has as many spatial axes as
            the images, or a function ``(key, image, severity) -> image``, used as it is:
            ``partial(ghosting, ndim=2)`` draws anew for each slice of a volume. Rings and
            hardened beams arise in sinograms: ``through_sinogram(ring, scan)``.
        severity: least and largest, drawn evenly; 0 is none, 1 what the options name.
        entries: of which the images change. Their last axis is that of phase encoding
            and the one before it that of the readout; magnitude or complex.
        **options: of the artefact, such as ``displacement=3.0``, in its units.

    Raises:
        InputError: for an unknown name, one of a sinogram's artefact, a severity outside
            0 to 1 or out of order, and what the artefact itself refuses.
    """
    if not 0 <= severity[0] <= severity[1] <= 1:
        raise InputError("severity", "least and largest, from 0 to 1", severity)
    if isinstance(of, str) and of in SINOGRAM:
        raise InputError("artefact", f"through_sinogram({of}, scan)", repr(of))
    named = ARTEFACTS[of] if isinstance(of, str) else None

    def rule(key: Key[Array, ""], x: Array, axes: tuple[int, ...]) -> Array:
        size_key, own = jax.random.split(key)
        size = jax.random.uniform(size_key, minval=severity[0], maxval=severity[1])
        kwargs = options if named is None else {"ndim": len(axes), **options}

        def one(image: Array) -> Array:
            return (named or of)(own, image, size, **kwargs)

        if x.ndim == len(axes):
            return one(x)
        channel = 0 if axes[-1] == -1 else -1
        return jax.vmap(one, channel, channel)(x)

    return on_images(rule, entries)
