"""Damaged files are refused by name, before memory is taken for what they promise."""

import random
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import edit, save
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate

from medjax.core.errors import InputError
from medjax.data.formats import dicom

PIXELS = np.random.default_rng(0).integers(0, 1000, (6, 8)).astype(np.int16)


@pytest.fixture
def file(tmp_path):
    return save(tmp_path / "a.dcm", PIXELS, position=[0, 0, 0])


def refuse(path, match, function=dicom.read):
    with pytest.raises(InputError, match=match) as caught:
        function(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Doe" not in str(caught.value)


def test_missing_empty_foreign_and_truncated_files(tmp_path, file):
    whole = file.read_bytes()
    refuse(tmp_path / "none.dcm", "nothing at this path")
    for content, match in (
        (b"", "an empty file"),
        (b"Doe^Jane, a letter" * 20, "a DICOM file, got a file of another format"),
        (whole[:140], "DICOM file"),
        (whole[:200], "an image|DICOM file"),
        (whole[: len(whole) // 2], "an image|DICOM file|usable"),
        (whole[:-20], "96 bytes of pixels as its header says, got 76"),
    ):
        (tmp_path / "b.dcm").write_bytes(content)
        refuse(tmp_path / "b.dcm", match)
        refuse(tmp_path / "b.dcm", match, dicom.header)
    (tmp_path / "folder").mkdir()
    refuse(tmp_path / "folder", "DICOM files, got none")
    (tmp_path / "folder" / "a.txt").write_text("Doe^Jane, a letter")
    refuse(tmp_path / "folder", "DICOM files, got none")
    (tmp_path / "folder" / "a.dcm").write_bytes(whole)
    refuse(tmp_path / "folder" / "a.txt", "a DICOM file, got a file of another format")
    with pytest.raises(InputError, match=r"a.txt: expected a DICOM file"):
        dicom.read(tmp_path / "folder")


def test_without_a_preamble(tmp_path, file):
    content = file.read_bytes()[132:]
    (tmp_path / "b.dcm").write_bytes(content)
    np.testing.assert_array_equal(dicom.read(tmp_path / "b.dcm").array[..., 0], PIXELS.T)
    dataset = pydicom.dcmread(file)
    del dataset.file_meta
    options = {"implicit_vr": True, "little_endian": True, "enforce_file_format": False}
    dataset.save_as(tmp_path / "c.dcm", **options)
    np.testing.assert_array_equal(dicom.read(tmp_path / "c.dcm").array[..., 0], PIXELS.T)


@pytest.mark.parametrize(
    ("elements", "match"),
    [
        ({"Rows": 60000, "Columns": 60000}, "7200000000 bytes of pixels .* got 96"),
        ({"NumberOfFrames": 2**31 - 1}, "bytes of pixels .* got 96"),
        ({"Rows": 3}, "48 bytes of pixels, got 96"),
        ({"Rows": 0}, "frames of at least one pixel"),
        ({"Rows": None}, "a usable description of pixels"),
        ({"BitsStored": 17}, "a usable description of pixels"),
        ({"HighBit": 10}, "a usable description of pixels"),
        ({"SamplesPerPixel": 2}, "others, of 2 samples"),
        ({"PhotometricInterpretation": "CMYK"}, "one of MONOCHROME1, .*, got others"),
        ({"PixelData": None}, "an image, got a DICOM file without pixels"),
        ({"ImagePositionPatient": [0, 0]}, "usable positions"),
        ({"RescaleSlope": "1e38", "RescaleIntercept": "3e38"}, "finite values, got NaN or inf"),
    ],
)
def test_wild_headers(file, elements, match):
    refuse(edit(file, **elements), match)


def test_a_length_beyond_the_file_takes_no_memory(tmp_path, file):
    content = file.read_bytes()
    place = content.index(b"\x08\x00\x16\x00UI")  # in front of it an image type of 4 GB
    long = b"\x08\x00\x08\x00UN\0\0\xfe\xff\xff\xff"
    (tmp_path / "b.dcm").write_bytes(content[:place] + long + content[place:])
    tracemalloc.start()
    refuse(tmp_path / "b.dcm", "an image, got a DICOM file without pixels")
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_bombs_are_not_inflated(tmp_path):
    dataset = pydicom.dcmread(save(tmp_path / "a.dcm", PIXELS))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(dicom.read(tmp_path / "a.dcm").array, PIXELS.T)
    # The same with one element of 200 MB of zeros in front.
    meta = pydicom.filereader.read_file_meta_info(tmp_path / "a.dcm")
    start = 144 + meta.FileMetaInformationGroupLength
    inflated = zlib.decompress((tmp_path / "a.dcm").read_bytes()[start:], -zlib.MAX_WBITS)
    assert inflated.startswith(b"\x08\x00\x16\x00UI")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(b"\x08\x00\x01\x00UN\0\0" + (200 << 20).to_bytes(4, "little"))
    body += b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    (tmp_path / "b.dcm").write_bytes((tmp_path / "a.dcm").read_bytes()[:start] + body)
    assert (tmp_path / "b.dcm").stat().st_size < 1 << 18
    tracemalloc.start()
    refuse(tmp_path / "b.dcm", "a whole DICOM file, got a damaged one")
    assert tracemalloc.get_traced_memory()[1] < 3 << 26
    tracemalloc.stop()


def compressed(path, frame, syntax, shape, **elements):
    dataset = pydicom.dcmread(save(path, PIXELS, **elements))
    dataset.Rows, dataset.Columns = shape
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_compressed_frames_promise_what_the_header_does(tmp_path):
    pytest.importorskip("pylibjpeg")
    uid, path = pydicom.uid, tmp_path / "a.dcm"
    original = pydicom.dcmread(get_testdata_file("MR_small_jp2klossless.dcm"))
    frame = next(pydicom.encaps.generate_frames(original.PixelData, number_of_frames=1))
    assert dicom.read(compressed(path, frame, uid.JPEG2000Lossless, (64, 64))).array.max() == 2145
    refuse(compressed(path, frame, uid.JPEG2000Lossless, (64, 32)), "in a compressed frame")
    bomb = frame[:8] + (60000).to_bytes(4, "big") * 2 + frame[16:]
    refuse(compressed(path, bomb, uid.JPEG2000Lossless, (64, 64)), "in a compressed frame")
    refuse(compressed(path, bomb, uid.JPEG2000Lossless, (60000, 60000)), "bytes of pixels as its")
    refuse(compressed(path, frame[:60], uid.JPEG2000Lossless, (64, 64)), "can be decoded")
    refuse(compressed(path, b"\0\0\0\0jP  " * 4, uid.JPEG2000, (64, 64)), "can be decoded")
    refuse(
        compressed(path, b"\xff\xd8" + b"\xff\xe0\0\0" * 9, uid.JPEGBaseline8Bit, (64, 64)),
        "can be",
    )
    refuse(compressed(path, frame, uid.MPEG2MPML, (64, 64)), "a transfer syntax of still images")
    whole = compressed(path, frame, uid.JPEG2000Lossless, (64, 64)).read_bytes()
    path.write_bytes(whole[:-8])  # without the delimiter that ends the fragments
    refuse(path, "pixels that can be decoded")


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "rtdose.dcm", "SC_rgb_small_odd_jpeg.dcm"])
def test_mutated_files_are_read_or_refused(tmp_path, name):
    content = Path(get_testdata_file(name)).read_bytes()
    rng, refused = random.Random(0), 0
    for _ in range(60):
        mutant = bytearray(content)
        for _ in range(rng.choice((1, 3, 20))):
            mutant[rng.randrange(128, len(mutant))] = rng.randrange(256)
        (tmp_path / "a.dcm").write_bytes(mutant[: rng.choice((None, rng.randrange(len(mutant))))])
        try:
            known, image = dicom.header(tmp_path / "a.dcm"), dicom.read(tmp_path / "a.dcm")
        except InputError as error:
            refused += "a.dcm" in str(error)
        else:
            assert image.array.shape == known.shape
            assert np.isfinite(image.array).all()
    assert 20 < refused < 60
