"""Intensity scales: against scikit-image and TorchIO by stored values, NumPy and JAX alike."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.image import colour, histogram

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "histogram.npz")
LIBRARIES = pytest.mark.parametrize("asarray", [np.asarray, jnp.asarray], ids=["numpy", "jax"])


def on(function, asarray):
    return jax.jit(function) if asarray is jnp.asarray else function


@LIBRARIES
def test_matching_agrees_with_scikit_image(asarray):
    image, reference = asarray(REFERENCE["coarse"]), asarray(REFERENCE["reference"])
    matched = on(histogram.match, asarray)(image, reference)
    assert isinstance(matched, type(image))
    assert matched.dtype == image.dtype
    np.testing.assert_allclose(matched, REFERENCE["matched"], rtol=2e-5)
    # To itself nothing changes, whatever the ties.
    np.testing.assert_array_equal(on(histogram.match, asarray)(image, image), image)
    again = on(histogram.match, asarray)(image.astype(np.int16), reference)
    np.testing.assert_allclose(again, REFERENCE["matched"], rtol=2e-5)


@LIBRARIES
def test_standardisation_agrees_with_torchio(asarray):
    images = asarray(REFERENCE["images"])
    landmarks = histogram.fit_landmarks(iter(images))
    np.testing.assert_allclose(landmarks.values, REFERENCE["landmarks"], rtol=1e-4, atol=1e-5)
    standardise = on(histogram.standardise, asarray)
    cases = (images[1], asarray(REFERENCE["hollow"]))
    for image, expected in zip(cases, REFERENCE["standard"], strict=True):
        got = standardise(image, landmarks)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-3)


@LIBRARIES
def test_standardisation_undoes_another_scale_of_each_image(asarray):
    images = asarray(REFERENCE["images"])
    landmarks = histogram.fit_landmarks(images, scale=(0.0, 1.0))
    once = histogram.standardise(images[0], landmarks)
    moved = histogram.standardise(7 * images[0] - 50, landmarks)
    np.testing.assert_allclose(moved, once, atol=1e-4)
    # With whole ranks no percentile lies between two voxels, on both sides of a kink.
    line = images[0].reshape(-1)[:201]
    own = histogram.percentile(histogram.standardise(line, landmarks), histogram.DECILES)
    np.testing.assert_allclose(own, landmarks.values, atol=1e-4)


@LIBRARIES
def test_only_what_the_mask_holds_counts(asarray):
    rng = np.random.default_rng(0)
    image = rng.normal(5, 2, (8, 9)).astype(np.float32)
    mask = rng.random((8, 9)) < 0.5
    q = (0.0, 3.0, 50.0, 97.0, 100.0)
    get = on(lambda x, m: histogram.percentile(x, q, m), asarray)
    got = get(asarray(image), asarray(mask))
    np.testing.assert_allclose(got, np.percentile(image[mask], q), rtol=1e-5)
    np.testing.assert_allclose(
        histogram.percentile(asarray(image), q), np.percentile(image, q), rtol=1e-5
    )
    wild = np.where(mask, image, 1e6).astype(np.float32)
    for function in (histogram.z_score, lambda x, mask: histogram.rescale(x, 1, 99, mask)):
        one, other = (function(asarray(x), mask=asarray(mask)) for x in (image, wild))
        np.testing.assert_array_equal(np.asarray(one)[mask], np.asarray(other)[mask])
    scored = np.asarray(histogram.z_score(asarray(image), asarray(mask)))[mask]
    np.testing.assert_allclose([scored.mean(), scored.std()], [0, 1], atol=1e-5)
    landmarks = histogram.fit_landmarks([asarray(wild)] * 2, [asarray(mask)] * 2)
    once = histogram.standardise(asarray(image), landmarks, asarray(mask))
    again = histogram.standardise(asarray(wild), landmarks, asarray(mask))
    np.testing.assert_array_equal(np.asarray(once)[mask], np.asarray(again)[mask])


@LIBRARIES
def test_windows_and_constant_images(asarray):
    hounsfield = asarray(np.array([-1000, 0, 40, 80, 3000], np.int16))
    got = histogram.window(hounsfield, *histogram.CT_WINDOWS["brain"])
    np.testing.assert_allclose(got, [0, 0, 0.5, 1, 1])
    flat = asarray(np.full((3, 4), 7.0, np.float32))
    for function in (histogram.z_score, histogram.rescale):
        np.testing.assert_array_equal(function(flat), np.zeros((3, 4)))


def test_a_batch_is_its_images():
    images = jnp.asarray(REFERENCE["images"])
    landmarks = histogram.fit_landmarks(images)
    batched = jax.jit(jax.vmap(histogram.standardise, (0, None)))(images, landmarks)
    np.testing.assert_allclose(batched[2], histogram.standardise(images[2], landmarks), rtol=1e-5)


@LIBRARIES
def test_colours_agree_with_scikit_image_and_come_back(asarray):
    rgb = asarray(REFERENCE["rgb"].astype(np.float32))
    lab = on(colour.rgb_to_lab, asarray)(rgb)
    np.testing.assert_allclose(lab, REFERENCE["lab"], atol=2e-3)
    np.testing.assert_allclose(on(colour.lab_to_rgb, asarray)(lab), rgb, atol=1e-5)


def test_black_has_a_slope():
    slope = jax.grad(lambda x: jnp.sum(colour.rgb_to_lab(x)[..., 0]))(jnp.zeros((1, 3)))
    assert np.isfinite(slope).all()
    assert (slope > 0).all()


def test_no_jax_is_imported():
    path = Path(histogram.__file__).parent
    code = (
        f"import sys; sys.path.insert(0, {str(path)!r}); import numpy as np, histogram, colour;"
        "histogram.match(np.ones(3), np.ones(4)); assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_what_cannot_be_used_is_named():
    image = np.ones((3, 4), np.float32)
    for what, call in (
        ("image", lambda: histogram.z_score(image.astype(np.complex64))),
        ("mask", lambda: histogram.z_score(image, np.ones(3, bool))),
        ("mask", lambda: histogram.z_score(image, np.zeros((3, 4), bool))),
        ("masks", lambda: histogram.fit_landmarks([image], [])),
        ("images", lambda: histogram.fit_landmarks([])),
        ("images", lambda: histogram.fit_landmarks([image])),
        ("percentiles", lambda: histogram.fit_landmarks([image], percentiles=(9.0, 1.0))),
        ("percentiles", lambda: histogram.rescale(image, 9, 9)),
        ("width", lambda: histogram.window(image, 0.0, 0.0)),
        ("values", lambda: histogram.mean_landmarks(image)),
        ("image", lambda: colour.rgb_to_lab(image)),
    ):
        with pytest.raises(InputError) as raised:
            call()
        assert raised.value.what == what
    none = jax.jit(histogram.z_score)(jnp.asarray(image), jnp.zeros((3, 4), bool))
    assert np.isnan(none).all()
