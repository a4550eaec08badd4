import json
from pathlib import Path

import pytest

from medjax.core.errors import InputError
from medjax.data.prepare.discover import fault, find_cases


def cases(source, **options):
    layout, found = find_cases(source, **options)
    return layout, {case.id: case for case in found}


def test_a_flat_folder_is_a_subject_a_file(scan, tmp_path):
    scan("b.nii.gz"), scan("a.nii")
    (tmp_path / "notes.txt").write_text("x")
    layout, found = cases(tmp_path)
    assert layout == "folder"
    assert list(found) == ["a", "b"]
    assert [(c.subject, c.label) for c in found.values()] == [("a", None), ("b", None)]


def test_folders_below_are_subjects_and_equal_names_get_their_path(scan, tmp_path):
    for name in ("p1/x/t1.nii", "p1/y/t1.nii", "p2/x/t1.nii"):
        scan(name)
    _, found = cases(tmp_path)
    assert {i: c.subject for i, c in found.items()} == {
        "p1_x_t1": "p1", "p1_y_t1": "p1", "p2_x_t1": "p2",
    }  # fmt: skip


def test_folders_of_splits_do_not_pass_for_subjects(scan, tmp_path):
    scan("train/a.nii"), scan("test/a.nii")
    with pytest.raises(InputError, match=r"expected subjects' folders.*got the folder of a split"):
        find_cases(tmp_path)


def test_a_folder_of_dicom_slices_is_one_case(tmp_path):
    pydicom_data = pytest.importorskip("pydicom.data")
    slice_ = Path(pydicom_data.get_testdata_file("CT_small.dcm")).read_bytes()
    for name in ("p1/s1/I0", "p1/s1/I1", "p2/s1/0.dcm", "p2/s2/0.dcm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(slice_)
    _, found = cases(tmp_path)
    assert {c.subject for c in found.values()} == {"p1", "p2"}
    assert {c.images[""].relative_to(tmp_path).as_posix() for c in found.values()} == {
        "p1/s1", "p2/s1", "p2/s2",
    }  # fmt: skip


def test_label_maps_alone(scan, tmp_path, labels):
    scan("a.nii.gz", labels)
    _, found = cases(tmp_path, label_maps=True)
    assert not found["a"].images
    assert found["a"].label.name == "a.nii.gz"


def test_pairs_of_folders(scan, tmp_path, labels):
    scan("images/a.nii.gz"), scan("images/b.nii.gz"), scan("labels/a.nii", labels)
    layout, found = cases(tmp_path)
    assert layout == "pairs"
    assert found["a"].label.name == "a.nii"
    assert found["b"].label is None
    scan("labels/c.nii", labels)
    with pytest.raises(InputError, match=r"c\.nii: expected an image of the same name"):
        find_cases(tmp_path)


@pytest.fixture
def bids(scan, tmp_path, labels):
    scan("bids/sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz")
    scan("bids/sub-01/ses-a/anat/sub-01_ses-a_acq-x_FLAIR.nii.gz")
    scan("bids/sub-01/ses-b/anat/sub-01_ses-b_run-1_T1w.nii.gz")
    scan("bids/sub-01/ses-b/anat/sub-01_ses-b_run-2_T1w.nii.gz")
    scan("bids/sub-01/ses-b/anat/sub-01_ses-b_acq-x_FLAIR.nii.gz")
    scan("bids/derivatives/seg/sub-01/ses-a/anat/sub-01_ses-a_dseg.nii.gz", labels)
    scan("bids/derivatives/seg/sub-01/ses-a/anat/sub-01_ses-a_desc-brain_mask.nii.gz", labels)
    table = "participant_id\tage\tsex\nsub-01\t31.5\tn/a\n"
    (tmp_path / "bids" / "participants.tsv").write_text(table)
    return tmp_path / "bids"


def test_bids(bids):
    layout, found = cases(bids)
    assert layout == "bids"
    assert list(found) == ["sub-01_ses-a", "sub-01_ses-b_run-1", "sub-01_ses-b_run-2"]
    first, second, third = found.values()
    assert {c.subject for c in found.values()} == {"sub-01"}
    assert (first.session, second.session) == ("ses-a", "ses-b")
    assert list(first.images) == ["T1w", "acq-x_FLAIR"]
    # What has no run goes with both of them.
    assert second.images["acq-x_FLAIR"] == third.images["acq-x_FLAIR"]
    assert second.images["T1w"] != third.images["T1w"]
    assert first.label.name == "sub-01_ses-a_dseg.nii.gz"
    assert second.label is None
    assert first.attributes == {"age": 31.5}


def test_bids_errors(bids, scan, labels):
    stray = scan("bids/derivatives/seg/sub-02/anat/sub-02_dseg.nii.gz", labels)
    with pytest.raises(InputError, match=r"sub-02_dseg.*expected an image of the same visit"):
        find_cases(bids)
    stray.unlink()
    scan("bids/sub-01/ses-a/anat/sub-01_ses-a_T1w.nii")
    with pytest.raises(InputError, match="expected one file for this visit and T1w"):
        find_cases(bids)


@pytest.fixture
def nnunet(scan, tmp_path, labels):
    for name in ("imagesTr/liver_1_0000", "imagesTr/liver_1_0001", "imagesTs/liver_2_0000"):
        scan(f"nn/{name}.nii.gz")
    scan("nn/labelsTr/liver_1.nii.gz", labels)
    (tmp_path / "nn/dataset.json").write_text('{"channel_names": {"0": "CT", "1": "PET"}}')
    return tmp_path / "nn"


def test_nnunet(nnunet):
    layout, found = cases(nnunet)
    assert layout == "nnunet"
    train, test = found["liver_1"], found["liver_2"]
    assert (train.split, test.split) == ("train", "test")
    assert [p.name for p in train.images.values()] == [
        "liver_1_0000.nii.gz", "liver_1_0001.nii.gz",
    ]  # fmt: skip
    assert list(train.images) == ["CT", "PET"]
    assert train.label.name == "liver_1.nii.gz"
    error = fault(test, ("CT", "PET"))
    assert str(error).startswith("case liver_2: expected the channels CT, PET")
    assert str(error).endswith("got no PET")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "labelsTr/liver_1.nii.gz").unlink(), "expected a label in labelsTr"),
        (
            lambda f: (f / "imagesTr/liver_1_0000.nii.gz").rename(f / "imagesTr/liver.nii.gz"),
            "expected a name ending in _0000",
        ),
        (
            lambda f: (f / "labelsTr/liver_1.nii.gz").rename(f / "labelsTr/x.nii.gz"),
            r"x\.nii\.gz: expected an image in imagesTr",
        ),
        (lambda f: (f / "dataset.json").write_text("[]"), "expected JSON with channel_names"),
        (
            lambda f: (f / "dataset.json").write_text('{"channel_names": {"0": "CT"}}'),
            "expected a channel of 0000, got 0001",
        ),
    ],
)
def test_nnunet_errors(nnunet, change, message):
    change(nnunet)
    with pytest.raises(InputError, match=message):
        find_cases(nnunet)


def test_csv(scan, tmp_path):
    scan("scans/a.nii"), scan("scans/b.nii")
    table = tmp_path / "set.csv"
    table.write_text(
        "\ufeffsubject,session,image:T1,image:T2,label,split,age,site\n"
        "7,1,scans/a.nii,scans/b.nii,,train,31,Bonn\n"
        "7,2,scans/a.nii,scans/b.nii,scans/a.nii,test,32.5,\n"
    )
    layout, found = cases(table)
    assert layout == "manifest"
    assert list(found) == ["7_1", "7_2"]
    first, second = found.values()
    assert (first.subject, second.subject) == ("7", "7")
    assert first.images == {"T1": tmp_path / "scans/a.nii", "T2": tmp_path / "scans/b.nii"}
    assert (first.split, first.label) == ("train", None)
    assert first.attributes == {"age": 31, "site": "Bonn"}
    assert second.attributes == {"age": 32.5}


def test_json(tmp_path):
    rows = [
        {"id": "x", "subject": "s", "images": {"T1": "a.nii"}, "label": "b.nii", "age": 3},
        {"id": "y", "subject": "s", "image": "c.nii"},
    ]
    (tmp_path / "set.json").write_text(json.dumps(rows))
    _, found = cases(tmp_path / "set.json")
    assert found["x"].images == {"T1": tmp_path / "a.nii"}
    assert found["x"].attributes == {"age": 3}
    assert found["y"].images == {"": tmp_path / "c.nii"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "image\na.nii\n", "line 2: expected a subject.*got none"),
        ("a.csv", "subject,image\ns,a.nii\ns,b.nii\n", "expected cases of different ids, got 's'"),
        ("a.csv", "subject,image\ns,a.nii,3\n", "line 2: expected 2 columns"),
        ("a.csv", "subject,image\ns\n", "line 2: expected 2 columns"),
        ("a.csv", "subject,subject\ns,t\n", "expected columns of different names"),
        ("a.csv", "subject,image\n", "expected at least one case, got none"),
        ("a.csv", "subject,age\ns,3\n", "line 2: expected an image or a label, got neither"),
        ("a.csv", "subject,image,label\ns,a.nii,\nt,,b.nii\n", "line 3: expected an image, as"),
        ("a.csv", "id,subject,image\n../x,s,a.nii\n", "expected ids of letters, digits"),
        ("a.csv", b"subject,image\n\xff,a\n", "expected a CSV file in UTF-8"),
        ("a.json", "{}", "expected a list of objects"),
        ("a.json", "nonsense", "expected JSON in UTF-8"),
        ("a.json", '[{"subject": "s", "images": []}]', "entry 0: expected images by channel"),
        ("a.json", '[{"subject": "s", "image": [1]}]', "entry 0: expected text or a number"),
        ("a.txt", "", "expected a folder of images, or a manifest"),
    ],
)
def test_manifest_errors(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        find_cases(path)


def test_a_source_without_images_and_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"expected images .* got none"):
        find_cases(tmp_path)
    (tmp_path / "a.csv").write_text("subject,image\ns,gone.nii\n")
    case = cases(tmp_path / "a.csv")[1]["s"]
    assert "gone.nii: expected a file of case s, got nothing" in str(fault(case, ("",)))
