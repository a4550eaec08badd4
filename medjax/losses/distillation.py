"""Losses of self-distillation: a student meets what its own slow copy says of another view."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from medjax.core.arrays import with_rank
from medjax.core.errors import InputError
from medjax.core.types import Array, Bool, Float

from .pairs import unit


def cosine_regression(
    prediction: Float[Array, "batch channel"], target: Float[Array, "batch channel"]
) -> Float[Array, " batch"]:
    """Squared distance of unit vectors, ``2 - 2 cosine``.

    The loss of BYOL (Grill et al. 2020, arXiv:2006.07733, eq. 2).

    Args:
        prediction: the student's.
        target: the teacher's. No gradient goes to it.
    """
    return 2 - 2 * jnp.sum(unit(prediction) * unit(jax.lax.stop_gradient(target)), -1)


def centred_softmax(
    logits: Float[Array, "*batch prototype"],
    centre: Float[Array, " prototype"],
    temperature: float | Float[Array, ""],
) -> Float[Array, "*batch prototype"]:
    """A teacher's distribution: ``softmax((logits - centre) / temperature)``, no gradient.

    Caron et al. 2021 (DINO, arXiv:2104.14294, section 3.1): the centre keeps any one
    prototype from ruling, the temperature keeps all from being alike.

    Args:
        logits: the teacher's.
        centre: the running mean of its logits.
        temperature: below the student's.
    """
    logits, centre = jax.lax.stop_gradient((logits, centre))
    return jax.nn.softmax((logits - with_rank(centre, logits.ndim)) / temperature, -1)


def distillation(
    student: Float[Array, "*batch prototype"],
    teacher: Float[Array, "*batch prototype"],
    *,
    temperature: float = 0.1,
) -> Float[Array, "*batch"]:
    """Cross-entropy of the student's softmax under the teacher's distribution.

    DINO's ``H(P_t, P_s)`` (arXiv:2104.14294, eq. 2), in nats.

    Args:
        student: logits.
        teacher: probabilities, from `centred_softmax` or `sinkhorn_knopp`.
        temperature: the student's.
    """
    return -jnp.sum(teacher * jax.nn.log_softmax(student / temperature, -1), -1)


def masked_distillation(
    student: Float[Array, "batch token prototype"],
    teacher: Float[Array, "batch token prototype"],
    mask: Bool[Array, "batch token"],
    *,
    temperature: float = 0.1,
) -> Float[Array, " batch"]:
    """Mean of `distillation` over a sample's masked patches; zero where none is masked.

    The patch loss of iBOT (Zhou et al. 2022, arXiv:2111.07832, eq. 3). It is a sum there; the
    mean is that of the authors' code.

    Args:
        student: logits of patches that it did not see.
        teacher: probabilities of the same patches, which it saw.
        mask: the patches that count.
        temperature: the student's.
    """
    values = distillation(student, teacher, temperature=temperature)
    count = jnp.sum(mask, 1, dtype=values.dtype)
    return jnp.sum(jnp.where(mask, values, 0), 1) / jnp.maximum(count, 1)


def sinkhorn_knopp(
    logits: Float[Array, "*batch prototype"],
    temperature: float | Float[Array, ""],
    *,
    iterations: int = 3,
    mask: Bool[Array, "*batch"] | None = None,
) -> Float[Array, "*batch prototype"]:
    """A teacher's distributions such that all prototypes are used alike; no gradient.

    Sinkhorn and Knopp's normalisation of rows and columns in turn, as SwAV uses it (Caron et
    al. 2020, arXiv:2006.09882, eq. 5) and DINOv2 in the place of a centre (Oquab et al. 2023,
    arXiv:2304.07193, section 4). Sums are over the global batch (see
    `medjax.losses.contrastive`), and in the logarithm, which no temperature overflows.

    Args:
        logits: the teacher's.
        temperature: that they are divided by.
        iterations: of both normalisations.
        mask: which distributions take part; those that do not are zeros.

    Returns:
        Distributions that sum to one each, and over the batch nearly to the same number for
        each prototype.

    Raises:
        InputError: for fewer than one iteration.
    """
    if iterations < 1:
        raise InputError("iterations", "at least 1", iterations)
    shape = logits.shape
    q = jax.lax.stop_gradient(logits).reshape(-1, shape[-1]) / temperature
    there = None if mask is None else mask.reshape(-1, 1)

    def taking_part(q: Array, otherwise: float) -> Array:
        return q if there is None else jnp.where(there, q, otherwise)

    least = float(jnp.finfo(q.dtype).min) / 2
    for _ in range(iterations):
        q = taking_part(q, least)
        q = q - jax.nn.logsumexp(q, 0, keepdims=True)
        q = q - jax.nn.logsumexp(q, 1, keepdims=True)
    return taking_part(jnp.exp(q), 0.0).reshape(shape)


def koleo(
    features: Float[Array, "batch channel"], *, block: int = 1024, epsilon: float = 1e-8
) -> Float[Array, " batch"]:
    """Minus the logarithm of the distance to the nearest other sample, between unit vectors.

    Kozachenko and Leonenko's estimate of (minus) the entropy, which spreads features
    (Sablayrolles et al. 2019, arXiv:1806.03198; in DINOv2, arXiv:2304.07193, section 4).
    The nearest is sought in the global batch, a block of samples at a time, so that
    memory grows with the batch and not with its square.

    Args:
        features: of at least two samples.
        block: samples that are compared at a time.
        epsilon: added to the distance, and to each difference in it.

    Raises:
        InputError: for a batch of one.
    """
    x = unit(features)
    count = x.shape[0]
    if count < 2:
        raise InputError("features", "at least two samples", count)
    nearest = _nearest(jax.lax.stop_gradient(x), min(block, count))
    # Equal features would have a distance without a gradient.
    distance = jnp.sqrt(jnp.sum((x - x[nearest] + epsilon) ** 2, -1))
    return -jnp.log(distance + epsilon)


def _nearest(x: Float[Array, "batch channel"], block: int) -> Array:
    count = x.shape[0]
    places = jnp.arange(count, dtype=jnp.int32)
    more = -count % block
    blocks = jnp.pad(x, ((0, more), (0, 0))).reshape(-1, block, x.shape[1])
    starts = jnp.arange(0, count, block, dtype=jnp.int32)

    def step(best, part):
        others, start = part
        columns = start + jnp.arange(block, dtype=jnp.int32)
        cosines = jnp.matmul(x, others.T, precision=jax.lax.Precision.HIGHEST)
        allowed = (columns[None] < count) & (columns[None] != places[:, None])
        cosines = jnp.where(allowed, cosines, -jnp.inf)
        closest = jnp.max(cosines, 1)
        where = columns[jnp.argmax(cosines, 1)]
        better = closest > best[0]
        return (jnp.where(better, closest, best[0]), jnp.where(better, where, best[1])), None

    least = jnp.full(count, -jnp.inf, x.dtype)
    (_, nearest), _ = jax.lax.scan(step, (least, jnp.zeros_like(places)), (blocks, starts))
    return nearest
