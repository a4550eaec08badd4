import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data.image import Image
from medjax.data.prepare.resample import labels_onto, resample_image, resample_labels

SPACINGS = [(2.0, 2.0, 2.0), (0.7, 3.0, 5.0), (1.37, 1.9, 3.1), (1.0, 2.0, 2.5)]


def volume(array, spacing=(1.0, 2.0, 2.5), shift=(5.0, -7.0, 11.0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = shift
    return Image(array, affine)


def millimetres(image):
    places = np.indices(image.array.shape[:3]).reshape(3, -1)
    where = image.affine[:3, :3] @ places + image.affine[:3, 3:]
    return where.reshape(3, *image.array.shape[:3])


def ramp(image):
    x, y, z = millimetres(image)
    return 3 * x - y + 0.5 * z


@pytest.mark.parametrize("interpolation", ["cubic", "linear"])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_linear_ramp_stays_what_it_is(spacing, interpolation):
    image = volume(np.zeros((40, 30, 36), np.float32))
    image = image.replace(array=ramp(image).astype(np.float32))
    out = resample_image(image, spacing, interpolation)
    np.testing.assert_allclose(out.spacing, spacing)
    inner = (slice(4, -4),) * 3
    np.testing.assert_allclose(out.array[inner], ramp(out)[inner], atol=2e-4)
    assert out.array.dtype == np.float32 or spacing == (1.0, 2.0, 2.5)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_field_of_view_keeps_its_centre_and_nearly_its_size(spacing):
    image = volume(np.zeros((40, 30, 36), np.float32))
    out = resample_image(image, spacing)
    for axis in range(3):
        old = image.array.shape[axis] * image.spacing[axis]
        assert abs(out.array.shape[axis] * spacing[axis] - old) <= spacing[axis] / 2 + 1e-9
    centres = [i.affine @ [*((np.asarray(i.array.shape) - 1) / 2), 1] for i in (image, out)]
    np.testing.assert_allclose(*centres, atol=1e-9)


def test_values_stay_in_the_range_of_the_image():
    image = volume(np.random.default_rng(0).choice([-5.0, 7.0], (12, 12, 12)).astype(np.float32))
    out = resample_image(image, (0.6, 0.6, 0.6)).array
    assert (out.min(), out.max()) == (-5, 7)


def test_large_voxels_average_what_they_cover():
    """Noise is averaged: unfiltered cubic sampling would leave all of its variance."""
    noise = np.random.default_rng(0).normal(size=(48, 48, 48)).astype(np.float32)
    out = resample_image(volume(noise, (1, 1, 1)), (4, 4, 4)).array
    assert out.std() < 2 / 4**1.5


def test_slices_of_thick_axes_are_copied():
    array = np.random.default_rng(0).normal(size=(6, 6, 3)).astype(np.float32)
    out = resample_image(volume(array, (1, 1, 4)), (1, 1, 1)).array
    np.testing.assert_array_equal(out, np.repeat(array, 4, axis=2))


def test_axes_of_length_one_keep_their_spacing():
    out = resample_image(volume(np.ones((8, 8, 1), np.float32), (1, 1, 6)), (2, 2, 2))
    assert out.array.shape == (4, 4, 1)
    assert out.spacing == (2, 2, 6)


def test_channels_are_resampled_alike():
    array = np.random.default_rng(0).normal(size=(8, 9, 10, 2)).astype(np.float32)
    both = resample_image(Image(array, np.eye(4), ("a", "b")), (1.5, 1.5, 1.5))
    one = resample_image(Image(array[..., 1], np.eye(4)), (1.5, 1.5, 1.5))
    np.testing.assert_array_equal(both.array[..., 1], one.array)
    assert both.channels == ("a", "b")


@pytest.mark.parametrize("spacing", SPACINGS)
def test_labels_are_never_new_and_lie_where_they_lay(spacing):
    labels = np.random.default_rng(0).choice([0, 3, 500], (20, 20, 20)).astype(np.uint16)
    image = volume(labels)
    out = resample_labels(image, spacing)
    assert set(np.unique(out.array)) <= {0, 3, 500}
    # The label of the voxel whose centre is nearest.
    back = np.linalg.inv(image.affine) @ out.affine
    places = np.indices(out.array.shape).reshape(3, -1)
    nearest = np.floor(back[:3, :3] @ places + back[:3, 3:] + 0.5 + 1e-9).astype(int)
    nearest = nearest.clip(0, 19)
    np.testing.assert_array_equal(out.array.ravel(), labels[tuple(nearest)])


def test_labels_go_onto_any_grid_and_are_0_beyond_their_own():
    labels = volume(np.full((4, 4, 4), 9, np.uint8), (1, 1, 1), (0, 0, 0))
    affine = np.eye(4)
    affine[:3, 3] = -2
    out = labels_onto(labels, (8, 8, 8), affine)
    assert set(np.unique(out.array)) == {0, 9}
    assert (out.array[2:6, 2:6, 2:6] == 9).all()
    assert (out.array == 9).sum() == 64


def test_another_interpolation_is_refused():
    with pytest.raises(InputError, match="interpolation: expected one of cubic, linear"):
        resample_image(volume(np.zeros((4, 4, 4), np.float32)), (1, 1, 1), "quintic")
