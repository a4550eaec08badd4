"""A pool of generated images: a discriminator also sees what the generator made before."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from medjax.core.arrays import per_sample
from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Key, PyTree


def exchanged(
    pool: PyTree, images: Float[Array, "batch *spatial channel"], key: Key[Array, ""]
) -> tuple[Float[Array, "batch *spatial channel"], PyTree]:
    """New images, half of them exchanged for ones of the pool (Shrivastava et al. 2017).

    Learning from simulated and unsupervised images through adversarial training,
    arXiv:1612.07828, section 2.3, as CycleGAN has it: while whole batches fit into the pool it
    takes them in and they are seen as they are; from then on each is, by a coin, put in the
    place of one of the pool, which is seen instead.

    Args:
        pool: ``{"images": (size, *spatial, channel), "count": how many are there}``.
        images: new ones.
        key: of coins and places.

    Returns:
        What the discriminator is shown, and the next pool.

    Raises:
        InputError: for a pool smaller than the batch.
    """
    size, batch = pool["images"].shape[0], images.shape[0]
    if size < batch:
        raise InputError("pool", f"at least the batch size {batch}", size)
    count = pool["count"]
    filling = count + batch <= size
    place, coin = jax.random.split(key)
    # Different places for all, among those that are taken.
    order = jnp.where(jnp.arange(size) < count, jax.random.uniform(place, (size,)), 2.0)
    drawn = jnp.argsort(order)[:batch]
    places = jnp.where(filling, count + jnp.arange(batch, dtype=count.dtype), drawn)
    former = pool["images"][places]
    swap = jax.random.bernoulli(coin, 0.5, (batch,)) & ~filling
    shown = jnp.where(per_sample(swap, images.ndim), former, images)
    put = jnp.where(per_sample(swap | filling, images.ndim), images, former)
    after = pool["images"].at[places].set(put)
    return shown, {"images": after, "count": count + jnp.where(filling, batch, 0)}
