"""The selective state-space scan: linear in the number of tokens, in bounded memory."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from medjax.core.arrays import with_rank
from medjax.core.errors import InputError
from medjax.core.types import Array, Float


def selective_scan(
    x: Float[Array, "batch token channel"],
    step: Float[Array, "batch token channel"],
    decay: Float[Array, "channel state"],
    write: Float[Array, "batch token state"],
    read: Float[Array, "batch token state"],
    skip: Float[Array, " channel"] | None = None,
    *,
    chunk: int = 64,
) -> Float[Array, "batch token channel"]:
    """A linear system a channel whose input, output and step depend on the token.

    S6 of Mamba (Gu & Dao 2023, arXiv:2312.00752, eq. 2 and algorithm 2): with the state
    ``h`` of each channel, from zero,

        h_t = exp(step_t decay) h_{t-1} + step_t write_t x_t,    y_t = read_t . h_t + skip x_t.

    As in the authors' code the state's factor is discretised by a zero-order hold (eq. 4), and
    what is written to it by Euler's rule, which the hold comes to for short steps. What
    differs is how it is computed: chunks follow one another, and within a chunk the states are
    an associative scan. Only states at the chunks' ends are kept for the backward pass, which
    computes a chunk's states anew. So memory beyond input and output is that of
    ``batch chunk channel state`` numbers and ``tokens / chunk`` states, and time is linear.

    Args:
        x: the sequence.
        step: positive, the time that a token lasts (Δ).
        decay: negative, A.
        write: B.
        read: C.
        skip: D; none where it is None.
        chunk: tokens of a chunk. More of them take more memory, and keep a GPU busier.

    Returns:
        Of the shape and dtype of ``x``; the states are float32, or float64 where ``x`` is.

    Raises:
        InputError: for a chunk of no tokens.
    """
    if chunk < 1:
        raise InputError("chunk", "a number of at least 1", chunk)
    batch, tokens, channels = x.shape
    # States are sums over all tokens before, which outgrow bfloat16.
    dtype = jnp.float64 if x.dtype == jnp.float64 else jnp.float32
    chunk = min(chunk, tokens)
    chunks = -(-tokens // chunk)

    def cut(a: Array) -> Array:
        """``(chunks, chunk, batch, ...)``; steps of zero at the end leave the state as it is."""
        a = jnp.pad(a.astype(dtype), [(0, 0), (0, chunks * chunk - tokens), (0, 0)])
        return jnp.moveaxis(a.reshape(batch, chunks, chunk, -1), 0, 2)

    # Channels last: they are many, and states few.
    decay = with_rank(decay.astype(dtype).T, 4)

    @partial(jax.checkpoint, prevent_cse=False)
    def body(state: Array, parts: tuple[Array, ...]) -> tuple[Array, Array]:
        x, step, write, read = parts
        factor = jnp.exp(step[:, :, None] * decay)
        added = (step * x)[:, :, None] * write[..., None]
        factor, added = jax.lax.associative_scan(_then, (factor, added))
        states = factor * state[None] + added
        return states[-1], jnp.einsum("tbnc,tbn->tbc", states, read)

    start = jnp.zeros((batch, decay.shape[2], channels), dtype)
    _, y = jax.lax.scan(body, start, (cut(x), cut(step), cut(write), cut(read)))
    y = jnp.moveaxis(y, 2, 0).reshape(batch, chunks * chunk, channels)[:, :tokens]
    if skip is not None:
        y = y + with_rank(skip.astype(dtype), 3) * x.astype(dtype)
    return y.astype(x.dtype)


def _then(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
    """One affine map of the state after another."""
    return first[0] * second[0], second[0] * first[1] + second[1]
