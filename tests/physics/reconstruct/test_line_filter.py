import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.physics import birdcage, fftc
from medjax.physics.mri.cartesian import Cartesian
from medjax.physics.reconstruct import line_filter, still_lines

SIZES = (16, 24)
MOVED = np.isin(np.arange(24), (3, 5, 8, 9, 17, 20))


def object_of(seed):
    """A few flat pieces, which are sparse in wavelets of Haar."""
    rng = np.random.default_rng(seed)
    return jnp.asarray(np.kron(rng.random((4, 6)), np.ones((4, 4))), jnp.complex64)


def test_the_image_is_made_of_the_lines_that_the_filter_confirms():
    truth = object_of(0)
    still, moved = fftc(truth, 2), fftc(jnp.roll(truth, 3, axis=0), 2)
    y = jnp.where(jnp.asarray(MOVED), moved, still)
    options = {"steps": 40, "wavelet": "haar", "levels": 2}
    image, mask = line_filter(y, lambda x: truth, 1e-3, threshold=0.05, **options)
    np.testing.assert_array_equal(mask, ~MOVED[None])
    corrupted, _ = line_filter(y, lambda x: x, 1e-3, **options)
    error = [float(jnp.linalg.norm(x - truth)) for x in (image, corrupted)]
    # Lines near the centre are among those that it does without.
    assert error[0] < 0.7 * error[1]


def test_coils_share_their_lines_and_each_of_a_batch_has_its_own():
    maps = birdcage(3, SIZES)
    truth = jnp.stack([object_of(0), object_of(1)])
    every = Cartesian(jnp.ones(24, bool), maps)
    spoiled = jnp.stack([jnp.asarray(MOVED), jnp.asarray(MOVED[::-1].copy())])[:, None, None]
    y = every(truth) * jnp.where(spoiled, -1, 1).astype(jnp.complex64)
    image, mask = line_filter(y, lambda x: truth, 1e-3, maps, steps=2, levels=1)
    assert image.shape == truth.shape
    np.testing.assert_array_equal(mask, ~np.asarray(spoiled))


def test_the_most_alike_are_kept_in_any_case_and_empty_lines_agree():
    rng = np.random.default_rng(0)
    a, b = (jnp.asarray(rng.standard_normal((4, 8)), jnp.complex64) for _ in range(2))
    b = b.at[:, 2].set(a[:, 2])
    a, b = (x.at[:, 5].set(0) for x in (a, b))
    kept = still_lines(a, b, threshold=0.0, least=0.25)
    np.testing.assert_array_equal(np.flatnonzero(kept), [2, 5])
    assert still_lines(a, b, threshold=0.0, least=0.5).sum() == 4
    assert still_lines(a, b, threshold=2.0).all()


def test_what_does_not_fit_is_refused():
    y = jnp.zeros((4, 8), jnp.complex64)
    with pytest.raises(InputError, match=r"filtered: expected k-space of shape \(4, 8\)"):
        still_lines(y, y[:3])
    with pytest.raises(InputError, match="least: expected a number above 0"):
        still_lines(y, y, least=0.0)
