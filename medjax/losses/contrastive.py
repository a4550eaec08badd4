"""Contrastive losses: one value a sample, over all pairs of the batch.

Features meet by their cosine. Losses over the pairs of a batch go through `pair_statistics`,
which takes the keys a block at a time and keeps a running log-sum-exp, forwards and backwards,
so that memory grows with the batch and not with its square.

They see the global batch. Under `jax.jit` an array that is sharded over devices is still one
array: a product of all queries and all keys is that of the whole batch, and the partitioner
brings the keys (a few megabytes) to every device, while each keeps its own queries. There is
nothing to gather by hand; within `jax.shard_map` or `jax.pmap` it would not hold.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Int

from .pairs import BLOCK, pair_statistics, product, unit


def info_nce(
    queries: Float[Array, "query channel"],
    keys: Float[Array, "key channel"],
    *,
    temperature: float = 0.1,
    query_group: Int[Array, " query"] | None = None,
    key_group: Int[Array, " key"] | None = None,
    without_self: bool = False,
    block: int = BLOCK,
) -> Float[Array, " query"]:
    """InfoNCE: minus the logarithm of the share of each query's positive key among all keys.

    van den Oord et al. 2018 (arXiv:1807.03748, eq. 4) with cosines over a temperature; with
    several positives the mean over them outside the logarithm (Khosla et al. 2020,
    arXiv:2004.11362, eq. 2). A query without positives costs nothing.

    Args:
        queries: features of any length.
        keys: likewise.
        temperature: what cosines are divided by.
        query_group: see `pair_statistics`, as for ``key_group``, ``without_self``, ``block``.
        key_group: see there.
        without_self: see there.
        block: see there.

    Raises:
        InputError: for a temperature that is not positive, and for other numbers of queries
            than of keys where there are no groups.
    """
    _require_positive(temperature)
    if query_group is None and queries.shape[0] != keys.shape[0]:
        raise InputError("keys", f"{queries.shape[0]}, one a query, or groups", keys.shape[0])
    found = pair_statistics(
        unit(queries) / temperature,
        unit(keys),
        query_group=query_group,
        key_group=key_group,
        without_self=without_self,
        block=block,
    )
    there = found.count > 0
    mean = found.positive / jnp.where(there, found.count, 1)
    # Where there is nothing but the query itself the sum is empty, its logarithm infinite.
    return jnp.where(there, jnp.where(there, found.log_sum_exp, 0) - mean, 0)


def nt_xent(
    first: Float[Array, "batch channel"],
    second: Float[Array, "batch channel"],
    *,
    temperature: float = 0.5,
    block: int = BLOCK,
) -> Float[Array, " batch"]:
    """NT-Xent (Chen et al. 2020, SimCLR, arXiv:2002.05709, eq. 1).

    Each of the ``2 batch`` views finds its partner among all others.

    Args:
        first: features of one view of each sample.
        second: of the other view.
        temperature: see `info_nce`.
        block: see `pair_statistics`.

    Returns:
        The mean of a sample's two views.
    """
    # Side by side, not one after the other: samples stay on the devices that they are on.
    both = jnp.stack([first, second], 1).reshape(-1, first.shape[-1])
    group = jnp.repeat(jnp.arange(first.shape[0], dtype=jnp.int32), 2)
    options = {"query_group": group, "key_group": group, "without_self": True, "block": block}
    values = info_nce(both, both, temperature=temperature, **options)
    return jnp.mean(values.reshape(-1, 2), 1)


def supervised_contrastive(
    features: Float[Array, "batch channel"],
    labels: Int[Array, " batch"],
    *,
    temperature: float = 0.1,
    block: int = BLOCK,
) -> Float[Array, " batch"]:
    """Supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362, eq. 2, "out").

    All other samples of a sample's class are its positives, all other samples its
    candidates. Views of one image are samples of one class. One that is alone in its
    class costs nothing.

    Args:
        features: of samples or of all their views.
        labels: classes.
        temperature: see `info_nce`.
        block: see `pair_statistics`.
    """
    options = {"query_group": labels, "key_group": labels, "without_self": True, "block": block}
    return info_nce(features, features, temperature=temperature, **options)


def queue_nce(
    queries: Float[Array, "batch channel"],
    keys: Float[Array, "batch channel"],
    queue: Float[Array, "length channel"],
    *,
    temperature: float = 0.07,
    block: int = BLOCK,
) -> Float[Array, " batch"]:
    """InfoNCE with negatives from a queue (He et al. 2020, MoCo, arXiv:1911.05722, eq. 1).

    Args:
        queries: features that learn.
        keys: of the other view, in the same order. No gradient goes to them.
        queue: of earlier keys, nor to these.
        temperature: see `info_nce`.
        block: see `pair_statistics`.
    """
    _require_positive(temperature)
    queries = unit(queries) / temperature
    keys, queue = (unit(jax.lax.stop_gradient(x)) for x in (keys, queue))
    own = jnp.sum(queries * keys, -1)
    nowhere = jnp.full(queries.shape[0], -1, jnp.int32)
    groups = {"query_group": nowhere, "key_group": jnp.arange(queue.shape[0], dtype=jnp.int32)}
    others = pair_statistics(queries, queue, block=block, **groups).log_sum_exp
    return jnp.logaddexp(own, others) - own


def image_text(
    images: Float[Array, "batch channel"],
    texts: Float[Array, "batch channel"],
    *,
    temperature: float = 0.1,
    weight: float = 0.75,
    block: int = BLOCK,
) -> Float[Array, " batch"]:
    """Bidirectional image-text loss (Zhang et al. 2020, ConVIRT, arXiv:2010.00747).

    Args:
        images: features of images.
        texts: of their texts, in the same order.
        temperature: see `info_nce`.
        weight: of finding the text of an image; the rest is of finding the image of a text.
        block: see `pair_statistics`.
    """
    options = {"temperature": temperature, "block": block}
    forth, back = info_nce(images, texts, **options), info_nce(texts, images, **options)
    return weight * forth + (1 - weight) * back


def local_contrast(
    first: Float[Array, "batch region channel"],
    second: Float[Array, "batch region channel"],
    *,
    temperature: float = 0.1,
) -> Float[Array, " batch"]:
    """Local contrastive loss (Chaitanya et al. 2020, arXiv:2006.10511).

    Each region of one view finds the same region of the other among all regions of the other;
    the mean over regions and both directions. Pairs are within an image, so that the memory
    does not depend on the batch otherwise than by a factor. What differs from the authors' code:
    its negatives are the few regions nearby, those of the region's own view among them.

    Args:
        first: features of regions in one view.
        second: of the same regions in the other.
        temperature: see `info_nce`.
    """
    _require_positive(temperature)
    one, two = unit(first) / temperature, unit(second)
    products = jnp.einsum("brc,bsc->brs", one, two, precision=jax.lax.Precision.HIGHEST)
    own = jnp.diagonal(products, axis1=1, axis2=2)
    sums = sum(jax.nn.logsumexp(products, axis) for axis in (1, 2))
    return jnp.mean(sums / 2 - own, 1)


def pirl_nce(
    memory: Float[Array, "batch channel"],
    features: Float[Array, "batch channel"],
    negatives: Float[Array, "negative channel"],
    *,
    temperature: float = 0.07,
    left_out: Array | None = None,
) -> Float[Array, " batch"]:
    """Noise-contrastive loss of PIRL (Misra & van der Maaten 2020, arXiv:1912.01991, eq. 4).

    ``-log h(positive) - sum over negatives of log(1 - h(negative))``, where ``h`` is a
    feature's share: the exponential of a cosine over the temperature, over the sum of those of
    the positive and all negatives. The paper writes this sum for the positive; here it is the
    same for the negatives. Negatives are one set for the whole batch.

    Args:
        memory: of the same images, which features are to find. No gradient goes to it.
        features: what learns.
        negatives: of other images; nor to these.
        temperature: see `info_nce`.
        left_out: bool ``(batch, negative)``, true where a negative is the sample itself.
    """
    _require_positive(temperature)
    features = unit(features) / temperature
    memory, negatives = (unit(jax.lax.stop_gradient(x)) for x in (memory, negatives))
    own = jnp.sum(features * memory, -1, keepdims=True)
    others = product(features, negatives.T)
    if left_out is not None:
        others = jnp.where(left_out, -jnp.inf, others)
    share = jax.nn.softmax(jnp.concatenate([own, others], 1), 1)
    # A negative that has the whole share is rounded to 1, whose logarithm is infinite.
    rest = jnp.log1p(-jnp.minimum(share[:, 1:], 1 - jnp.finfo(share.dtype).eps))
    positive = jax.nn.logsumexp(jnp.concatenate([own, others], 1), 1) - own[:, 0]
    return positive - jnp.sum(rest, 1)


def _require_positive(temperature: float) -> None:
    if not temperature > 0:
        raise InputError("temperature", "a positive number", temperature)
