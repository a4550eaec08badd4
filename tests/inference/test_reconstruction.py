"""From a user's file to a volume on its own grid; the network is a zero-filled stand-in."""

import jax
import numpy as np
import pytest

from medjax import data, physics
from medjax.core.errors import InputError
from medjax.inference import Reconstruct

OBLIQUE = np.array([[0, -1.3, 0.2, 5], [2, 0, 0, -9], [0, 0.1, 3.3, 1], [0, 0, 0, 1.0]])


def full(key, columns):
    return jax.numpy.ones(columns, bool)


def half(key, columns):
    return physics.random_lines(key, columns, 2.0, calibration=2)


def zero_filled(batch):
    return batch["operator"].H(batch["kspace"])


@pytest.mark.parametrize("shape", [(9, 14, 5), (8, 11, 1), (7, 6)])
def test_an_image_keeps_its_grid_affine_and_intensities(tmp_path, shape):
    path = tmp_path / "image.nii.gz"
    array = np.random.default_rng(0).integers(0, 900, shape).astype(np.int16)
    data.write_image(path, data.Image(array, OBLIQUE))
    image = Reconstruct(full, batch_size=2)(zero_filled, path)
    np.testing.assert_allclose(image.affine, OBLIQUE, atol=1e-5)
    np.testing.assert_allclose(image.array, array, atol=0.01)
    assert image.array.dtype == np.float32


def test_an_image_is_undersampled_alike_whatever_the_batch(tmp_path):
    path = tmp_path / "image.nii"
    array = np.random.default_rng(0).random((10, 12, 5), dtype=np.float32)
    data.write_image(path, data.Image(array, np.eye(4)))
    two, five = (Reconstruct(half, noise=0.01, batch_size=n)(zero_filled, path) for n in (2, 5))
    np.testing.assert_allclose(two.array, five.array, atol=1e-5)
    assert np.abs(two.array - array).max() > 0.05


@pytest.mark.parametrize("coils", [None, 4])
def test_a_scan_is_reconstructed_by_its_own_samples(tmp_path, coils):
    path = tmp_path / "scan.h5"
    rng = np.random.default_rng(0)
    images = np.zeros((3, 16, 20), np.complex64)
    images[:, 3:13, 4:16] = rng.random((3, 10, 12)) + 0.5
    maps = np.ones((1, 16, 20)) if coils is None else np.asarray(physics.birdcage(coils, (16, 20)))
    kspace = np.asarray(physics.fftc(jax.numpy.asarray(images[:, None] * maps, np.complex64)))
    data.write_kspace(path, kspace if coils else kspace[:, 0])
    image = Reconstruct(full, batch_size=2)(zero_filled, path)
    assert image.array.shape == (20, 16, 3)
    wanted = np.abs(images).transpose(2, 1, 0)
    # Estimated sensitivities of unit norm leave the root sum of squares: the image.
    np.testing.assert_allclose(image.array, wanted, atol=1e-4 if coils is None else 0.15)


def test_scans_and_series_of_other_formats(tmp_path):
    kspace = np.random.default_rng(0).standard_normal((2, 8, 6)).astype(np.complex64)
    data.write_kspace(tmp_path / "a.h5", kspace)
    data.write_cfl(tmp_path / "a.cfl", kspace.transpose(1, 2, 0).reshape(8, 6, *(1,) * 11, 2))
    array = np.random.default_rng(0).integers(0, 900, (7, 6, 3)).astype(np.int16)
    data.write_image(tmp_path / "b.nii", data.Image(array, np.diag([1, 2, 3, 1.0])))
    data.write_image(tmp_path / "b", data.Image(array, np.diag([1, 2, 3, 1.0]), modality="MR"))
    for one, other in (("a.h5", "a.cfl"), ("b.nii", "b")):
        a, b = (Reconstruct(full)(zero_filled, tmp_path / name) for name in (one, other))
        a, b = data.to_ras(a)[0], data.to_ras(b)[0]
        np.testing.assert_allclose(a.array, b.array, atol=1e-4)
        np.testing.assert_allclose(a.affine, b.affine, atol=1e-6)


def test_what_cannot_be_used_is_named(tmp_path):
    (tmp_path / "scan.xyz").write_text("text")
    reconstruct = Reconstruct(half)
    with pytest.raises(InputError, match=r"scan.xyz: expected an image: .nii, .* '.xyz'"):
        reconstruct(zero_filled, tmp_path / "scan.xyz")
    empty = tmp_path / "empty.h5"
    data.write_kspace(empty, np.zeros((1, 8, 8), np.complex64))
    with pytest.raises(InputError, match=r"empty.h5: expected k-space with samples, got zeros"):
        reconstruct(zero_filled, empty)
    few = tmp_path / "few.h5"
    kspace = np.ones((1, 2, 8, 8), np.complex64)
    data.write_kspace(few, kspace * (np.arange(8) % 3 == 1))
    with pytest.raises(InputError, match=r"few.h5: expected at least 4 sampled columns .*, got 1"):
        reconstruct(zero_filled, few)
    image = tmp_path / "image.nii"
    data.write_image(image, data.Image(np.ones((8, 8, 2), np.float32), np.eye(4)))
    with pytest.raises(InputError, match="finite intensities"):
        reconstruct(lambda batch: zero_filled(batch) * np.nan, image)
