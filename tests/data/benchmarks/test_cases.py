"""Every card's cases, from a tiny tree in its layout."""

import gzip
import re
import shutil

import pytest
from data.benchmarks import trees

from medjax.core.errors import InputError
from medjax.data.benchmarks import CARDS, card

# How many cases each split has, and of how many subjects.
FOUND = {
    "fastmri_knee_singlecoil": ({"train": 2, "validation": 1, "test": 1}, 3),
    "fastmri_knee_multicoil": ({"train": 2, "validation": 1, "test": 1}, 3),
    "fastmri_brain_multicoil": ({"train": 2, "validation": 1, "test": 1}, 3),
    "ixi": ({None: 4}, 2),
    "brats2021": ({"train": 1, "validation": 1}, 2),
    "brats2023": ({"train": 2}, 1),
    "oasis_registration": ({"train": 1, "validation": 2, "test": 1}, 4),
    "synthseg_labels": ({None: 2}, 2),
    **{name: ({"train": 2, "test": 1}, 3) for name in CARDS if name.startswith("msd_")},
    "lits": ({"train": 2, "test": 1}, 3),
    "kits19": ({"train": 2, "test": 1}, 3),
    "kits23": ({"train": 2}, 2),
    "chaos_ct": ({"train": 1, "test": 1}, 2),
    "chaos_mr_t1": ({"train": 1, "test": 1}, 2),
    "chaos_mr_t2": ({"train": 1, "test": 1}, 2),
    "btcv": ({"train": 2, "test": 1}, 3),
    "acdc": ({"train": 2, "test": 2}, 2),
    "luna16": ({None: 2}, 2),
    "lidc_idri": ({None: 1}, 1),
    "deeplesion": ({"train": 1, "test": 1}, 2),
    "chexpert": ({"train": 1, "validation": 1}, 2),
    "mimic_cxr": ({"train": 2, "validation": 2}, 2),
    "chestxray14": ({"train": 2, "test": 1}, 2),
    "isic2018_segmentation": ({"train": 1, "test": 1}, 2),
    "isic2018_diagnosis": ({"train": 2, "test": 1}, 2),
    "isic2020": ({None: 2}, 1),
    "camelyon16": ({"train": 2, "test": 2}, 4),
    "medmnist": ({"train": 1, "validation": 1, "test": 1}, 3),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            made[name] = trees.make(name, tmp_path_factory.mktemp(name))
        return made[name]

    return get


@pytest.mark.parametrize("name", CARDS)
def test_every_case_of_every_layout_is_found_with_its_files(tree, name):
    cases = CARDS[name].cases(tree(name))
    splits, subjects = FOUND[name]
    counts = {split: sum(case.split == split for case in cases) for split in splits}
    assert counts == splits
    assert len(cases) == sum(splits.values())
    assert len({case.subject for case in cases}) == subjects
    assert [case.id for case in cases] == sorted({case.id for case in cases})
    for case in cases:
        assert all(path.exists() for path in case.images.values())
        assert case.label is None or case.label.exists()
        assert all(len(box) == len(CARDS[name].box) for box in case.boxes)
        assert set(CARDS[name].classes) >= {k for k in case.attributes if k[0].isupper()}


@pytest.mark.parametrize("name", CARDS)
def test_every_card_says_all_of_it(name):
    one = CARDS[name]
    for fact in ("title", "about", "modality", "task", "subjects", "size", "licence", "terms"):
        assert getattr(one, fact).strip(), fact
    assert re.match(r"https?://", one.page)
    assert len(one.layout.splitlines()) > 1
    assert one.splits
    assert one.citation
    assert one.channels or one.labels or name.startswith(("fastmri", "medmnist"))


def by_id(name, folder):
    return {case.id: case for case in CARDS[name].cases(folder)}


def test_patients_keep_together_where_the_owners_tell_them(tree):
    knee = by_id("fastmri_knee_singlecoil", tree("fastmri_knee_singlecoil"))
    assert knee["singlecoil_train/file1000001"].subject == "someone"
    assert knee["singlecoil_train/file1000002"].subject == "someone"
    brats = by_id("brats2023", tree("brats2023"))["BraTS-GLI-00000-001"]
    assert (brats.subject, brats.session) == ("BraTS-GLI-00000", "001")
    assert list(brats.images) == ["t1n", "t1c", "t2w", "t2f"]
    skin = by_id("isic2018_diagnosis", tree("isic2018_diagnosis"))
    assert skin["ISIC_0024307"].subject == "HAM_0000550"
    assert skin["ISIC_0034524"].subject == "ISIC_0034524"
    assert by_id("ixi", tree("ixi"))["IXI012-HH-1211-T2"].attributes == {
        "contrast": "T2",
        "site": "HH",
    }


def test_what_is_kept_by_the_owners_has_no_label(tree):
    for name in ("brats2021", "msd_liver", "lits", "kits19", "chaos_ct", "btcv"):
        held = [case for case in CARDS[name].cases(tree(name)) if case.split != "train"]
        assert held
        assert all(case.label is None for case in held)


def test_heart_phases_are_sessions_with_what_is_said_of_the_patient(tree):
    case = by_id("acdc", tree("acdc"))["patient101_frame14"]
    assert (case.subject, case.session, case.split) == ("patient101", "ES", "test")
    assert case.attributes == {"group": "DCM", "height": 184.0, "weight": 95.0}
    assert case.label.name == "patient101_frame14_gt.nii.gz"


def test_registration_pairs(tree):
    cases = by_id("oasis_registration", tree("oasis_registration"))
    assert cases["OASIS_0395"].attributes == {"moving": "OASIS_0396"}
    assert cases["OASIS_0395"].split == cases["OASIS_0396"].split == "validation"
    assert cases["OASIS_0001"].split == "train"


def test_nodules_in_millimetres_and_by_reader(tree):
    luna = by_id("luna16", tree("luna16"))
    assert luna["1.2.3"].boxes == ((9.5, 19.0, -28.0, 5.5),)
    assert luna["1.2.4"].boxes == ()
    assert luna["1.2.4"].attributes == {"fold": 9}
    (lidc,) = CARDS["lidc_idri"].cases(tree("lidc_idri"))
    assert lidc.boxes == ((10, 25, -20.5, 14, 31, -18, 1, 4),)
    assert (lidc.subject, lidc.session) == ("LIDC-IDRI-0001", "1.2.9")


def test_lesions_of_one_slice_are_one_case(tree):
    cases = by_id("deeplesion", tree("deeplesion"))
    case = cases["000001_01_01_109"]
    assert case.boxes == ((1.5, 0.5, 3, 2, 3), (0, 0, 1, 1, -1))
    assert case.attributes == {"sex": "F", "age": 62.0, "pixel_mm": 0.75, "slice_mm": 5.0}
    assert cases["000002_01_01_014"].split == "test"


def test_radiographs_findings_uncertain_and_unsaid(tree):
    cases = by_id("chexpert", tree("chexpert"))
    found = cases["train/patient00001/study1/view1_frontal"].attributes
    assert found["No Finding"] == 1
    assert found["Cardiomegaly"] == -1
    assert "Enlarged Cardiomediastinum" not in found
    assert (found["sex"], found["age"], found["projection"]) == ("Female", 68.0, "AP")
    assert "sex" not in cases["valid/patient64541/study1/view1_frontal"].attributes
    mimic = by_id("mimic_cxr", tree("mimic_cxr"))
    one = mimic["p10000032/s50414267/02aa804e"]
    assert one.attributes == {
        "view": "PA",
        "report": "files/p10/p10000032/s50414267.txt",
        "No Finding": 1,
    }
    assert mimic["p10000980/s53189528/2a2277b0"].attributes == {}
    assert mimic["p10000980/s53189527/2a2277a9"].attributes == {
        "Enlarged Cardiomediastinum": 0,
        "Cardiomegaly": -1,
    }
    nih = by_id("chestxray14", tree("chestxray14"))
    one = nih["00000001_000"]
    assert {k for k, v in one.attributes.items() if v == 1} == {"Cardiomegaly", "Infiltration"}
    assert one.attributes["age"] == 58
    assert one.boxes == ((10.5, 20, 40.5, 60, 3),)
    assert (nih["00000002_000"].split, nih["00000002_000"].subject) == ("test", "2")


def test_tables_may_be_gzipped(tree, tmp_path):
    folder = shutil.copytree(tree("mimic_cxr"), tmp_path / "m")
    for path in folder.glob("*.csv"):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert len(CARDS["mimic_cxr"].cases(folder)) == 4
    broken = folder / "mimic-cxr-2.0.0-split.csv.gz"
    broken.write_bytes(broken.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"split.csv.gz: expected a CSV file in UTF-8"):
        CARDS["mimic_cxr"].cases(folder)


def test_skin_and_slides(tree):
    case = by_id("isic2020", tree("isic2020"))["ISIC_0015719"]
    assert case.attributes == {"sex": "female", "diagnosis": "melanoma", "malignant": 1.0}
    slides = by_id("camelyon16", tree("camelyon16"))
    assert [slides[f"test_00{i}"].attributes["tumour"] for i in (1, 2)] == [1, 0]
    assert slides["test_002"].label is None
    assert slides["tumor_001"].label.name == "tumor_001.xml"


# What is taken away from a tree, and what the error then names.
MISSING = [
    ("msd_liver", "labelsTr/case_002.nii.gz", r"labelsTr/case_002.nii.gz: expected a file"),
    ("msd_heart", "dataset.json", r"dataset.json: expected a file .*got nothing there"),
    ("brats2021", "**/BraTS2021_00000_seg.nii.gz", r"BraTS2021_00000_seg.nii.gz"),
    ("brats2023", "**/BraTS-GLI-00000-001-t2f.nii.gz", r"00000-001-t2f.nii.gz"),
    ("oasis_registration", "labelsTr/OASIS_0396_0000.nii.gz", r"labelsTr/OASIS_0396"),
    ("lits", "**/segmentation-28.nii", r"segmentation-28.nii"),
    ("kits19", "data/case_00001/segmentation.nii.gz", r"case_00001/segmentation.nii.gz"),
    ("kits23", "dataset/case_00000/imaging.nii.gz", r"case_00000/imaging.nii.gz"),
    ("chaos_mr_t1", "Train_Sets/MR/1/T1DUAL/Ground", r"Ground: expected a folder"),
    ("btcv", "RawData/Training/label/label0002.nii.gz", r"label0002.nii.gz"),
    ("acdc", "**/patient001_frame12_gt.nii.gz", r"patient001_frame12_gt.nii.gz"),
    ("acdc", "database/testing", r"testing: expected a folder"),
    ("luna16", "annotations.csv", r"annotations.csv: expected a file"),
    ("luna16", "subset9/1.2.4.raw", r"1.2.4.raw"),
    ("lidc_idri", "**/1-001.dcm", r"expected DICOM files of the series beside its XML"),
    ("deeplesion", "Images_png/000002_01_01/014.png", r"014.png"),
    ("chexpert", "valid.csv", r"valid.csv"),
    ("chexpert", "train/patient00001/study1/view1_frontal.jpg", r"view1_frontal.jpg"),
    ("chestxray14", "test_list.txt", r"test_list.txt"),
    ("chestxray14", "images_002/images/00000002_000.png", r"the image 00000002_000.png"),
    ("mimic_cxr", "files/p10/p10000980/s53189527/2a2277a9.jpg", r"2a2277a9.jpg"),
    ("isic2018_segmentation", "**/ISIC_0012169_segmentation.png", r"ISIC_0012169_segmentation"),
    ("isic2018_diagnosis", "*LesionGroupings.csv", r"LesionGroupings.csv"),
    ("isic2020", "train/ISIC_0015719.jpg", r"ISIC_0015719.jpg"),
    ("camelyon16", "training/lesion_annotations/tumor_001.xml", r"tumor_001.xml"),
    ("camelyon16", "testing/reference.csv", r"reference.csv"),
    ("medmnist", "pathmnist.npz", r"expected one file such as pathmnist.npz"),
]


@pytest.mark.parametrize(("name", "pattern", "message"), MISSING)
def test_what_is_missing_is_named_with_the_card_that_shows_the_layout(
    tree, tmp_path, name, pattern, message
):
    folder = shutil.copytree(tree(name), tmp_path / "tree")
    for path in list(folder.glob(pattern)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(InputError, match=message) as error:
        CARDS[name].cases(folder)
    assert f"'medjax list datasets {name}' shows the layout" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", CARDS)
def test_another_folder_is_refused(tmp_path, name):
    (tmp_path / "notes.txt").write_text("nothing of it")
    with pytest.raises(InputError, match="shows the layout"):
        CARDS[name].cases(tmp_path)
    with pytest.raises(InputError, match="nothing at this path"):
        CARDS[name].cases(tmp_path / "none")


NODULES = "seriesuid,coordX,coordY,coordZ,diameter_mm"

# A file, what is written into it, and what the error then says.
DAMAGED = [
    ("msd_heart", "dataset.json", "[1]", "expected a JSON object"),
    ("msd_heart", "dataset.json", "{", "expected JSON"),
    ("msd_heart", "dataset.json", '{"training": {}}', "a list 'training'"),
    ("msd_heart", "dataset.json", '{"test": ["../../etc/passwd"]}', "relative to its folder"),
    ("chexpert", "train.csv", "Path,Sex\na,b\n", "none named Age"),
    ("deeplesion", "DL_info.csv", "File_name\n\0\n", "DL_info.csv"),
    (
        "luna16",
        "annotations.csv",
        "seriesuid,coordX,coordY,coordZ,diameter_mm\na,b,1,1,1\n",
        "text",
    ),
    ("luna16", "annotations.csv", f"{NODULES}\na,1\n", "5 columns"),
    ("acdc", "database/training/patient001/Info.cfg", "ED: x", "the frames 'ED: n'"),
    ("chestxray14", "BBox_List_2017.csv", "a\nb,Gout,1,2,3,4\n", "BBox_List_2017.csv"),
    ("camelyon16", "testing/reference.csv", "test_001,Perhaps\n", "Normal or Tumor"),
]


@pytest.mark.parametrize(("name", "path", "text", "message"), DAMAGED)
def test_damaged_tables_are_named(tree, tmp_path, name, path, text, message):
    folder = shutil.copytree(tree(name), tmp_path / "tree")
    (folder / path).write_text(text)
    with pytest.raises(InputError, match=re.escape(message)):
        CARDS[name].cases(folder)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_that_could_expand_is_refused(tree, tmp_path, encoding):
    folder = shutil.copytree(tree("lidc_idri"), tmp_path / "tree")
    (path,) = folder.glob("**/069.xml")
    bomb = '<!DOCTYPE a [<!ENTITY x "y">]>'
    text = trees.LIDC.replace("<Lidc", f"{bomb}<Lidc", 1).replace("UTF-8", encoding)
    path.write_bytes(text.encode(encoding))
    with pytest.raises(InputError, match="XML without a DOCTYPE"):
        CARDS["lidc_idri"].cases(folder)
    path.write_text("<a>")
    with pytest.raises(InputError, match=r"069.xml"):
        CARDS["lidc_idri"].cases(folder)


def test_an_unknown_name_has_its_neighbours():
    with pytest.raises(InputError, match=r"data set: expected one of .*kits19"):
        card("kits20")
