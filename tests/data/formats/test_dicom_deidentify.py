import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import edit, item, save
from pydicom.data import get_testdata_file

from medjax.core.errors import InputError
from medjax.data.formats import dicom
from medjax.data.formats.dicom.deidentify import KEPT

KEY = b"a secret of the group's"
PIXELS = np.arange(12, dtype=np.int16).reshape(3, 4)
WORDS = (b"Doe", b"DOE", b"1970", b"2020", b"050Y", b"101112", b"1.2.77", b"1.2.5")
PERSON = {
    "PatientName": "Doe^Jane",
    "PatientID": "Doe-1",
    "PatientBirthDate": "19700101",
    "PatientAge": "050Y",
    "StudyDate": "20200102",
    "AcquisitionTime": "101112",
    "InstitutionName": "Doe Hospital",
    "SeriesDescription": "Doe, left knee",
    "StationName": "Doe scanner",
    "ImageComments": "seen by Dr Doe",
    "ReferencedImageSequence": [item(ReferencedSOPInstanceUID="1.2.77", PatientName="Doe^Jane")],
    "PerFrameFunctionalGroupsSequence": [
        item(
            FrameContentSequence=[
                item(FrameAcquisitionDateTime="20200102101112", FrameComments="Doe", StackID="1")
            ]
        )
    ],
}


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source" / "Doe Jane"
    folder.mkdir(parents=True)
    for index in range(3):
        path = save(folder / f"Doe{index}", PIXELS + np.int16(index), position=[0, 0, index])
        edit(path, **PERSON)
        dataset = pydicom.dcmread(path)
        block = dataset.private_block(0x0029, "DOE PRIVATE", create=True)
        block.add_new(1, "LO", "Doe^Jane")
        dataset.preamble = b"Doe^Jane" * 16
        dataset.save_as(path)
    return tmp_path / "source"


def test_nothing_of_a_person_is_left(tmp_path, source):
    # a key of the test's own: new identifiers are digits, and random ones hold any four
    assert dicom.deidentify(source, tmp_path / "target", key=KEY) == dicom.Deidentified(3, 0)
    files = sorted((tmp_path / "target").rglob("*.dcm"))
    assert [p.name for p in files] == ["00001.dcm", "00002.dcm", "00003.dcm"]
    for path in files:
        content = path.read_bytes()
        for word in WORDS:
            assert word not in content
            assert word.decode() not in str(path.relative_to(tmp_path))
        dataset = pydicom.dcmread(path)
        allowed = KEPT | {"PatientIdentityRemoved", "DeidentificationMethod"}
        empty = {e.keyword for e in dataset if not e.value and e.keyword not in KEPT}
        hidden = {"PatientName", "PatientID"}
        assert {e.keyword for e in dataset} <= allowed | empty | hidden
        assert dataset.PatientIdentityRemoved == "YES"
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    before, after = dicom.read(source / "Doe Jane"), dicom.read(files[0].parent)
    np.testing.assert_array_equal(after.array, before.array)
    np.testing.assert_array_equal(after.affine, before.affine)
    assert not {"PatientName", "StudyDate", "AcquisitionTime", "InstitutionName"} & KEPT


def test_identifiers_stay_together_by_the_key(source):
    one, two = (pydicom.dcmread(p) for p in sorted(source.rglob("Doe[01]")))
    a, b, c = (
        dicom.deidentified(one, KEY),
        dicom.deidentified(two, KEY),
        dicom.deidentified(one, KEY[::-1]),
    )
    assert a.SeriesInstanceUID == b.SeriesInstanceUID != c.SeriesInstanceUID
    assert a.PatientID == b.PatientID != c.PatientID
    assert a.SOPInstanceUID != b.SOPInstanceUID
    assert len({a.SOPInstanceUID, a.SeriesInstanceUID, a.StudyInstanceUID}) == 3
    assert a.SeriesInstanceUID.is_valid
    assert (a.SOPClassUID, one.PatientName) == (one.SOPClassUID, "Doe^Jane")
    frame = a.PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0]
    assert [e.keyword for e in frame] == ["StackID"]
    with pytest.raises(InputError, match="key: expected at least 16 bytes, got 5"):
        dicom.deidentified(one, b"short")


def test_what_follows_the_last_pixel_is_cut(tmp_path):
    path = save(tmp_path / "a.dcm", PIXELS, PixelData=PIXELS.tobytes() + b"Doe^Jane")
    found = dicom.deidentified(pydicom.dcmread(path), KEY)
    assert found.PixelData == PIXELS.tobytes()


def test_burned_in_annotations_are_refused(tmp_path, source):
    path = next(source.rglob("Doe1"))
    edit(path, BurnedInAnnotation="YES")
    with pytest.raises(InputError, match=r"Doe1: expected pixels without a person's data"):
        dicom.deidentify(source, tmp_path / "target")
    assert not (tmp_path / "target").exists()
    assert dicom.deidentify(source, tmp_path / "target", burned_in=True).written == 3


def test_whole_or_not_at_all(tmp_path, source):
    path = next(source.rglob("Doe2"))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"Doe2: expected 24 bytes of pixels"):
        dicom.deidentify(source, tmp_path / "target")
    assert [p.name for p in tmp_path.iterdir()] == ["source"]
    with pytest.raises(InputError, match="a new or empty folder"):
        dicom.deidentify(source, source)
    with pytest.raises(InputError, match="a folder, got nothing"):
        dicom.deidentify(source / "none", tmp_path / "target")


def test_real_files_stay_readable(tmp_path):
    """Of several transfer syntaxes, with all pixels and places as before."""
    names = ("CT_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm")
    more = ("rtdose.dcm", "SC_rgb_rle_2frame.dcm", "liver_1frame.dcm", "examples_palette.dcm")
    for name in (*names, *more, "MR_small_implicit.dcm"):
        path, folder = Path(get_testdata_file(name)), tmp_path / Path(name).stem
        folder.mkdir()
        shutil.copy(path, folder)
        assert dicom.deidentify(folder, tmp_path / f"{name} new", key=KEY) == (1, 0)
        (written,) = (tmp_path / f"{name} new").rglob("*.dcm")
        before, after = dicom.read(path), dicom.read(written)
        np.testing.assert_array_equal(after.array, before.array)
        np.testing.assert_array_equal(after.affine, before.affine)
        assert (after.channels, after.provenance) == (before.channels, before.provenance)


def test_reports_are_left_out(tmp_path):
    (tmp_path / "a").mkdir()
    shutil.copy(get_testdata_file("reportsi.dcm"), tmp_path / "a")
    shutil.copy(get_testdata_file("CT_small.dcm"), tmp_path / "a")
    assert dicom.deidentify(tmp_path / "a", tmp_path / "b") == (1, 1)
