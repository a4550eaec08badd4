"""What is in the samples of each kind of set, as it lies and as TFDS writes it."""

import dataclasses
import pickle
import subprocess
import sys
import textwrap

import nibabel
import numpy as np
import pytest
from data.benchmarks import trees

from medjax.core.errors import InputError
from medjax.data import Splits, Subset
from medjax.data.benchmarks import CARDS, CaseSource, builder, source
from medjax.data.tfds_builder import TfdsSource


@pytest.fixture
def tree(tmp_path):
    return lambda name: trees.make(name, tmp_path / name)


def prepared(name, folder, splits):
    """The set written and read again, after checking that nothing was changed by it."""
    written = builder(name, folder.parent / "prepared", folder)
    written.download_and_prepare()
    found = {split: TfdsSource(written.data_dir, split) for split in splits}
    assert set(written.info.splits) == set(splits)
    for split, got in found.items():
        expected = source(name, folder, split)
        assert got.groups == expected.groups
        assert got.attributes == expected.attributes
        for i in range(len(expected)):
            assert got[i].keys() == expected[i].keys()
            for key, value in expected[i].items():
                np.testing.assert_array_equal(got[i][key], value)
                assert got[i][key].dtype == value.dtype
    return found


def test_volumes_with_four_channels(tree):
    found = prepared("msd_brain_tumour", tree("msd_brain_tumour"), ("train", "test"))
    sample = found["train"][1]
    np.testing.assert_array_equal(sample["image"], trees.volume(2, channels=4))
    np.testing.assert_array_equal(sample["label"], trees.volume(2, labels=(0, 1)))
    np.testing.assert_array_equal(sample["affine"], trees.AFFINE)
    assert (sample["image"].dtype, sample["label"].dtype) == (np.float32, np.int16)
    assert sample["index"] == 1
    assert (found["test"][0]["label"] == -1).all()
    assert found["train"].groups == ("case_001", "case_002")
    assert found["train"].attributes[1] == {"id": "case_002"}


def test_a_file_a_channel(tree):
    sample = source("brats2021", tree("brats2021"), "train")[0]
    expected = np.stack([trees.volume(i) for i in range(4)], -1)
    np.testing.assert_array_equal(sample["image"], expected)
    assert set(np.unique(sample["label"])) <= {0, 1, 2, 4}


def test_the_validation_cases_alone(tree):
    folder = tree("brats2021") / "RSNA_ASNR_MICCAI_BraTS2021_ValidationData"
    (case,) = CARDS["brats2021"].cases(folder)
    assert (case.split, case.label) == ("validation", None)


def test_label_maps_without_images(tree):
    found = source("synthseg_labels", tree("synthseg_labels"))
    assert found[0].keys() == {"label", "affine", "index"}
    expected = trees.volume(1, labels=(0, 2, 41, 501))
    np.testing.assert_array_equal(found[0]["label"], expected)


def test_kspace_slices_are_grouped_by_patient(tree):
    folder = tree("fastmri_knee_singlecoil")
    found = prepared("fastmri_knee_singlecoil", folder, ("train", "validation", "test"))
    assert found["train"].groups == ("someone",) * 4
    assert found["train"].attributes[3]["id"] == "singlecoil_train/file1000002"
    sample = found["test"][1]
    assert sample["kspace"].shape == (5, 4)
    assert sample["kspace"].dtype == np.complex64
    np.testing.assert_array_equal(sample["mask"], [True, True, False, True])
    assert found["train"][0]["mask"].all()
    Splits(*found.values())
    with pytest.raises(InputError, match="every subject on one side"):
        Splits(found["train"], Subset(found["train"], [3]), found["test"])
    assert source("fastmri_brain_multicoil", tree("fastmri_brain_multicoil"))[0][
        "kspace"
    ].shape == (3, 5, 4)


def test_rows_of_arrays(tree):
    folder = tree("medmnist")
    found = prepared("medmnist", folder, ("train", "validation", "test"))
    with np.load(folder / "pathmnist.npz") as arrays:
        np.testing.assert_array_equal(found["validation"][1]["image"], arrays["val_images"][1])
        np.testing.assert_array_equal(found["validation"][1]["label"], arrays["val_labels"][1])
    assert set(found["train"].groups) == {"pathmnist_train"}
    assert len(source("medmnist", folder / "pathmnist.npz")) == 6


def test_arrays_that_could_run_code_are_refused(tree):
    folder = tree("medmnist")
    arrays = {"train_images": np.asarray([print], object), "train_labels": np.zeros((1, 1))}
    np.savez(folder / "pathmnist.npz", **arrays)
    card = CARDS["medmnist"]
    (case,) = [case for case in card.cases(folder) if case.split == "train"]
    with pytest.raises(InputError, match="an NPZ file without pickled objects"):
        CaseSource(card, [case])[0]
    (folder / "pathmnist.npz").write_bytes(b"PK\3\4 and nothing else")
    with pytest.raises(InputError, match=r"pathmnist.npz"):
        source("medmnist", folder)


def test_grey_pictures_with_boxes(tree):
    found = prepared("deeplesion", tree("deeplesion"), ("train", "test"))
    sample = found["train"][0]
    np.testing.assert_array_equal(sample["image"][..., 0], np.arange(12).reshape(3, 4))
    assert sample["image"].dtype == np.int16
    np.testing.assert_array_equal(sample["boxes"], [[1.5, 0.5, 3, 2, 3], [0, 0, 1, 1, -1]])
    assert found["test"][0]["image"][0, 0, 0] == 100
    assert found["test"].attributes[0]["age"] == 62


def test_pictures_with_classes(tree):
    found = prepared("chexpert", tree("chexpert"), ("train", "validation"))
    sample = found["train"][0]
    assert sample["image"].shape == (3, 4, 1)
    np.testing.assert_array_equal(sample["classes"][:4], [1, np.nan, -1, 0])
    assert np.isnan(sample["classes"][4:]).all()
    assert found["train"].attributes[0].keys() == {
        "id", "session", "sex", "age", "view", "projection"
    }  # fmt: skip


def test_colour_pictures_with_masks(tree):
    sample = source("isic2018_segmentation", tree("isic2018_segmentation"), "test")[0]
    assert sample["image"].shape == (3, 4, 3)
    assert np.abs(sample["image"].astype(int) - (200, 100, 50)).max() < 4
    expected = np.zeros((3, 4))
    expected[1, 2] = 255
    np.testing.assert_array_equal(sample["label"], expected)


def test_boxes_in_millimetres_lie_in_the_scan(tree):
    found = prepared("luna16", tree("luna16"), ("full",))["full"]
    np.testing.assert_array_equal(found[0]["image"][..., 0], trees.volume(0))
    (box,) = found[0]["boxes"]
    voxel = np.linalg.inv(found[0]["affine"]) @ [*box[:3], 1]
    # The table has the voxel (1, 2, 1) of spacing 0.5, 0.5, 2 from the offset -10, -20, -30.
    np.testing.assert_allclose(voxel[:3], [1, 2, 1], atol=1e-5)
    assert found[1]["boxes"].shape == (0, 4)


@pytest.mark.parametrize("order", [1, -1])
def test_pictures_of_slices_become_a_label_where_the_slices_lie(tmp_path, order):
    pydicom = pytest.importorskip("pydicom")
    place = tmp_path / "Train_Sets" / "CT" / "1"
    trees.dicom(place / "DICOM_anon", trees.volume(0))
    files = sorted((place / "DICOM_anon").iterdir())
    files.sort(key=lambda p: order * float(pydicom.dcmread(p).ImagePositionPatient[2]))
    expected = np.zeros(trees.SHAPE, np.int32)
    for i, path in enumerate(files):
        path.rename(path.with_name(f"renamed{i}.dcm"))
        plane = np.zeros(trees.SHAPE[:2], np.uint8)
        plane[i, 1] = 255
        trees.picture(place / "Ground" / f"liver_GT_{i:03d}.png", plane.T)
        expected[..., i if order == 1 else -1 - i] = plane
    sample = source("chaos_ct", tmp_path)[0]
    np.testing.assert_array_equal(sample["image"][..., 0], trees.volume(0))
    np.testing.assert_array_equal(sample["label"], expected)
    (place / "Ground" / "liver_GT_001.png").unlink()
    with pytest.raises(InputError, match="Ground: expected 2 pictures, one a slice, got 1"):
        source("chaos_ct", tmp_path)[0]


def test_a_series_beside_its_readings(tree):
    pytest.importorskip("pydicom")
    folder = tree("lidc_idri")
    (case,) = CARDS["lidc_idri"].cases(folder)
    (case.images["CT"] / "1-001.dcm").unlink()
    trees.dicom(case.images["CT"], trees.volume(4))
    found = prepared("lidc_idri", folder, ("full",))["full"]
    np.testing.assert_array_equal(found[0]["image"][..., 0], trees.volume(4))
    np.testing.assert_array_equal(found[0]["boxes"], [[10, 25, -20.5, 14, 31, -18, 1, 4]])
    (case.images["CT"] / "i0001,0000b.dcm").write_bytes(b"x")
    with pytest.raises(InputError, match=rf"{case.images['CT']}/i0001,0000b.dcm: expected"):
        source("lidc_idri", folder)[0]


def test_slides_with_their_contours(tree):
    tifffile = pytest.importorskip("tifffile")
    folder = tree("camelyon16")
    colour = np.full((48, 64, 3), (210, 120, 160), np.uint8)
    for path in folder.glob("**/*.tif"):
        tifffile.imwrite(path, colour, tile=(16, 16), photometric="rgb")
    found = prepared("camelyon16", folder, ("train", "test"))
    normal, tumour = found["train"][0], found["train"][1]
    np.testing.assert_array_equal(normal["image"], colour)
    np.testing.assert_array_equal(normal["downsample"], [1, 1])
    np.testing.assert_array_equal(tumour["contours"], [[0, 3.5, 7.25], [0, 9, 7], [1, 1, 2]])
    assert (normal["contours"].shape, normal["classes"], tumour["classes"]) == ((0, 3), 0, 1)


def test_what_does_not_fit_together_is_named(tree):
    folder = tree("msd_heart")
    card = CARDS["msd_heart"]
    first = card.cases(folder)[0]
    trees.nifti(first.label, np.zeros((4, 3, 3), np.int16))
    with pytest.raises(InputError, match=r"case_001: expected images and label of one shape"):
        CaseSource(card, [first])[0]
    nibabel.save(nibabel.Nifti1Image(np.full(trees.SHAPE, 0.5), trees.AFFINE), first.label)
    for value in (0.5, 1e9):
        array = np.full(trees.SHAPE, value, np.float32)
        nibabel.save(nibabel.Nifti1Image(array, trees.AFFINE), first.label)
        with pytest.raises(InputError, match=r"case_001.nii.gz: expected labels that are whole"):
            CaseSource(card, [first])[0]
    two = dataclasses.replace(
        first, images={"a": folder / "imagesTs" / "case_003.nii.gz"} | first.images
    )
    with pytest.raises(InputError, match="case_001: expected 1 channels: MRI, got 2"):
        CaseSource(card, [dataclasses.replace(two, label=None)])[0]


def test_sources_are_sources(tree):
    folder = tree("acdc")
    found = pickle.loads(pickle.dumps(source("acdc", folder, "train")))
    assert found.groups == ("patient001",) * 2
    assert found.attributes[1] == {
        "id": "patient001_frame12",
        "session": "ES",
        "group": "DCM",
        "height": 184.0,
        "weight": 95.0,
    }
    with pytest.raises(IndexError):
        found[2]
    assert len(source("acdc", folder)) == 4
    with pytest.raises(InputError, match="split: expected one of train, test, got 'validation'"):
        source("acdc", folder, "validation")
    with pytest.raises(InputError, match="data set: expected one of"):
        builder("acd", folder, folder)


def test_workers_need_neither_tensorflow_nor_jax(tree):
    code = f"""
        import sys
        from medjax.data.benchmarks import source
        assert source("msd_heart", {str(tree("msd_heart"))!r})[0]["image"].shape == (4, 3, 2, 1)
        assert not {{"tensorflow", "jax"}} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=120)
