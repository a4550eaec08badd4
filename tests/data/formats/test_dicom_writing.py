import sys

import numpy as np
import pydicom
import pytest

from medjax.core.errors import InputError, MissingExtraError
from medjax.data import Image, read_header, read_image, to_ras, write_image
from medjax.data.formats import dicom
from medjax.data.sources import ImageSlices

# A turned, mirrored grid with voxels of three sizes, at right angles.
TURN = np.array([[0.0, -1, 0], [0.8, 0, 0.6], [-0.6, 0, 0.8]])
AFFINE = np.eye(4)
AFFINE[:3, :3] = TURN * [0.9, 1.5, 3.0]
AFFINE[:3, 3] = [-30.5, 12.25, 7.125]


def volume(shape=(5, 4, 3)):
    return np.random.default_rng(0).integers(-1000, 3000, shape).astype(np.int16)


def same_in_space(found, image):
    for name in ("array", "affine"):
        a, b = (getattr(to_ras(one)[0], name) for one in (found, image))
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("modality", ["MR", "CT", "PT", ""])
def test_round_trip_keeps_every_voxel_in_its_place(tmp_path, modality):
    image = Image(volume(), AFFINE, modality=modality)
    write_image(tmp_path / "a", image)
    found = read_image(tmp_path / "a")
    assert (found.array.dtype, found.modality) == (np.int16, modality or "OT")
    # Slices may come in the other direction: the affine says so, and RAS order undoes it.
    same_in_space(found, image)
    write_image(tmp_path / "b", image)
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == [f"0000{i}.dcm" for i in (1, 2, 3)]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_known_geometry(tmp_path):
    """By the standard: the first pixel, a step along a row, a step along a column, in LPS."""
    dicom.write(tmp_path / "a", Image(volume(), AFFINE, modality="CT"))
    files = [pydicom.dcmread(p) for p in sorted((tmp_path / "a").iterdir())]
    first = files[0]
    assert (first.Rows, first.Columns) == (4, 5)
    np.testing.assert_array_equal(first.pixel_array, volume()[:, :, 0].T)
    np.testing.assert_allclose(first.ImagePositionPatient, [30.5, -12.25, 7.125])
    np.testing.assert_allclose(first.ImageOrientationPatient, [0, -0.8, -0.6, 1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(first.PixelSpacing, [1.5, 0.9])
    assert len({f.SOPInstanceUID for f in files}) == 3
    assert {f.SeriesInstanceUID.is_valid for f in files} == {True}
    assert (first.PatientName, first.PatientID) == ("", "")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int32])
def test_integers_of_sixteen_bits_are_exact(tmp_path, dtype):
    high = {bool: 2, np.uint8: 256, np.uint16: 65536, np.int32: 65536}[dtype]
    array = np.random.default_rng(1).integers(0, high, (4, 3, 2)).astype(dtype)
    array[0, 0, 0] = high - 1
    dicom.write(tmp_path / "a", Image(array, np.diag([-1.0, -1, 1, 1])))
    found = dicom.read(tmp_path / "a").array
    np.testing.assert_array_equal(found, array.astype(np.int64))
    assert found.dtype == (np.int16 if high < 2**15 else np.uint16)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_floats_are_kept_to_sixteen_bits(tmp_path, scale):
    array = (np.random.default_rng(0).random((4, 3, 2)) * scale + scale).astype(np.float32)
    dicom.write(tmp_path / "a", Image(array, np.eye(4), modality="MR"))
    found = dicom.read(tmp_path / "a")
    np.testing.assert_allclose(to_ras(found)[0].array, array, atol=scale / 1e5)
    for level in (0.0, 0.5, -3e5):
        folder = tmp_path / f"level{level}"
        dicom.write(folder, Image(np.full((2, 2, 1), level, np.float32), np.eye(4)))
        np.testing.assert_allclose(dicom.read(folder).array, level, rtol=1e-6)


def test_times_and_colours_come_back(tmp_path):
    times = Image(volume((5, 4, 3, 2)), AFFINE, ("0", "1"), "MR", 2.5)
    dicom.write(tmp_path / "times", times)
    found = dicom.read(tmp_path / "times")
    assert (found.channels, found.interval) == (("0", "1"), 2.5)
    same_in_space(found, times)
    rgb = np.random.default_rng(3).integers(0, 256, (5, 3, 2, 3)).astype(np.uint8)
    colours = Image(rgb, AFFINE, ("red", "green", "blue"), "US")
    dicom.write(tmp_path / "colours", colours)
    found = dicom.read(tmp_path / "colours")
    assert (found.channels, found.modality) == (colours.channels, "US")
    same_in_space(found, colours)


def test_a_single_slice_is_a_file(tmp_path):
    flat = Image(volume((5, 4)), AFFINE, modality="MR")
    write_image(tmp_path / "a.dcm", flat)
    found = read_image(tmp_path / "a.dcm")
    assert found.array.shape == read_header(tmp_path / "a.dcm").shape == (5, 4, 1)
    assert found.spacing == pytest.approx((0.9, 1.5, 3.0))
    same_in_space(found, flat)
    with pytest.raises(InputError, match="a folder's name for several files"):
        write_image(tmp_path / "b.dcm", Image(volume(), AFFINE))


def test_what_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    good = Image(np.zeros((2, 2, 2), np.float32), np.eye(4), modality="MR")
    sheared = np.eye(4)
    sheared[0, 2] = 0.5
    for path, image, match in (
        ("full", good, "a new or empty folder"),
        ("none/a", good, "an existing output folder"),
        ("a", good.replace(array=good.array[:0]), "a shape without empty axes"),
        ("a", good.replace(array=good.array + np.float32(np.nan)), "finite values"),
        ("a", good.replace(array=good.array + 0j), "integers or floats"),
        ("a", good.replace(array=np.full((2, 2, 2), 70000)), "fit 16 bits, got 70000 to 70000"),
        ("a", good.replace(affine=sheared), "axes at right angles"),
        ("a", good.replace(affine=np.diag([1.0, 1, 0, 1])), "an affine with an inverse"),
        ("a", good.replace(modality="magnetic"), "modality: expected one of DICOM's terms"),
        ("a", good.replace(channels=("one", "two")), "channels: expected times at even steps"),
    ):
        with pytest.raises(InputError, match=match):
            dicom.write(tmp_path / path, image)
    assert [p.name for p in tmp_path.iterdir()] == ["full"]


def test_without_pydicom_nothing_is_left_over(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MissingExtraError, match="DICOM needs pydicom"):
        dicom.write(tmp_path / "a", Image(volume(), AFFINE))
    assert not list(tmp_path.iterdir())


def test_slices_are_those_of_the_same_volume_in_nifti(tmp_path):
    image = Image(volume(), AFFINE, modality="CT")
    write_image(tmp_path / "series.nii", image)
    write_image(tmp_path / "series", image)
    for axis, count in (("axial", 3), ("coronal", 5), ("sagittal", 4)):
        a, b = (
            ImageSlices([tmp_path / name], axis=axis, shape=(4, 4))
            for name in ("series", "series.nii")
        )
        assert len(a) == len(b) == count
        assert a.groups == b.groups
        np.testing.assert_array_equal(a[1]["image"], b[1]["image"])
