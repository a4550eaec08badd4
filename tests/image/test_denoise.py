"""Bilateral filter, non-local means, Rician stabilisation and HOSVD."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.image.bilateral import bilateral
from medjax.image.higher_order_svd import hosvd, truncated
from medjax.image.nonlocal_means import nonlocal_means
from medjax.image.rician import restored, stabilised

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "denoise.npz")


def halves(*shape):
    """Zero on one side, one on the other, with the noise of two deviations beside it."""
    clean = np.zeros(shape, np.float32)
    clean[..., shape[-1] // 2 :] = 1
    noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return clean, clean + 0.1 * noise


def test_bilateral_agrees_with_scikit_image():
    picture = jnp.asarray(REFERENCE["picture"])
    # Its weights in space are flat; so are these.
    np.testing.assert_allclose(
        bilateral(picture, 0.2, 1e4, radius=2), REFERENCE["bilateral"], atol=1e-4
    )


def test_bilateral_of_any_spread_is_a_gaussian_and_takes_batches_and_volumes():
    x = jnp.asarray(np.random.default_rng(0).random((2, 4, 5, 6)), jnp.float32)
    blurred = np.asarray(bilateral(x, 1e4, 1.5, radius=1, ndim=3))
    taps = np.exp(-0.5 * (np.arange(-1, 2) / 1.5) ** 2)
    taps /= taps.sum()
    wide = np.pad(np.asarray(x[1], np.float64), 1, mode="edge")
    for axis in range(3):
        wide = np.apply_along_axis(np.convolve, axis, wide, taps, mode="valid")
    np.testing.assert_allclose(blurred[1], wide, atol=1e-5)


def test_a_guide_says_where_the_edges_are():
    clean, noisy = halves(12, 12)
    guided = np.asarray(bilateral(jnp.asarray(noisy), 0.1, 3.0, guide=jnp.asarray(clean)))
    assert np.abs(guided - clean).max() < 0.08
    # An edge that the guide lacks goes.
    lost = np.asarray(bilateral(jnp.asarray(clean), 0.1, 3.0, guide=jnp.zeros((12, 12))))
    assert 0.3 < lost[6, 5] < 0.7
    with pytest.raises(InputError, match=r"guide: expected an image of shape \(12, 12\)"):
        bilateral(jnp.asarray(clean), 0.1, guide=jnp.zeros((12, 11)))


@pytest.mark.parametrize(("shape", "search"), [((6, 7), 2), ((4, 3, 5), 1)])
def test_nonlocal_means_agrees_with_its_definition(shape, search):
    x = np.random.default_rng(0).random(shape).astype(np.float32)
    h, sigma, ndim = 0.3, 0.1, len(shape)
    got = nonlocal_means(jnp.asarray(x), h, sigma, patch=1, search=search, ndim=ndim)
    wide = np.pad(x.astype(np.float64), 1, mode="reflect")
    window = lambda place: wide[tuple(slice(p, p + 3) for p in place)]  # noqa: E731
    expected = np.zeros(shape)
    for place in np.ndindex(shape):
        total = weights = 0.0
        for other in np.ndindex(shape):
            if max(abs(a - b) for a, b in zip(place, other, strict=True)) <= search:
                distance = np.mean((window(place) - window(other)) ** 2)
                weight = np.exp(-max(distance - 2 * sigma**2, 0) / h**2)
                total, weights = total + weight * x[other], weights + weight
        expected[place] = total / weights
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("signal", [0.0, 1.0, 2.0, 5.0, 60.0])
def test_rician_noise_has_one_deviation_and_its_mean_leads_back_to_the_signal(signal):
    rng = np.random.default_rng(0)
    parts = signal + rng.standard_normal(200_000) + 1j * rng.standard_normal(200_000)
    sigma = 3.0
    y = np.asarray(stabilised(jnp.asarray(sigma * np.abs(parts), jnp.float32), sigma))
    # As the docstring has it; the error of a deviation is 0.002.
    low, high = (0.88, 0.9) if signal == 0 else (0.98, 1.075)
    assert low < y.std() < high
    mean = jnp.asarray([y.mean(dtype=np.float64)], jnp.float32)
    # Without signal the mean is flat in it: an error of 0.002 is one of 0.06.
    np.testing.assert_allclose(
        restored(mean, sigma), sigma * signal, atol=0.3 if signal == 0 else 0.03
    )


def test_stabilised_magnitudes_rise_and_keep_their_shape():
    z = jnp.linspace(0, 60, 200).reshape(4, 50)
    y = stabilised(z, 1.0)
    assert y.shape == z.shape
    assert (np.diff(np.asarray(y).ravel()) > 0).all()
    # Far from zero it is the identity but for a constant.
    np.testing.assert_allclose(y[3, -1] - y[3, -2], z[3, -1] - z[3, -2], rtol=2e-3)


def test_hosvd_keeps_what_is_large_in_the_bases_of_the_tensor_itself():
    rng = np.random.default_rng(0)
    factors = [rng.standard_normal(n) for n in (4, 3, 5)]
    one = np.einsum("i,j,k->ijk", *factors).astype(np.float32)
    kept, count = truncated(jnp.asarray(one), 0.5 * float(np.linalg.norm(one)))
    np.testing.assert_allclose(kept, one, atol=1e-5)
    assert count == 1
    noisy = jnp.asarray(one + 0.01 * rng.standard_normal(one.shape), jnp.float32)
    kept, _ = truncated(noisy, 0.0)
    np.testing.assert_allclose(kept, noisy, atol=1e-5)
    kept, count = truncated(noisy, 0.5 * float(np.linalg.norm(one)))
    assert count == 1
    assert np.linalg.norm(kept - one) < 0.5 * np.linalg.norm(noisy - one)


SMALL = {"patch": 3, "group": 8, "search": 2, "stride": 2, "chunk": 16}


def test_hosvd_without_noise_changes_nothing_of_any_size():
    x = jnp.asarray(np.random.default_rng(0).random((2, 7, 8)), jnp.float32)
    np.testing.assert_allclose(hosvd(x, 0.0, **SMALL), x, atol=1e-5)


def test_hosvd_takes_most_of_the_noise_and_leaves_the_edge():
    clean, noisy = halves(16, 16)
    got = np.asarray(hosvd(jnp.asarray(noisy), 0.1, **SMALL))
    assert np.linalg.norm(got - clean) < 0.5 * np.linalg.norm(noisy - clean)
    assert np.abs(got[:, 8] - got[:, 7]).min() > 0.8


def test_hosvd_of_rician_noise_takes_its_bias_away():
    clean, _ = halves(16, 16)
    clean *= 2
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 16, 16))
    noisy = jnp.asarray(np.hypot(clean + noise[0], noise[1]), jnp.float32)
    naive = float(hosvd(noisy, 1.0, **SMALL)[:, :8].mean())
    unbiased = float(hosvd(noisy, 1.0, rician=True, **SMALL)[:, :8].mean())
    assert naive > 1.1  # the mean of no signal is 1.25
    assert unbiased < 0.7


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="3 voxels an axis at least"):
        hosvd(jnp.zeros((8, 2)), 0.1, **SMALL)
    with pytest.raises(InputError, match="radius: expected at least 0, got -1"):
        bilateral(jnp.zeros((8, 8)), 0.1, radius=-1)
    with pytest.raises(InputError, match="patch and search"):
        nonlocal_means(jnp.zeros((8, 8)), 0.1, patch=-1)


def test_filters_have_gradients():
    x = jnp.asarray(np.random.default_rng(0).random((5, 6)), jnp.float32)

    def total(x):
        return jnp.sum(bilateral(x, 0.3, radius=1) ** 2 + nonlocal_means(x, 0.3, patch=1, search=1))

    slope = jax.grad(total)(x)
    step = jnp.zeros_like(x).at[2, 3].set(1e-2)
    numeric = (total(x + step) - total(x - step)) / 2e-2
    np.testing.assert_allclose(slope[2, 3], numeric, rtol=2e-2)
