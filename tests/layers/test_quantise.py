import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.layers.quantise import VectorQuantiser

KEY = jax.random.key(0, impl="philox2x32")


def book(*entries, counts=None):
    entries = jnp.asarray(entries, jnp.float32)
    counts = jnp.ones(len(entries)) if counts is None else jnp.asarray(counts, jnp.float32)
    return {"codebook": {"entries": entries, "counts": counts, "sums": entries * counts[:, None]}}


X = jnp.asarray([[[0.9, 0.1], [0.2, 0.1]], [[1.1, 0.3], [0.8, -0.2]]], jnp.float32)


def test_vectors_become_the_nearest_entry_and_gradients_pass_through():
    variables, layer = book([0, 0], [1, 0]), VectorQuantiser(2)
    got = layer.apply(variables, X)
    np.testing.assert_array_equal(got.indices, [[1, 0], [1, 1]])
    np.testing.assert_allclose(got.values, [[[1, 0], [0, 0]], [[1, 0], [1, 0]]], atol=1e-6)
    # Means over the vectors and channels of (0.1, 0.1), (0.2, 0.1) and (0.1, 0.3), (0.2, 0.2).
    np.testing.assert_allclose(got.distance, [0.07 / 4, 0.18 / 4], rtol=1e-5)
    through = jax.grad(lambda x: jnp.sum(3 * layer.apply(variables, x).values))(X)
    np.testing.assert_array_equal(through, np.full(X.shape, 3.0))


def test_the_codebook_is_a_moving_average_of_what_it_is_nearest_to():
    variables, layer = book([0, 0], [1, 0], [9, 9]), VectorQuantiser(3, decay=0.75)
    _, after = layer.apply(variables, X, train=True, mutable=["codebook"])
    after = after["codebook"]
    np.testing.assert_allclose(after["counts"], [1, 1.5, 0.75], rtol=1e-6)
    sums = [[0.05, 0.025], [0.75 + 0.25 * 2.8, 0.25 * 0.2], [6.75, 6.75]]
    np.testing.assert_allclose(after["sums"], sums, rtol=1e-5)
    np.testing.assert_allclose(after["entries"], np.asarray(sums) / [[1], [1.5], [0.75]], rtol=1e-5)
    np.testing.assert_allclose(after["entries"][2], [9, 9], rtol=1e-6)  # unused ones stay


def test_an_entry_that_nothing_is_near_starts_anew_from_a_vector():
    variables = book([0, 0], [1, 0], [9, 9], counts=[1, 1, 0.1])
    layer = VectorQuantiser(3, decay=0.75, restart=0.5)
    rngs = {"dropout": KEY}
    _, after = layer.apply(variables, X, train=True, mutable=["codebook"], rngs=rngs)
    anew = np.asarray(after["codebook"]["entries"][2])
    assert (np.abs(anew - np.asarray(X).reshape(-1, 2)).max(1) < 1e-6).any()
    assert after["codebook"]["counts"][2] == 1


def test_what_is_no_codebook_is_refused():
    with pytest.raises(InputError, match="decay: expected a number in"):
        jax.eval_shape(VectorQuantiser(2, decay=1.0).init, KEY, X)
    with pytest.raises(InputError, match="entries: expected a number of at least 1"):
        jax.eval_shape(VectorQuantiser(0).init, KEY, X)
