"""Series as scanners make them: order, gaps, tilt, echoes, times, enhanced images."""

import numpy as np
import pydicom
import pytest
from dicom_files import CT, ENHANCED_MR, NM, edit, item, save

from medjax.core.errors import InputError
from medjax.data import to_ras
from medjax.data.formats import dicom

STEP = 2.5
RAMP = np.random.default_rng(0).integers(-900, 900, (4, 3, 5)).astype(np.int16)  # (z, row, column)


def place(index):
    return [-20.0, 10.0, STEP * index - 7]


def series(folder, count=4, **elements):
    """Axial slices, saved under names in another order than their positions'."""
    folder.mkdir()
    for index in range(count):
        save(folder / f"{(3 * index) % 7}.dcm", RAMP[index % 4], position=place(index), **elements)
    return folder


def refuse(path, match, **choices):
    for function in (dicom.header, dicom.read):
        with pytest.raises(InputError, match=match) as caught:
            function(path, **choices)
        assert "Doe" not in str(caught.value)
        assert "\n" not in str(caught.value)


def same_header(path, image, **choices):
    known = dicom.header(path, **choices)
    assert (known.shape, known.dtype) == (image.array.shape, image.array.dtype)
    assert (known.channels, known.modality) == (image.channels, image.modality)
    np.testing.assert_array_equal(known.affine, image.affine)
    return image


def read(path, **choices):
    return same_header(path, dicom.read(path, **choices), **choices)


def test_slices_come_in_any_order(tmp_path):
    image = read(series(tmp_path / "a"))
    np.testing.assert_array_equal(image.array, RAMP.transpose(2, 1, 0))
    expected = [[-0.5, 0, 0, 20], [0, -0.75, 0, -10], [0, 0, STEP, -7], [0, 0, 0, 1]]
    np.testing.assert_allclose(image.affine, expected)
    assert (image.modality, image.interval, image.channels) == ("MR", None, ())


def test_every_slice_has_its_own_rescaling(tmp_path):
    """As in PET, where each slice is stored by its own largest value."""
    folder = series(tmp_path / "a", Modality="PT")
    for index in range(4):
        edit(folder / f"{(3 * index) % 7}.dcm", RescaleSlope=str(index + 1), RescaleIntercept="0.5")
    image = read(folder)
    assert (image.array.dtype, image.modality) == (np.float32, "PT")
    expected = RAMP * np.arange(1, 5)[:, None, None] + 0.5
    np.testing.assert_allclose(image.array, expected.transpose(2, 1, 0))


def test_gaps_repeats_and_strangers_are_named(tmp_path):
    folder = series(tmp_path / "a", 6)
    save(folder / "copy.dcm", RAMP[0], position=place(0))
    refuse(folder, "1 image at each place, got another number at 1 of 6 places")
    (folder / "copy.dcm").unlink()
    for index in (2, 4):
        (folder / f"{(3 * index) % 7}.dcm").unlink()
    refuse(folder, "without gaps, got about 2 missing slices, after slice 2, 3 of 4")
    shifted = series(tmp_path / "b")
    edit(shifted / "3.dcm", ImagePositionPatient=[-20, 10, STEP - 7.3])
    refuse(shifted, "at even distances on a line, got uneven ones")
    twice = series(tmp_path / "c")
    for index in range(4):
        save(twice / f"copy{index}.dcm", RAMP[index], position=place(index))
    refuse(twice, "got 4 more that nothing tells apart: repeated files")
    for elements, match in (
        ({"PixelSpacing": [0.75, 0.6]}, "slices of one spacing, got 2 .* another in 3.dcm"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]}, "slices of one orientation"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "a usable position"),
        ({"PixelSpacing": [0, 1]}, "a usable position"),
        ({"RescaleSlope": "1e400"}, "a usable position"),
        ({"ImagePositionPatient": None}, "a position and an orientation, got 1 of 4"),
        ({"Rows": 5, "Columns": 3}, "images of one size, got 2 different ones"),
        ({"PixelRepresentation": 0}, "pixels of one type, got 2 different ones"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "MOSAIC"]}, "a mosaic of many slices"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.6"}, "a whole slide"),
    ):
        kept = (shifted / "3.dcm").read_bytes()
        edit(shifted / "3.dcm", **{"ImagePositionPatient": place(1)} | elements)
        refuse(shifted, match)
        (shifted / "3.dcm").write_bytes(kept)


def test_a_folder_of_several_series(tmp_path):
    folder = series(tmp_path / "a")
    for index in range(2):
        path = folder / f"other{index}.dcm"
        save(path, RAMP[index, :2], position=place(index), SeriesInstanceUID="1.2.6", Modality="CT")
    listed = dicom.series(folder)
    assert [tuple(one)[1:] for one in listed] == [
        (4, "MR", (5, 3), False),
        (2, "CT", (5, 2), False),
    ]
    keys = [one.key for one in listed]
    refuse(folder, f"one series, got 2, to be chosen by series=: {keys[0]} .4 of MR., {keys[1]}")
    assert read(folder, series=keys[0]).array.shape == (5, 3, 4)
    assert read(folder, series=keys[1]).modality == "CT"
    refuse(folder, f"series: expected one of {keys[0]}", series="none")
    # What the scan was planned on, an index and what holds no image do not come between.
    for index in range(2):
        edit(folder / f"other{index}.dcm", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (folder / "DICOMDIR").write_text("an index")
    (folder / ".hidden").write_text("anything")
    report = item(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", SOPInstanceUID="1.2.9")
    report.file_meta = pydicom.dcmread(folder / "0.dcm").file_meta
    report.save_as(folder / "report.dcm")
    assert read(folder).array.shape == (5, 3, 4)
    assert dicom.series(folder)[1].localizer
    assert dicom.facts(folder) == {"modality": "MR", "slice_thickness": 2.0}
    refuse(folder / "report.dcm", "an image, got DICOM files without one")


@pytest.mark.parametrize("degrees", [15.0, -15.0])
def test_a_tilted_gantry_is_refused_or_made_upright(tmp_path, degrees):
    """A field that is linear in space stays what it is at every place on the other grid."""
    (tmp_path / "a").mkdir()
    rows, columns = np.meshgrid(np.arange(12), np.arange(4), indexing="ij")
    tilt = np.tan(np.deg2rad(degrees))
    field = lambda x, y, z: 40 * x + 30 * y + 20 * z  # noqa: E731
    for k in range(5):
        position = np.array([-20, 10 + tilt * 2.0 * k, 2.0 * k])
        values = field(position[0] + 0.5 * columns, position[1] + 0.75 * rows, position[2])
        pixels = np.rint(values).astype(np.int16)
        save(tmp_path / "a" / f"{k}.dcm", pixels, position=list(position), SOPClassUID=CT)
    refuse(tmp_path / "a", r"got a tilt of 15.0 degrees: read it with tilt='resample'")
    refuse(tmp_path / "a", "tilt: expected refuse or resample", tilt="ignore")
    image = read(tmp_path / "a", tilt="resample")
    assert image.array.shape == (4, 12 + 3, 5)  # 4 steps of 0.71 pixels
    assert image.provenance["tilt"] == "15.00 degrees, resampled"
    np.testing.assert_allclose(image.affine[:3, :3], np.diag([-0.5, -0.75, 2.0]), atol=1e-12)
    grid = np.stack(np.indices(image.array.shape), -1) @ image.affine[:3, :3].T
    x, y, z = np.moveaxis(grid + image.affine[:3, 3], -1, 0)
    inside = np.ones(image.array.shape, bool)
    for k in range(5):
        shift = tilt * 2.0 * k / 0.75 + (0 if degrees > 0 else 3)
        places = np.arange(15)
        inside[:, :, k] = (places >= np.ceil(shift)) & (places <= np.floor(shift + 11))
    assert inside.sum() == 4 * (12 + 4 * 11)
    # Half a unit from rounding at the file and half at the end.
    np.testing.assert_allclose(image.array[inside], field(-x, -y, z)[inside], atol=1.01)
    outside = image.array[:, 0 if degrees > 0 else -1, 4]
    np.testing.assert_array_equal(outside, image.array.min())


def test_echoes_become_channels(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    for index in range(3):
        for echo, time in enumerate((9.2, 4.6)):
            path = folder / f"{index}{echo}.dcm"
            save(path, RAMP[index] + np.int16(echo), position=place(index), EchoTime=str(time))
    image = read(folder)
    assert (image.channels, image.interval) == (("TE 4.6 ms", "TE 9.2 ms"), None)
    np.testing.assert_array_equal(image.array[..., 0], RAMP[:3].transpose(2, 1, 0) + 1)
    np.testing.assert_array_equal(image.array[..., 1], RAMP[:3].transpose(2, 1, 0))
    (folder / "10.dcm").unlink()
    refuse(folder, "2 images at each place, got another number at 1 of 3 places")


def test_diffusion_weightings_become_channels(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    weights = [(0, None), (1000, [1, 0, 0]), (1000, [0, 0.6, 0.8])]
    for index in range(2):
        for number, (b, direction) in enumerate(weights):
            known = {} if direction is None else {"DiffusionGradientOrientation": direction}
            path = folder / f"{index}{number}.dcm"
            save(path, RAMP[number], position=place(index), DiffusionBValue=float(b), **known)
    image = read(folder)
    assert image.channels == ("b 0", "b 1000 (0, 0.6, 0.8)", "b 1000 (1, 0, 0)")
    np.testing.assert_array_equal(image.array[:, :, 1], RAMP[[0, 2, 1]].transpose(2, 1, 0))


@pytest.mark.parametrize("known", ["clock", "index", "trigger", "midnight"])
def test_times_become_the_last_axis(tmp_path, known):
    folder = tmp_path / "a"
    folder.mkdir()
    clock = ["235959.0", "000001.5", "000004.0"] if known == "midnight" else None
    for time in range(3):
        elements = {
            "clock": {"AcquisitionTime": f"1200{10 + 2.5 * time:04.1f}"},
            "index": {"TemporalPositionIdentifier": time + 1, "TemporalResolution": "2500"},
            "trigger": {"TriggerTime": str(2500 * time)},
            "midnight": {
                "AcquisitionDate": "20200229" if time == 0 else "20200301",
                "AcquisitionTime": clock and clock[time],
            },
        }[known]
        for index in range(2):
            save(folder / f"{index}{time}.dcm", RAMP[time], position=place(index), **elements)
    image = read(folder)
    assert image.interval == pytest.approx(2.5)
    names = ("0", "1", "2") if known == "index" else ("0 s", "2.5 s", "5 s")
    assert image.channels == names
    np.testing.assert_array_equal(image.array[:, :, 1], RAMP[:3].transpose(2, 1, 0))


def test_uneven_times_are_named_and_have_no_interval(tmp_path):
    (tmp_path / "a").mkdir()
    for time, start in enumerate((0, 1000, 5000)):
        path = tmp_path / "a" / f"{time}.dcm"
        save(path, RAMP[time], position=place(0), FrameReferenceTime=str(start))
    image = read(tmp_path / "a")
    assert (image.channels, image.interval) == (("0 s", "1 s", "5 s"), None)


def enhanced(path, frames, **elements):
    """An enhanced image, of frames of ``(pixels, position, groups)``."""
    groups = [
        item(PlanePositionSequence=[item(ImagePositionPatient=position)], **others)
        for _, position, others in frames
    ]
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[0.75, 0.5], SliceThickness=2)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
    )
    return save(
        path,
        np.stack([pixels for pixels, _, _ in frames]),
        SOPClassUID=ENHANCED_MR,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=groups,
        **elements,
    )


def test_an_enhanced_image_is_the_series_of_its_frames(tmp_path):
    order = (2, 0, 3, 1)
    scale = [item(RescaleSlope=str(i + 1), RescaleIntercept="0") for i in range(4)]
    groups = [{"PixelValueTransformationSequence": [scale[i]]} for i in order]
    frames = [(RAMP[i], place(i), group) for i, group in zip(order, groups, strict=True)]
    image = read(enhanced(tmp_path / "a.dcm", frames))
    expected = RAMP * np.arange(1, 5)[:, None, None]
    np.testing.assert_array_equal(image.array, expected.transpose(2, 1, 0))
    np.testing.assert_allclose(image.affine, read(series(tmp_path / "b")).affine)


def test_an_enhanced_image_of_several_times_and_echoes(tmp_path):
    frames = [
        (
            RAMP[index] + np.int16(10 * time + echo),
            place(index),
            {
                "FrameContentSequence": [item(TemporalPositionIndex=time + 1)],
                "TemporalPositionSequence": [item(TemporalPositionTimeOffset=1.5 * time)],
                "MREchoSequence": [item(EffectiveEchoTime=5.0 * (echo + 1))],
            },
        )
        for time in (1, 0)
        for index in range(3)
        for echo in range(2)
    ]
    image = read(enhanced(tmp_path / "a.dcm", frames))
    assert image.channels == ("TE 5 ms 0 s", "TE 5 ms 1.5 s", "TE 10 ms 0 s", "TE 10 ms 1.5 s")
    assert image.interval is None
    expected = RAMP[:3].transpose(2, 1, 0)[..., None] + np.array([0, 10, 1, 11])
    np.testing.assert_array_equal(image.array, expected)


def test_nuclear_medicine_by_its_detector(tmp_path):
    """Reconstructed slices of one file, downwards by a negative spacing (PS3.3 C.8.4.15)."""
    place_of = item(ImagePositionPatient=place(0), ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    elements = {
        "SOPClassUID": NM,
        "Modality": "NM",
        "PixelSpacing": [0.75, 0.5],
        "SpacingBetweenSlices": "-4",
        "DetectorInformationSequence": [place_of],
    }
    kind = ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
    image = read(save(tmp_path / "a.dcm", RAMP, ImageType=kind, **elements))
    np.testing.assert_array_equal(image.array, RAMP[::-1].transpose(2, 1, 0))
    np.testing.assert_allclose(image.affine[2], [0, 0, 4.0, -7 - 12])
    flat = ["ORIGINAL", "PRIMARY", "DYNAMIC", "EMISSION"]
    del elements["DetectorInformationSequence"]
    image = read(save(tmp_path / "b.dcm", RAMP, ImageType=flat, FrameTime="500", **elements))
    assert (image.array.shape, image.ndim, image.interval) == ((5, 3, 4), 2, 0.5)
    np.testing.assert_allclose(image.affine, np.diag([0.5, 0.75, 1.0, 1.0]))


def test_frames_of_single_bits_need_not_start_at_bytes(tmp_path):
    bits = np.random.default_rng(1).integers(0, 2, (7, 3, 5)).astype(np.uint8)
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    stored = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "PixelData": packed}
    image = read(save(tmp_path / "a.dcm", bits, **stored))
    np.testing.assert_array_equal(image.array, bits.transpose(2, 1, 0))


def test_what_lies_above_the_stored_bits_is_no_value(tmp_path):
    """As overlays of old files do; the highest stored bit is the sign."""
    pixels = np.array([[5, -3], [2047, -2048]], np.int16)
    packed = (pixels & 0x0FFF | 0x5000).astype("<u2").tobytes()
    stored = {"BitsStored": 12, "HighBit": 11, "PixelData": packed}
    image = read(save(tmp_path / "a.dcm", pixels, **stored))
    np.testing.assert_array_equal(image.array, pixels.T)


def test_a_table_and_floats(tmp_path):
    pixels = np.array([[0, 9, 10], [11, 12, 4000]], np.uint16)
    table = item(
        LUTDescriptor=[3, 10, 16],
        ModalityLUTType="US",
        LUTData=np.array([100, 200, 65535], "<u2").tobytes(),
    )
    image = read(save(tmp_path / "a.dcm", pixels, ModalityLUTSequence=[table]))
    expected = [[100, 100, 100], [200, 65535, 65535]]
    np.testing.assert_array_equal(image.array, np.transpose(expected))
    floats = np.array([[0.5, -1.5]], "<f4")
    dataset = pydicom.dcmread(save(tmp_path / "b.dcm", pixels[:1, :2]))
    del dataset.PixelData, dataset.PixelRepresentation
    dataset.BitsAllocated = dataset.BitsStored = 32
    dataset.FloatPixelData = floats.tobytes()
    for values, good in ((floats, True), (floats + np.float32(np.nan), False)):
        dataset.FloatPixelData = values.tobytes()
        dataset.save_as(tmp_path / "b.dcm")
        if good:
            np.testing.assert_array_equal(read(tmp_path / "b.dcm").array, floats.T)
        else:
            with pytest.raises(InputError, match=r"b.dcm: expected finite values, got NaN"):
                dicom.read(tmp_path / "b.dcm")


def test_a_segmented_palette_of_every_segment(tmp_path):
    """PS3.3 C.7.9.2: two entries, four on a line to 500, and that line's segment once more."""
    words = np.array([0, 2, 0, 100, 1, 4, 500, 2, 1, 8, 0], "<u2").tobytes()
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 6)
    elements = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [10, 1, 16]
        elements[f"Segmented{colour}PaletteColorLookupTableData"] = words
    image = read(save(tmp_path / "a.dcm", pixels, **elements))
    # The first value mapped is 1; those outside become the first and the last entry.
    expected = [0, 0, 100, 200, 300, 400, 500, 500, 500, 500, 500, 500]
    np.testing.assert_array_equal(image.array[..., 1], np.reshape(expected, (2, 6)).T)


def test_colour_slices_keep_their_place(tmp_path):
    (tmp_path / "a").mkdir()
    colours = np.random.default_rng(2).integers(0, 255, (2, 4, 5, 3)).astype(np.uint8)
    elements = {
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB",
        "Rows": 4,
        "Columns": 5,
        "PlanarConfiguration": 1,
    }
    for index in range(2):
        planes = np.moveaxis(colours[index], -1, 0).tobytes()
        path = tmp_path / "a" / f"{index}.dcm"
        save(path, colours[index, ..., 0], position=place(index), PixelData=planes, **elements)
    image = to_ras(read(tmp_path / "a"))[0]
    expected = colours.transpose(2, 1, 0, 3)[::-1, ::-1]
    np.testing.assert_array_equal(image.array, expected)
    assert image.channels == ("red", "green", "blue")
