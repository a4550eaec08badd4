"""A tiny tree for every card, in the layout that its owners publish.

``make(name, folder)`` writes it. Files that no test reads hold one byte.
"""

import csv
import json

import h5py
import nibabel
import numpy as np

AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])
SHAPE = (4, 3, 2)


def make(name, folder):
    folder.mkdir(parents=True, exist_ok=True)
    _TREES[name](folder)
    return folder


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def volume(seed, *, labels=None, channels=None):
    rng = np.random.default_rng(seed)
    shape = SHAPE if channels is None else (*SHAPE, channels)
    if labels is None:
        return rng.integers(-1000, 1000, shape).astype(np.int16)
    return rng.choice(np.asarray(labels, np.int16), shape)


def nifti(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, AFFINE), path)


def table(path, header, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def dicom(folder, array, affine=AFFINE):
    """A CT series of int16, a file a slice."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    series = generate_uid()
    for z in range(array.shape[2]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        elements = {
            "SOPClassUID": meta.MediaStorageSOPClassUID,
            "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
            "StudyInstanceUID": series,
            "SeriesInstanceUID": series,
            "Modality": "CT",
            "Rows": array.shape[1],
            "Columns": array.shape[0],
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 1,
            "PixelSpacing": [1, 1],
            "SliceThickness": 2,
            "ImageOrientationPatient": [*to_lps[:3, 0], *to_lps[:3, 1]],
            "ImagePositionPatient": list((to_lps @ [0, 0, z, 1])[:3]),
            "PixelData": np.ascontiguousarray(array[..., z].T).tobytes(),
        }
        one = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
        for keyword, value in elements.items():
            setattr(one, keyword, value)
        one.save_as(folder / f"i{z:04d},0000b.dcm")


def columns(text):
    return tuple(text.split(","))


def picture(path, array):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def _fastmri(coils):
    def make(folder):
        for split, names in (("train", "12"), ("val", "3"), ("test_v2", "4")):
            for name in names:
                path = folder / f"{coils}_{split}" / f"file100000{name}.h5"
                path.parent.mkdir(exist_ok=True)
                rng = np.random.default_rng(int(name))
                shape = (2, 5, 4) if coils == "singlecoil" else (2, 3, 5, 4)
                kspace = rng.normal(size=(*shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
                with h5py.File(path, "w") as file:
                    file["kspace"] = kspace
                    if split == "test_v2":
                        file["mask"] = np.asarray([1, 1, 0, 1], bool)
                    file.attrs["patient_id"] = "someone" if name in "12" else f"person {name}"
                    file.attrs["acquisition"] = "CORPD_FBK"

    return make


def _ixi(folder):
    for name in ("IXI002-Guys-0828", "IXI012-HH-1211"):
        for contrast in ("T1", "T2"):
            nifti(folder / f"IXI-{contrast}" / f"{name}-{contrast}.nii.gz", volume(1))
    touch(folder / "IXI-DTI" / "IXI002-Guys-0828-DTI-00.nii.gz")


def _brats2021(folder):
    for part, name in (("TrainingData", "00000"), ("ValidationData", "00001")):
        place = folder / f"RSNA_ASNR_MICCAI_BraTS2021_{part}" / f"BraTS2021_{name}"
        for i, channel in enumerate(("t1", "t1ce", "t2", "flair")):
            nifti(place / f"BraTS2021_{name}_{channel}.nii.gz", volume(i))
        if part == "TrainingData":
            nifti(place / f"BraTS2021_{name}_seg.nii.gz", volume(9, labels=(0, 1, 2, 4)))


def _brats2023(folder):
    for part, name in (("Training", "00000-000"), ("Training", "00000-001")):
        place = folder / f"ASNR-MICCAI-BraTS2023-GLI-Challenge-{part}Data" / f"BraTS-GLI-{name}"
        for channel in ("t1n", "t1c", "t2w", "t2f", "seg"):
            touch(place / f"BraTS-GLI-{name}-{channel}.nii.gz")


def _oasis(folder):
    names = [f"OASIS_{n:04d}_0000.nii.gz" for n in (1, 395, 396)]
    for i, name in enumerate(names):
        nifti(folder / "imagesTr" / name, volume(i))
        nifti(folder / "labelsTr" / name, volume(i, labels=(0, 7, 35)))
    nifti(folder / "imagesTs" / "OASIS_0415_0000.nii.gz", volume(5))
    training = [{"image": f"./imagesTr/{n}", "label": f"./labelsTr/{n}"} for n in names]
    pair = {"fixed": f"./imagesTr/{names[1]}", "moving": f"./imagesTr/{names[2]}"}
    spec = {
        "training": training,
        "test": [{"image": "./imagesTs/OASIS_0415_0000.nii.gz"}],
        "registration_val": [pair],
    }
    (folder / "OASIS_dataset.json").write_text(json.dumps(spec))


def _synthseg(folder):
    for n in (1, 2):
        labels = volume(n, labels=(0, 2, 41, 501)).astype(np.float32)
        nifti(folder / f"training_seg_{n:02d}.nii.gz", labels)


def _decathlon(channels):
    def make(folder):
        for n in (1, 2):
            nifti(folder / "imagesTr" / f"case_{n:03d}.nii.gz", volume(n, channels=channels))
            nifti(folder / "labelsTr" / f"case_{n:03d}.nii.gz", volume(n, labels=(0, 1)))
        nifti(folder / "imagesTs" / "case_003.nii.gz", volume(3, channels=channels))
        touch(folder / "imagesTr" / "._case_001.nii.gz")
        training = [
            {"image": f"./imagesTr/case_{n:03d}.nii.gz", "label": f"./labelsTr/case_{n:03d}.nii.gz"}
            for n in (1, 2)
        ]
        spec = {"training": training, "test": ["./imagesTs/case_003.nii.gz"]}
        (folder / "dataset.json").write_text(json.dumps(spec))

    return make


def _lits(folder):
    for n in (0, 28):
        place = folder / f"Training Batch {1 + n // 28}"
        touch(place / f"volume-{n}.nii")
        touch(place / f"segmentation-{n}.nii")
    touch(folder / "LITS-Challenge-Test-Data" / "test-volume-0.nii")


def _kits(inner, unlabelled):
    def make(folder):
        for n in (0, 1):
            touch(folder / inner / f"case_{n:05d}" / "imaging.nii.gz")
            touch(folder / inner / f"case_{n:05d}" / "segmentation.nii.gz")
        if unlabelled:
            touch(folder / inner / "case_00210" / "imaging.nii.gz")
        touch(folder / inner / "kits.json")

    return make


def _chaos(kind, sequence, parts):
    def make(folder):
        for part, person in (("Train_Sets", "1"), ("Test_Sets", "3")):
            place = folder / part / kind / person / sequence
            for series in parts:
                touch(place / series / "IMG-0004-00001.dcm")
            if part == "Train_Sets":
                touch(place / "Ground" / "IMG-0004-00001.png")

    return make


def _btcv(folder):
    for n in (1, 2):
        touch(folder / "RawData" / "Training" / "img" / f"img{n:04d}.nii.gz")
        touch(folder / "RawData" / "Training" / "label" / f"label{n:04d}.nii.gz")
    touch(folder / "RawData" / "Testing" / "img" / "img0061.nii.gz")


def _acdc(folder):
    for side, person, frames in (("training", "001", (1, 12)), ("testing", "101", (1, 14))):
        place = folder / "database" / side / f"patient{person}"
        for frame in frames:
            name = f"patient{person}_frame{frame:02d}"
            nifti(place / f"{name}.nii.gz", volume(frame))
            nifti(place / f"{name}_gt.nii.gz", volume(frame, labels=range(4)))
        touch(place / f"patient{person}_4d.nii.gz")
        ed, es = frames
        info = f"ED: {ed}\nES: {es}\nGroup: DCM\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n"
        (place / "Info.cfg").write_text(info)


def _luna(folder):
    for n, name in ((0, "1.2.3"), (9, "1.2.4")):
        place = folder / f"subset{n}"
        place.mkdir(exist_ok=True)
        volume(n).T.tofile(place / f"{name}.raw")
        (place / f"{name}.mhd").write_text(
            "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
            "CompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = -10 -20 -30\n"
            "ElementSpacing = 0.5 0.5 2\nDimSize = 4 3 2\nElementType = MET_SHORT\n"
            f"ElementDataFile = {name}.raw\n"
        )
    header = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
    table(folder / "annotations.csv", header, ("1.2.3", -9.5, -19, -28, 5.5))


LIDC = """<?xml version="1.0" encoding="UTF-8"?>
<LidcReadMessage uid="1" xmlns="http://www.nih.gov">
<ResponseHeader><SeriesInstanceUid>1.2.9</SeriesInstanceUid></ResponseHeader>
<readingSession>
 <unblindedReadNodule><noduleID>small</noduleID>
  <roi><imageZposition>-20</imageZposition><inclusion>TRUE</inclusion>
   <edgeMap><xCoord>1</xCoord><yCoord>1</yCoord></edgeMap></roi></unblindedReadNodule>
</readingSession>
<readingSession>
 <unblindedReadNodule><noduleID>1</noduleID>
  <characteristics><malignancy>4</malignancy></characteristics>
  <roi><imageZposition>-20.5</imageZposition><inclusion>TRUE</inclusion>
   <edgeMap><xCoord>10</xCoord><yCoord>30</yCoord></edgeMap>
   <edgeMap><xCoord>14</xCoord><yCoord>25</yCoord></edgeMap></roi>
  <roi><imageZposition>-18</imageZposition><inclusion>TRUE</inclusion>
   <edgeMap><xCoord>12</xCoord><yCoord>31</yCoord></edgeMap></roi>
  <roi><imageZposition>-16</imageZposition><inclusion>FALSE</inclusion>
   <edgeMap><xCoord>99</xCoord><yCoord>99</yCoord></edgeMap></roi></unblindedReadNodule>
</readingSession>
</LidcReadMessage>
"""


def _lidc(folder):
    place = folder / "LIDC-IDRI" / "LIDC-IDRI-0001" / "01-01-2000-30178" / "3000566.000000-03192"
    touch(place / "1-001.dcm")
    (place / "069.xml").write_text(LIDC)
    other = folder / "LIDC-IDRI" / "LIDC-IDRI-0001" / "01-01-2000-35511" / "3000923.000000-62357"
    touch(other / "1-1.dcm")
    (other / "068.xml").write_text('<IdriReadMessage xmlns="http://www.nih.gov"/>')


def _deeplesion(folder):
    header = columns(
        "File_name,Patient_index,Study_index,Series_ID,Key_slice_index,Measurement_coordinates,"
        "Bounding_boxes,Lesion_diameters_Pixel_,Normalized_lesion_location,Coarse_lesion_type,"
        "Possibly_noisy,Slice_range,Spacing_mm_px_,Image_size,DICOM_windows,Patient_gender,"
        "Patient_age,Train_Val_Test"
    )

    def row(name, person, box, kind, split):
        cells = (name, person, 1, 1, 9, "0, 0", box, "4, 3", "0, 0, 0", kind, 0, "8, 10")
        return (*cells, "0.75, 0.75, 5", "4, 3", "-175, 275", "F", 62, split)

    table(
        folder / "DL_info.csv",
        header,
        row("000001_01_01_109.png", 1, "1.5, 0.5, 3, 2", 3, 1),
        row("000001_01_01_109.png", 1, "0, 0, 1, 1", -1, 1),
        row("000002_01_01_014.png", 2, "0, 1, 2, 3", 5, 3),
    )
    for n, name in enumerate(("000001_01_01/109.png", "000002_01_01/014.png")):
        rows = np.arange(12, dtype=np.uint16).reshape(3, 4)
        picture(folder / "Images_png" / name, rows + np.uint16(32768 + 100 * n))


def _chexpert(folder):
    from medjax.data.benchmarks.chest import CHEXPERT

    header = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT)
    rows = {
        "train.csv": ("train/patient00001/study1/view1_frontal.jpg", "Female", "68"),
        "valid.csv": ("valid/patient64541/study1/view1_frontal.jpg", "Unknown", "0"),
    }
    for name, (path, *rest) in rows.items():
        found = ["1.0", "", "-1.0", "0.0", *[""] * 10]
        table(folder / name, header, (f"CheXpert-v1.0/{path}", *rest, "Frontal", "AP", *found))
        picture(folder / path, np.arange(12, dtype=np.uint8).reshape(3, 4))


def _mimic(folder):
    from medjax.data.benchmarks.chest import CHEXPERT

    name = "mimic-cxr-2.0.0"
    table(
        folder / f"{name}-split.csv",
        ("dicom_id", "study_id", "subject_id", "split"),
        ("02aa804e", "50414267", "10000032", "train"),
        ("174413ec", "50414267", "10000032", "train"),
        ("2a2277a9", "53189527", "10000980", "validate"),
        ("2a2277b0", "53189528", "10000980", "validate"),
    )
    table(
        folder / f"{name}-chexpert.csv",
        ("subject_id", "study_id", *CHEXPERT),
        ("10000032", "50414267", "1.0", *[""] * 13),
        ("10000980", "53189527", "", "0.0", "-1.0", *[""] * 11),
    )
    table(folder / f"{name}-metadata.csv", ("dicom_id", "ViewPosition"), ("02aa804e", "PA"))
    place = folder / "files" / "p10"
    touch(place / "p10000032" / "s50414267" / "02aa804e.jpg")
    touch(place / "p10000032" / "s50414267" / "174413ec.jpg")
    touch(place / "p10000980" / "s53189527" / "2a2277a9.jpg")
    touch(place / "p10000980" / "s53189528" / "2a2277b0.jpg")
    touch(place / "p10000032" / "s50414267.txt")


def _nih(folder):
    header = columns(
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
        "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
    )
    rest = ("058Y", "M", "PA", 2682, 2749, 0.143, 0.143)
    table(
        folder / "Data_Entry_2017.csv",
        header,
        ("00000001_000.png", "Cardiomegaly|Infiltration", 0, 1, *rest),
        ("00000001_001.png", "No Finding", 1, 1, *rest),
        ("00000002_000.png", "Hernia", 0, 2, *rest),
    )
    (folder / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n")
    (folder / "test_list.txt").write_text("00000002_000.png")
    header = ("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]", "", "", "")
    row = ("00000001_000.png", "Infiltrate", 10.5, 20, 30, 40, "", "", "")
    table(folder / "BBox_List_2017.csv", header, row)
    for part, name in (("001", "00000001_000"), ("001", "00000001_001"), ("002", "00000002_000")):
        touch(folder / f"images_{part}" / "images" / f"{name}.png")


def _isic2018_segmentation(folder):
    for word, name in (("Training", "ISIC_0000000"), ("Test", "ISIC_0012169")):
        place = folder / f"ISIC2018_Task1-2_{word}_Input"
        picture(place / f"{name}.jpg", np.full((3, 4, 3), (200, 100, 50), np.uint8))
        touch(place / "ATTRIBUTION.txt")
        mask = np.zeros((3, 4), np.uint8)
        mask[1, 2] = 255
        picture(folder / f"ISIC2018_Task1_{word}_GroundTruth" / f"{name}_segmentation.png", mask)


def _isic2018_diagnosis(folder):
    header = ("image", "MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
    for word, names in (
        ("Training", ("ISIC_0024306", "ISIC_0024307")),
        ("Test", ("ISIC_0034524",)),
    ):
        rows = [(name, 0.0, 1.0, 0, 0, 0, 0, 0) for name in names]
        inner = f"ISIC2018_Task3_{word}_GroundTruth"
        table(folder / inner / f"{inner}.csv", header, *rows)
        for name in names:
            touch(folder / f"ISIC2018_Task3_{word}_Input" / f"{name}.jpg")
    table(
        folder / "ISIC2018_Task3_Training_LesionGroupings.csv",
        ("image", "lesion_id", "diagnosis_confirm_type"),
        ("ISIC_0024306", "HAM_0000550", "follow_up_and_histopathology"),
        ("ISIC_0024307", "HAM_0000550", "histopathology"),
    )


def _isic2020(folder):
    header = columns(
        "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
        "benign_malignant,target"
    )
    table(
        folder / "ISIC_2020_Training_GroundTruth.csv",
        header,
        ("ISIC_2637011", "IP_7279968", "male", "45.0", "head/neck", "unknown", "benign", 0),
        ("ISIC_0015719", "IP_7279968", "female", "", "", "melanoma", "malignant", 1),
    )
    touch(folder / "train" / "ISIC_2637011.jpg")
    touch(folder / "train" / "ISIC_0015719.jpg")


ASAP = """<?xml version="1.0"?><ASAP_Annotations><Annotations>
<Annotation Name="Annotation 0" Type="Polygon" PartOfGroup="_0" Color="#F4FA58"><Coordinates>
<Coordinate Order="0" X="3.5" Y="7.25" /><Coordinate Order="1" X="9" Y="7" />
</Coordinates></Annotation>
<Annotation Name="Annotation 1" Type="Spline" PartOfGroup="_1" Color="#F4FA58"><Coordinates>
<Coordinate Order="0" X="1" Y="2" /></Coordinates></Annotation>
</Annotations><AnnotationGroups /></ASAP_Annotations>
"""


def _camelyon(folder):
    for name in ("normal/normal_001", "tumor/tumor_001"):
        touch(folder / "training" / f"{name}.tif")
    for name in ("001", "002"):
        touch(folder / "testing" / "images" / f"test_{name}.tif")
    for side, name in (("training", "tumor_001"), ("testing", "test_001")):
        path = folder / side / "lesion_annotations" / f"{name}.xml"
        path.parent.mkdir()
        path.write_text(ASAP)
    text = "test_001,Tumor,IDC,Macro\ntest_002,Normal,None,None\n"
    (folder / "testing" / "reference.csv").write_text(text)


def _medmnist(folder):
    rng = np.random.default_rng(3)
    arrays = {}
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, 5, 4, 3), np.uint8)
        arrays[f"{split}_labels"] = rng.integers(0, 9, (count, 1), np.uint8)
    np.savez_compressed(folder / "pathmnist.npz", **arrays)


_TREES = {
    "fastmri_knee_singlecoil": _fastmri("singlecoil"),
    "fastmri_knee_multicoil": _fastmri("multicoil"),
    "fastmri_brain_multicoil": _fastmri("multicoil"),
    "ixi": _ixi,
    "brats2021": _brats2021,
    "brats2023": _brats2023,
    "oasis_registration": _oasis,
    "synthseg_labels": _synthseg,
    "msd_brain_tumour": _decathlon(4),
    "msd_heart": _decathlon(None),
    "msd_liver": _decathlon(None),
    "msd_hippocampus": _decathlon(None),
    "msd_prostate": _decathlon(2),
    "msd_lung": _decathlon(None),
    "msd_pancreas": _decathlon(None),
    "msd_hepatic_vessel": _decathlon(None),
    "msd_spleen": _decathlon(None),
    "msd_colon": _decathlon(None),
    "lits": _lits,
    "kits19": _kits("data", True),
    "kits23": _kits("dataset", False),
    "chaos_ct": _chaos("CT", "", ("DICOM_anon",)),
    "chaos_mr_t1": _chaos("MR", "T1DUAL", ("DICOM_anon/InPhase", "DICOM_anon/OutPhase")),
    "chaos_mr_t2": _chaos("MR", "T2SPIR", ("DICOM_anon",)),
    "btcv": _btcv,
    "acdc": _acdc,
    "luna16": _luna,
    "lidc_idri": _lidc,
    "deeplesion": _deeplesion,
    "chexpert": _chexpert,
    "mimic_cxr": _mimic,
    "chestxray14": _nih,
    "isic2018_segmentation": _isic2018_segmentation,
    "isic2018_diagnosis": _isic2018_diagnosis,
    "isic2020": _isic2020,
    "camelyon16": _camelyon,
    "medmnist": _medmnist,
}
