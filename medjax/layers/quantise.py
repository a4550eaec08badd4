"""Vector quantisation: each vector becomes the nearest of a codebook."""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Int

COLLECTION = "codebook"


class Quantised(NamedTuple):
    """What the codebook made of vectors.

    Attributes:
        values: the nearest entries; gradients pass through to the vectors.
        indices: which they are.
        distance: squared, to the nearest entry; what commitment makes small, so that its
            gradient reaches the vectors alone. A mean over each sample's vectors and channels.
    """

    values: Float[Array, "batch *grid channel"]
    indices: Int[Array, "batch *grid"]
    distance: Float[Array, " batch"]


class VectorQuantiser(nn.Module):
    """The codebook of a VQ-VAE (van den Oord et al. 2017, arXiv:1711.00937, section 3.2).

    It is learned by moving averages of what entries were nearest to (appendix A.1), in the
    collection "codebook", and not by gradients. Entries that are hardly used start anew from
    vectors of the batch (Dhariwal et al. 2020, arXiv:2005.00341, section 3.1). A batch sharded
    over devices is one batch, as for batch norm.

    Attributes:
        entries: of the codebook.
        decay: of the averages; 0.99 in the paper.
        restart: an entry used less often than this a batch, on average, starts anew; 0 for
            never. Needs rng "dropout" in training where it is not 0.
    """

    entries: int = 512
    decay: float = 0.99
    restart: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "batch *grid channel"], train: bool = False) -> Quantised:
        """Quantise float32 vectors; with ``train`` the codebook learns.

        Raises:
            InputError: for a decay outside [0, 1) or no entries.
        """
        if not 0 <= self.decay < 1:
            raise InputError("decay", "a number in [0, 1)", self.decay)
        if self.entries < 1:
            raise InputError("entries", "a number of at least 1", self.entries)
        channels = x.shape[-1]

        def first() -> Array:
            bound = 1 / self.entries
            shape = (self.entries, channels)
            return jax.random.uniform(self.make_rng("params"), shape, jnp.float32, -bound, bound)

        entries = self.variable(COLLECTION, "entries", first)
        counts = self.variable(COLLECTION, "counts", jnp.ones, (self.entries,), jnp.float32)
        sums = self.variable(COLLECTION, "sums", lambda: jnp.copy(entries.value))

        flat = x.reshape(-1, channels)
        stopped, book = jax.lax.stop_gradient(flat), entries.value
        # The vectors' own squares are left out: they do not change which entry is nearest.
        far = jnp.square(book).sum(1)[None] - 2 * stopped @ book.T
        indices = jnp.argmin(far, axis=1)
        nearest = book[indices].reshape(x.shape)
        if train and not self.is_initializing():
            chosen = jax.nn.one_hot(indices, self.entries, dtype=jnp.float32)
            count = self.decay * counts.value + (1 - self.decay) * chosen.sum(0)
            total = self.decay * sums.value + (1 - self.decay) * chosen.T @ stopped
            if self.restart:
                drawn = jax.random.randint(
                    self.make_rng("dropout"), (self.entries,), 0, flat.shape[0]
                )
                dead = count < self.restart
                total = jnp.where(dead[:, None], stopped[drawn], total)
                count = jnp.where(dead, 1, count)
            counts.value, sums.value = count, total
            entries.value = total / jnp.maximum(count, 1e-5)[:, None]
        distance = jnp.square(x - nearest)
        return Quantised(
            x + jax.lax.stop_gradient(nearest - x),
            indices.reshape(x.shape[:-1]),
            distance.mean(axis=tuple(range(1, x.ndim))),
        )
