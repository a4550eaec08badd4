"""Skin: the ISIC challenges."""

from __future__ import annotations

from pathlib import Path

from medjax.core.errors import InputError
from medjax.data.case import Case

from .definition import Card
from .layouts import file, known, matching, number, subfolder, table
from .readers import Pictures

_SPLITS = {"train": "Training", "validation": "Validation", "test": "Test"}
_DIAGNOSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
_RGB = ("red", "green", "blue")


def _segmentation(folder: Path) -> list[Case]:
    cases = []
    for split, word in _present(folder, "ISIC2018_Task1-2_{}_Input"):
        masks = subfolder(folder / f"ISIC2018_Task1_{word}_GroundTruth")
        images = folder / f"ISIC2018_Task1-2_{word}_Input"
        for path, _ in matching(images, "ISIC_*.jpg", r"ISIC_\d{7}\.jpg"):
            mask = file(masks / f"{path.stem}_segmentation.png")
            cases.append(Case(path.stem, path.stem, {"photograph": path}, "", mask, split))
    return cases


def _diagnosis(folder: Path) -> list[Case]:
    lesions = {}
    cases = []
    for split, word in _present(folder, "ISIC2018_Task3_{}_Input"):
        if split == "train":
            path = _beside(folder, "ISIC2018_Task3_Training_LesionGroupings.csv")
            rows = table(path, ("image", "lesion_id"))
            lesions = {row["image"]: row["lesion_id"] for row in rows}
        path = _beside(folder, f"ISIC2018_Task3_{word}_GroundTruth.csv")
        for row in table(path, ("image", *_DIAGNOSES)):
            name = row["image"]
            if split == "train" and name not in lesions:
                raise InputError(folder, f"the lesion of {name} in LesionGroupings", "none")
            image = file(folder / f"ISIC2018_Task3_{word}_Input" / f"{name}.jpg")
            classes = {diagnosis: number(path, row[diagnosis]) for diagnosis in _DIAGNOSES}
            subject = lesions.get(name, name)
            cases.append(
                Case(name, subject, {"photograph": image}, split=split, attributes=classes)
            )
    return cases


def _isic2020(folder: Path) -> list[Case]:
    path = folder / "ISIC_2020_Training_GroundTruth.csv"
    cases = []
    for row in table(path, ("image_name", "patient_id", "sex", "age_approx", "target")):
        cases.append(
            Case(
                id=row["image_name"],
                subject=row["patient_id"],
                images={"photograph": file(folder / "train" / f"{row['image_name']}.jpg")},
                attributes=known(
                    sex=row["sex"],
                    age=number(path, row["age_approx"]),
                    site=row.get("anatom_site_general_challenge"),
                    diagnosis=row.get("diagnosis"),
                    malignant=number(path, row["target"]),
                ),
            )
        )
    return cases


def _present(folder: Path, name: str) -> list[tuple[str, str]]:
    found = [(s, word) for s, word in _SPLITS.items() if (folder / name.format(word)).is_dir()]
    if not found:
        raise InputError(folder, f"a folder {name.format('Training')}", "none")
    return found


def _beside(folder: Path, name: str) -> Path:
    """A table in a folder of its own, as the archive unpacks, or where the folders are."""
    inner = folder / name.removesuffix(".csv") / name
    truth = folder / "ISIC2018_Task3_Training_GroundTruth" / name
    return next((path for path in (inner, truth) if path.is_file()), folder / name)


CARDS = (
    Card(
        name="isic2018_segmentation",
        title="ISIC 2018, task 1",
        about="Dermoscopic photographs with the outline of the lesion.",
        modality="photograph",
        task="segmentation",
        subjects="2,594 + 100 + 1,000 images; people not published",
        size="about 14 GB",
        licence="CC0 (see the page)",
        terms="Cite as the page asks.",
        page="https://challenge.isic-archive.com/data/#2018",
        citation=(
            "Codella et al. 2019, arXiv:1902.03368; Tschandl et al. 2018, Scientific Data "
            "5:180161, doi:10.1038/sdata.2018.161"
        ),
        layout=(
            "FOLDER/\n  ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg, ...\n"
            "  ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png, ...\n"
            "  the same with Validation and Test in place of Training   (any of them)"
        ),
        splits="train, validation, test; whose lesion it is was not published.",
        find=_segmentation,
        reader=Pictures(),
        channels=_RGB,
        labels={0: "skin", 255: "lesion"},
    ),
    Card(
        name="isic2018_diagnosis",
        title="ISIC 2018, task 3 (HAM10000)",
        about="Dermoscopic photographs with one of seven diagnoses.",
        modality="photograph",
        task="classification",
        subjects="10,015 + 193 + 1,512 images; lesions, not people, in training",
        size="about 3 GB",
        licence="CC BY-NC 4.0",
        terms="No commercial use; cite as the page asks.",
        page="https://challenge.isic-archive.com/data/#2018",
        citation=(
            "Tschandl et al. 2018, Scientific Data 5:180161, doi:10.1038/sdata.2018.161; "
            "Codella et al. 2019, arXiv:1902.03368"
        ),
        layout=(
            "FOLDER/\n  ISIC2018_Task3_Training_Input/ISIC_0024306.jpg, ...\n"
            "  ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv\n"
            "  ISIC2018_Task3_Training_LesionGroupings.csv\n"
            "  the first two with Validation and Test in place of Training   (any of them)"
        ),
        splits="train, validation, test; in training the subject is the lesion.",
        find=_diagnosis,
        reader=Pictures(),
        channels=_RGB,
        classes=_DIAGNOSES,
    ),
    Card(
        name="isic2020",
        title="ISIC 2020 (SIIM-ISIC melanoma)",
        about="Dermoscopic photographs, benign or malignant, several of each patient.",
        modality="photograph",
        task="classification",
        subjects="2,056 (33,126 images)",
        size="about 25 GB",
        licence="CC BY-NC 4.0",
        terms="No commercial use; cite as the page asks.",
        page="https://challenge2020.isic-archive.com (doi:10.34970/2020-ds01)",
        citation="Rotemberg et al. 2021, Scientific Data 8:34, doi:10.1038/s41597-021-00815-z",
        layout=(
            "FOLDER/\n  ISIC_2020_Training_GroundTruth.csv   (image_name, patient_id, sex, ...)\n"
            "  train/ISIC_0015719.jpg, ..."
        ),
        splits="none with labels: split by subject.",
        find=_isic2020,
        reader=Pictures(),
        channels=_RGB,
        classes=("malignant",),
    ),
)
