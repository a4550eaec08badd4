import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.physics.solve import robust_pca


def series(seed, kind=float):
    """Frames of rank one, and a twentieth of all voxels that is far off."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        x = rng.standard_normal(shape)
        return x + 1j * rng.standard_normal(shape) if kind is complex else x

    low = normal(24, 1) @ normal(1, 12 * 10)
    sparse = np.where(rng.random(low.shape) < 0.05, 8 * normal(*low.shape), 0)
    return low, sparse


def shrunk(x, threshold):
    return x * np.maximum(1 - threshold / np.maximum(np.abs(x), 1e-30), 0)


def float64(x, tolerance):
    """The algorithm with a decomposition of the matrix itself."""
    weight, norm = max(x.shape) ** -0.5, np.linalg.norm(x, 2)
    dual, mu, sparse = x / max(norm, np.abs(x).max() / weight), 1.25 / norm, np.zeros_like(x)
    while True:
        u, values, v = np.linalg.svd(x - sparse + dual / mu, full_matrices=False)
        low = (u * np.maximum(values - 1 / mu, 0)) @ v
        sparse = shrunk(x - low + dual / mu, weight / mu)
        left = x - low - sparse
        dual, mu = dual + mu * left, 1.5 * mu
        if np.linalg.norm(left) <= tolerance * np.linalg.norm(x):
            return low, sparse


@pytest.mark.parametrize("kind", [float, complex])
def test_a_series_is_split_into_what_stays_and_what_moves(kind):
    low, sparse = series(0, kind)
    x = jnp.asarray((low + sparse).reshape(24, 12, 10), jnp.complex64 if kind is complex else None)
    got = [np.asarray(part).reshape(24, -1) for part in robust_pca(x, tolerance=1e-5)]
    for part, expected, truth in zip(got, float64(low + sparse, 1e-5), (low, sparse), strict=True):
        np.testing.assert_allclose(part, expected, atol=1e-3)
        assert np.linalg.norm(part - truth) < 0.02 * np.linalg.norm(truth)


def test_each_of_a_batch_is_split_by_itself_and_nothing_of_nothing():
    parts = [np.asarray(sum(series(seed))).reshape(24, 12, 10) for seed in (0, 1)]
    x = jnp.asarray(np.stack([*parts, 0 * parts[0]]), jnp.float32)
    low, sparse = robust_pca(x)
    np.testing.assert_allclose(low + sparse, x, atol=2e-2)
    assert not np.asarray(low)[2].any()
    alone, _ = robust_pca(x[1])
    # It stops when all of a batch have come to an end.
    assert jnp.linalg.norm(low[1] - alone) < 5e-3 * jnp.linalg.norm(alone)


def test_what_it_cannot_split_is_refused():
    with pytest.raises(InputError, match="an axis of frames and 2 spatial ones"):
        robust_pca(jnp.zeros((4, 5)))
    with pytest.raises(InputError, match=r"growth: expected at least 1, got 0\.5"):
        robust_pca(jnp.zeros((3, 4, 5)), growth=0.5)
