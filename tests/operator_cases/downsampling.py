"""Blur and fewer samples."""

import jax.numpy as jnp

from medjax.physics import Downsampling

from .values import normal


def taps(seed, count, dtype):
    return jnp.real(normal(seed, (count,), dtype))


CASES = {
    "downsampling": [
        (lambda d: Downsampling((taps(1, 2, d), taps(2, 4, d))), (2, 4, 6)),
        (
            lambda d: Downsampling((taps(1, 1, d), taps(2, 9, d), taps(3, 4, d)), (1, 3, 2)),
            (2, 3, 4),
        ),
    ]
}
