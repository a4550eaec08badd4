"""Real files: what pydicom carries, and what was seen in it."""

import json
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from medjax.core.errors import MissingExtraError
from medjax.data import read_header, read_image
from medjax.data.formats import dicom

RGB = ("red", "green", "blue")


def real(name):
    found = get_testdata_file(name, download=False)
    if found is None:
        pytest.skip(f"{name} is in pydicom-data")
    return found


def read(name):
    image, known = dicom.read(real(name)), dicom.header(real(name))
    assert (image.array.shape, image.array.dtype) == (known.shape, known.dtype)
    assert (image.channels, image.modality) == (known.channels, known.modality)
    np.testing.assert_array_equal(image.affine, known.affine)
    return image


def test_a_ct_slice():
    image = read_image(real("CT_small.dcm"))
    assert (image.array.shape, image.array.dtype) == ((128, 128, 1), np.float32)
    assert image.modality == "CT"
    np.testing.assert_allclose(image.spacing, (0.661468, 0.661468, 5.0))
    # ImagePositionPatient [-158.135803, -179.035797, -75.699997] in LPS.
    np.testing.assert_allclose(image.affine[:3, 3], [158.135803, 179.035797, -75.699997])
    np.testing.assert_array_equal(np.sign(np.diag(image.affine)), [-1, -1, 1, 1])
    assert (image.array.min(), image.array.max()) == (-896.0, 1167.0)
    assert read_header(real("CT_small.dcm")).shape == (128, 128, 1)
    assert image.provenance["kernel"] == "STANDARD"


SAME_PIXELS = [
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_expb.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_padded.dcm",
]


@pytest.mark.parametrize("name", SAME_PIXELS)
def test_one_image_in_every_transfer_syntax(name):
    if "jp" in name:
        pytest.importorskip("pylibjpeg")
    image, usual = read(name), dicom.read(real("MR_small.dcm"))
    assert image.array.dtype == np.int16
    np.testing.assert_array_equal(image.array, usual.array)
    np.testing.assert_array_equal(image.affine, usual.affine)
    assert (usual.array[0, 0, 0], usual.array[5, 30, 0], usual.array.max()) == (905, 292, 2145)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "pixel", "value"),
    [
        ("JPGExtended.dcm", (256, 1024), np.uint16, (128, 40), 1),
        ("JPEG2000.dcm", (256, 1024), np.int16, (128, 40), -1),
        ("J2K_pixelrep_mismatch.dcm", (512, 512, 1), np.int16, (256, 256, 0), 27),
        ("693_J2KI.dcm", (512, 512, 1), np.float32, (256, 256, 0), 32),
        ("JPEGLSNearLossless_16.dcm", (10, 50), np.uint16, (5, 25), 255),
        ("image_dfl.dcm", (512, 512), np.uint8, (256, 256), 65),
        ("bad_sequence.dcm", (512, 512, 1), np.float32, (256, 256, 0), 202),
    ],
)
def test_compressed_files(name, shape, dtype, pixel, value):
    pytest.importorskip("pylibjpeg")
    array = read(name).array
    assert (array.shape, array.dtype, array[pixel]) == (shape, dtype, value)


def test_colours_become_red_green_and_blue():
    """DCMTK's test card, by every colour space: the bars' colours at their middles."""
    pytest.importorskip("pylibjpeg")
    bars = [(255, 0, 0), (255, 128, 128), (0, 255, 0), (128, 255, 128), (0, 0, 255)]
    names = ["SC_rgb_rle.dcm", "SC_rgb_gdcm_KY.dcm", "SC_rgb_jpeg_gdcm.dcm"]
    lossy = ["SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_jpeg_dcmtk.dcm"]
    for name in [*names, *lossy, "SC_ybr_full_422_uncompressed.dcm"]:
        image = read(name)
        assert (image.array.shape, image.channels) == ((100, 100, 3), RGB)
        seen = image.array[50, 5:55:10].astype(int)
        np.testing.assert_allclose(seen, bars, atol=0 if name in names else 6)
    wide = read("SC_rgb_rle_16bit_2frame.dcm")
    assert (wide.array.shape, wide.array.dtype) == ((100, 100, 6), np.uint16)
    assert wide.channels == tuple(f"{i} {colour}" for i in range(2) for colour in RGB)
    np.testing.assert_array_equal(wide.array[50, 5], [65535, 0, 0, 0, 65535, 65535])


def test_a_palette():
    image = read("examples_palette.dcm")
    assert (image.array.shape, image.array.dtype) == ((800, 350, 3), np.uint16)
    dataset = pydicom.dcmread(real("examples_palette.dcm"))
    expected = pydicom.pixels.apply_color_lut(dataset.pixel_array, dataset)
    np.testing.assert_array_equal(image.array, np.swapaxes(expected, 0, 1))
    # Its region of ultrasound has pixels of 0.0262 cm.
    np.testing.assert_allclose(image.spacing, (0.262288, 0.262288), rtol=1e-5)


@pytest.mark.parametrize("name", ["gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm"])
def test_a_segmented_palette(name):
    dataset = pydicom.dcmread(real(name))
    expected = pydicom.pixels.apply_color_lut(dataset.pixel_array, dataset)
    np.testing.assert_array_equal(read(name).array, np.swapaxes(expected, 0, 1))


def test_palettes_of_either_endianness_are_the_same():
    a, b = read("OBXXXX1A.dcm"), read("OBXXXX1A_expb.dcm")
    np.testing.assert_array_equal(a.array, b.array)
    assert a.array.max() == 65280


def test_a_table_of_the_modality():
    image = read("mlut_18.dcm")
    dataset = pydicom.dcmread(real("mlut_18.dcm"))
    expected = pydicom.pixels.apply_modality_lut(dataset.pixel_array, dataset)
    np.testing.assert_array_equal(image.array, expected.T)
    assert image.array.dtype == np.uint16


def test_dose_in_gray():
    for name in ("rtdose.dcm", "rtdose_expb.dcm", "rtdose_rle.dcm"):
        image = read(name)
        assert image.array.shape == (10, 10, 15)
        np.testing.assert_allclose(image.spacing, (10.0, 10.0, 5.0))
        stored = pydicom.dcmread(real(name)).pixel_array
        np.testing.assert_allclose(image.affine[:3, 3], [-189.43125, -199.43125, -761.87])
        expected = stored.transpose(2, 1, 0) * 1e-6
        np.testing.assert_allclose(image.array, expected, rtol=1e-6)
    assert image.modality == "RTDOSE"


def test_a_segmentation_of_single_bits():
    for name in ("liver_1frame.dcm", "liver_expb_1frame.dcm"):
        image = read(name)
        assert (image.array.shape, image.array.dtype) == ((512, 512, 1), np.uint8)
        np.testing.assert_allclose(image.spacing, (0.810546, 0.810546, 1.0), atol=1e-5)
        expected = pydicom.dcmread(real(name)).pixel_array.T
        np.testing.assert_array_equal(image.array[..., 0], expected)
        assert 0 < image.array.mean() < 0.2
    whole = read("liver.dcm")
    assert whole.array.shape == (512, 512, 3)
    np.testing.assert_allclose(whole.affine[2, 2], 1.0)


def test_enhanced_images():
    image = read("eCT_Supplemental.dcm")
    assert (image.array.shape, image.array.dtype) == ((512, 512, 2), np.float32)
    # Rows run to the right: the normal points to the feet, and so do the slices.
    lps = [[-0.388672, 0, 0, 99.5], [0, 0.388672, 0, -301.5], [0, 0, -10, -149], [0, 0, 0, 1]]
    np.testing.assert_allclose(image.affine, np.diag([-1, -1, 1, 1]) @ lps)
    stored = pydicom.dcmread(real("eCT_Supplemental.dcm")).pixel_array
    np.testing.assert_array_equal(image.array[:, :, 0], stored[1].T - 1024.0)
    small = read("emri_small.dcm")  # which lost its functional groups, and so its places
    assert (small.array.shape, small.channels[:2]) == ((64, 64, 10), ("0", "1"))
    assert (small.spacing, small.provenance["spacing"]) == ((1.0, 1.0), "unknown")
    pytest.importorskip("pylibjpeg")
    for other in ("emri_small_jpeg_ls_lossless.dcm", "emri_small_RLE.dcm"):
        np.testing.assert_array_equal(read(other).array, small.array)


def test_a_cine_loop_of_ultrasound():
    pytest.importorskip("pylibjpeg")
    image = read("examples_ybr_color.dcm")
    assert image.array.shape == (320, 240, 30 * 3)
    assert image.channels[:4] == ("0 s red", "0 s green", "0 s blue", "0.033333 s red")
    assert image.interval is None
    expected = pydicom.dcmread(real("examples_ybr_color.dcm")).pixel_array
    np.testing.assert_array_equal(image.array[..., 87:], expected[29].swapaxes(0, 1))


def test_low_values_that_are_shown_bright_stay_low():
    path = Path(real("CT_small.dcm")).parent / "dicomdirtests/77654033/CR1/6154"
    image, stored = dicom.read(path), pydicom.dcmread(path)
    np.testing.assert_allclose(image.array, stored.pixel_array.T * 0.684 + 200, rtol=1e-6)
    assert image.provenance["photometric"] == "MONOCHROME1"


def test_lossless_is_lossless():
    pytest.importorskip("pylibjpeg")
    np.testing.assert_array_equal(read("693_J2KR.dcm").array, read("693_UNCR.dcm").array)


def test_settings_of_the_scanner():
    assert dicom.facts(real("emri_small.dcm")) == {
        "modality": "MR",
        "body_part": "HEAD",
        "field_strength": 3.0,
    }
    found = json.loads(json.dumps(dicom.facts(real("MR_small.dcm"))))
    assert found["manufacturer"] == "TOSHIBA_MEC"
    assert (found["echo_time"], found["repetition_time"]) == (240.0, 4000.0)


def test_other_libraries_find_the_same_voxels_at_the_same_places():
    """SimpleITK (GDCM): values and physical coordinates of single files and a series."""
    sitk = pytest.importorskip("SimpleITK")
    folder = Path(real("CT_small.dcm")).parent / "dicomdirtests/98892001/CT5N"
    names = ["CT_small.dcm", "MR_small.dcm", "MR_small_jp2klossless.dcm", "rtdose.dcm"]
    ordered = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    pairs = [(real(name), sitk.ReadImage(real(name))) for name in names]
    for path, theirs in [*pairs, (folder, sitk.ReadImage(ordered))]:
        ours = dicom.read(path)
        values = sitk.GetArrayFromImage(theirs).transpose(2, 1, 0)
        scale = 1e-6 if "rtdose" in str(path) else 1.0  # GDCM leaves a dose's to the reader
        np.testing.assert_allclose(ours.array, values * scale, rtol=1e-6)
        for corner in ((0, 0, 0), (3, 0, 0), (0, 5, 0), (7, 2, values.shape[2] - 1)):
            lps = theirs.TransformIndexToPhysicalPoint(corner)
            expected = np.array(lps) * [-1, -1, 1]
            np.testing.assert_allclose((ours.affine @ [*corner, 1])[:3], expected, atol=1e-4)


def test_without_a_library_the_extra_is_named(monkeypatch):
    path = real("MR_small_jp2klossless.dcm")
    decoder = pydicom.pixels.get_decoder(pydicom.uid.JPEG2000Lossless)
    monkeypatch.setattr(decoder, "_available", {})
    with pytest.raises(MissingExtraError, match=r"compressed DICOM needs pylibjpeg-openjpeg"):
        dicom.read(path)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'medjax\[dicom\]'"):
        dicom.read(path)
