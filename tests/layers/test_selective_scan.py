from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from medjax.core.errors import InputError
from medjax.layers.selective_scan import selective_scan


def sequential(x, step, decay, write, read, skip):
    """The recurrence as it is written, in the precision of its arguments."""
    state = np.zeros((x.shape[0], *decay.shape), x.dtype)
    y = np.empty_like(x)
    for t in range(x.shape[1]):
        state *= np.exp(step[:, t, :, None] * decay)
        state += (step[:, t] * x[:, t])[..., None] * write[:, t, None]
        y[:, t] = (state * read[:, t, None]).sum(-1) + skip * x[:, t]
    return y


def drawn(tokens, batch=2, channels=3, state=4):
    rng = np.random.default_rng(0)
    x, noise = rng.standard_normal((2, batch, tokens, channels))
    write, read = rng.standard_normal((2, batch, tokens, state))
    decay = -np.exp(rng.standard_normal((channels, state)))
    return x, np.log1p(np.exp(noise)), decay, write, read, rng.standard_normal(channels)


@pytest.mark.parametrize(("tokens", "chunk"), [(11, 4), (3, 64), (3, 1)])
def test_chunks_of_a_scan_are_the_recurrence(tokens, chunk):
    arguments = drawn(tokens)
    expected = sequential(*arguments)
    with jax.enable_x64(True):
        scan = jax.jit(partial(selective_scan, chunk=chunk))
        got = scan(*map(jnp.asarray, arguments))
        assert got.dtype == jnp.float64
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    single = [jnp.asarray(a, jnp.float32) for a in arguments]
    got = scan(*single)
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-5)


def test_a_long_memory_does_not_lose_precision():
    """One that forgets nothing is a running sum."""
    tokens = 4096
    ones = jnp.ones((1, tokens, 1))
    scan = jax.jit(partial(selective_scan, chunk=8))
    got = scan(ones, 0.5 * ones, jnp.zeros((1, 1)), ones, ones)
    np.testing.assert_array_equal(got[0, :, 0], 0.5 * np.arange(1, tokens + 1, dtype=np.float32))


def test_gradients_are_those_of_the_recurrence():
    arguments = [jnp.asarray(a, jnp.float32) for a in drawn(11)]

    def plainly(x, step, decay, write, read, skip):
        def body(state, now):
            x, step, write, read = now
            state = state * jnp.exp(step[..., None] * decay[None])
            state = state + (step * x)[..., None] * write[:, None]
            return state, (state * read[:, None]).sum(-1) + skip[None] * x

        start = jnp.zeros((x.shape[0], *decay.shape))
        each = [jnp.moveaxis(a, 1, 0) for a in (x, step, write, read)]
        return jnp.moveaxis(jax.lax.scan(body, start, tuple(each))[1], 0, 1)

    def gradients(scan):
        every = tuple(range(6))
        return jax.jit(jax.grad(lambda *a: jnp.sum(jnp.sin(scan(*a))), every))(*arguments)

    got = gradients(lambda *a: selective_scan(*a, chunk=4))
    for a, b in zip(got, gradients(plainly), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_program_holds_a_chunk_of_states_at_a_time():
    """Also in its backward pass: no array of it has tokens, channels and states at once."""

    def biggest(tokens):
        arguments = [jax.ShapeDtypeStruct(a.shape, jnp.float32) for a in drawn(tokens, 1, 8, 8)]
        energy = jax.grad(lambda *a: jnp.sum(selective_scan(*a, chunk=16) ** 2), (0, 1, 2, 3, 4))
        program = jax.make_jaxpr(energy)(*arguments)

        def sizes(jaxpr):
            for equation in jaxpr.eqns:
                yield from (v.aval.size for v in equation.outvars)
                for inner in jaxprs_in_params(equation.params):
                    yield from sizes(inner)

        return max(sizes(program.jaxpr))

    tokens = 1024
    # The input, or a state for each chunk of 16.
    assert biggest(tokens) <= 8 * tokens
    # Linear in length.
    assert biggest(2 * tokens) == 2 * biggest(tokens)


def test_low_precision_keeps_states_at_full_precision():
    arguments = [jnp.asarray(a, jnp.float32) for a in drawn(32)]
    scan = jax.jit(partial(selective_scan, chunk=4))
    got = scan(*(a.astype(jnp.bfloat16) for a in arguments))
    assert got.dtype == jnp.bfloat16
    expected = scan(*arguments)
    error = jnp.linalg.norm(got.astype(jnp.float32) - expected) / jnp.linalg.norm(expected)
    assert error < 0.02


def test_a_chunk_has_tokens():
    with pytest.raises(InputError, match="chunk: expected a number of at least 1, got 0"):
        selective_scan(*map(jnp.asarray, map(np.float32, drawn(4))), chunk=0)
