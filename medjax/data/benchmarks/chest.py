"""Chest radiographs: CheXpert, MIMIC-CXR, ChestX-ray14."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from medjax.core.errors import InputError
from medjax.data.case import Case

from .definition import Card
from .layouts import Row, file, known, lines, number, table
from .readers import Pictures

CHEXPERT = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
"""The observations of CheXpert's labeller: 1 present, 0 absent, -1 uncertain."""

NIH = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
"""The findings of ChestX-ray14, in its authors' order."""


def _observations(path: Path, row: Row) -> dict[str, float | int | str]:
    return known(**{name: number(path, row[name]) for name in CHEXPERT})


def _chexpert(folder: Path) -> list[Case]:
    cases = []
    for split, name in (("train", "train.csv"), ("validation", "valid.csv")):
        path = folder / name
        for row in table(path, ("Path", "Sex", "Age", *CHEXPERT)):
            place = Path(row["Path"])  # CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg
            if len(place.parts) != 5 or ".." in place.parts:
                raise InputError(path, "paths SET/SPLIT/PATIENT/STUDY/VIEW.jpg", "another")
            cases.append(
                Case(
                    id="/".join((*place.parts[1:-1], place.stem)),
                    subject=place.parts[2],
                    images={"radiograph": file(folder.joinpath(*place.parts[1:]))},
                    session=place.parts[3],
                    split=split,
                    attributes={
                        **known(sex=row["Sex"], age=number(path, row["Age"])),
                        **known(view=row.get("Frontal/Lateral"), projection=row.get("AP/PA")),
                        **_observations(path, row),
                    },
                )
            )
    return cases


def _mimic(folder: Path) -> list[Case]:
    splits, labels = (_gzipped(folder, f"mimic-cxr-2.0.0-{n}.csv") for n in ("split", "chexpert"))
    views = _views(folder)
    observed = {
        row["study_id"]: _observations(labels, row)
        for row in table(labels, ("study_id", *CHEXPERT))
    }
    cases = []
    for row in table(splits, ("dicom_id", "study_id", "subject_id", "split")):
        person, study = f"p{row['subject_id']}", f"s{row['study_id']}"
        place = folder / "files" / person[:3] / person
        report = place / f"{study}.txt"
        cases.append(
            Case(
                id=f"{person}/{study}/{row['dicom_id']}",
                subject=person,
                images={"radiograph": file(place / study / f"{row['dicom_id']}.jpg")},
                session=study,
                split="validation" if row["split"] == "validate" else row["split"],
                attributes={
                    **known(view=views.get(row["dicom_id"])),
                    **known(report=str(report.relative_to(folder)) if report.is_file() else None),
                    **observed.get(row["study_id"], {}),
                },
            )
        )
    return cases


def _gzipped(folder: Path, name: str) -> Path:
    """A table as PhysioNet packs it, or unpacked."""
    return folder / name if (folder / name).is_file() else folder / f"{name}.gz"


def _views(folder: Path) -> Mapping[str, str]:
    path = _gzipped(folder, "mimic-cxr-2.0.0-metadata.csv")
    if not path.is_file():
        return {}
    rows = table(path, ("dicom_id", "ViewPosition"))
    return {row["dicom_id"]: row["ViewPosition"] for row in rows}


def _nih(folder: Path) -> list[Case]:
    entries = sorted(folder.glob("Data_Entry_2017*.csv"))
    if len(entries) != 1:
        raise InputError(folder, "one Data_Entry_2017.csv", len(entries) or "none")
    path = entries[0]
    pictures = {p.name: p for pattern in ("", "*/", "*/*/") for p in folder.glob(f"{pattern}*.png")}
    sides = {}
    for split, name in (("train", "train_val_list.txt"), ("test", "test_list.txt")):
        sides |= {row[0].strip(): split for row in lines(folder / name)}
    boxes = _nih_boxes(folder / "BBox_List_2017.csv")
    cases = []
    for row in table(path, ("Image Index", "Finding Labels", "Patient ID")):
        name = row["Image Index"]
        if name not in pictures:
            raise InputError(folder, f"the image {name} of {path.name}", "none")
        if name not in sides:
            raise InputError(folder, f"{name} in train_val_list.txt or test_list.txt", "neither")
        findings = set(row["Finding Labels"].split("|")) - {"No Finding"}
        if not findings <= set(NIH):
            raise InputError(path, f"findings among {', '.join(NIH)}", min(findings - set(NIH)))
        age = row.get("Patient Age", "").removesuffix("Y")
        sex = row.get("Patient Gender", row.get("Patient Sex"))
        cases.append(
            Case(
                id=Path(name).stem,
                subject=row["Patient ID"],
                images={"radiograph": pictures[name]},
                session=row.get("Follow-up #", ""),
                split=sides[name],
                attributes={
                    **known(age=number(path, age), sex=sex, view=row.get("View Position")),
                    **{finding: int(finding in findings) for finding in NIH},
                },
                boxes=tuple(boxes.get(name, ())),
            )
        )
    return cases


def _nih_boxes(path: Path) -> Mapping[str, list[tuple[float, ...]]]:
    """By image: corners in pixels and the finding. The header has fewer names than columns."""
    boxes = defaultdict(list)
    for index, row in enumerate(lines(path)):
        if not index:
            continue
        finding = {"Infiltrate": "Infiltration"}.get(row[1], row[1]) if len(row) > 5 else ""
        if finding not in NIH:
            raise InputError(path, "image, finding, x, y, width, height", f"row {index}")
        x, y, width, height = (number(path, cell) for cell in row[2:6])
        boxes[row[0]].append((x, y, x + width, y + height, float(NIH.index(finding))))
    return boxes


CARDS = (
    Card(
        name="chexpert",
        title="CheXpert",
        about="Radiographs with 14 observations that a labeller took from their reports.",
        modality="X-ray",
        task="classification",
        subjects="64,740 (223,648 images) published",
        size="439 GB; 11 GB as CheXpert-v1.0-small",
        licence="Stanford University Dataset Research Use Agreement",
        terms="Registration; research, not commercial use; no redistribution.",
        page="https://stanfordmlgroup.github.io/competitions/chexpert/",
        citation="Irvin et al. 2019, AAAI 33:590-597, doi:10.1609/aaai.v33i01.3301590",
        layout=(
            "CheXpert-v1.0/   (FOLDER; or CheXpert-v1.0-small)\n  train.csv, valid.csv\n"
            "  train/patient00001/study1/view1_frontal.jpg, ...\n  valid/patient64541/..."
        ),
        splits=(
            "train and validation by patient; validation was labelled by radiologists. Nothing "
            "is said (NaN) where the table has no number."
        ),
        find=_chexpert,
        reader=Pictures(),
        channels=("grey",),
        classes=CHEXPERT,
    ),
    Card(
        name="mimic_cxr",
        title="MIMIC-CXR-JPG",
        about="Radiographs of an emergency department with CheXpert's 14 labels and reports.",
        modality="X-ray",
        task="classification, images with text",
        subjects="65,379 (377,110 images)",
        size="about 560 GB",
        licence="PhysioNet Credentialed Health Data License 1.5.0",
        terms=(
            "A PhysioNet account with credentials, training in human research and a signed "
            "agreement; no redistribution, no sending to services of others."
        ),
        page="https://physionet.org/content/mimic-cxr-jpg/ (doi:10.13026/jsn5-t979)",
        citation="Johnson et al. 2019, arXiv:1901.07042; Goldberger et al. 2000, PhysioNet",
        layout=(
            "FOLDER/\n  mimic-cxr-2.0.0-split.csv.gz, mimic-cxr-2.0.0-chexpert.csv.gz\n"
            "  mimic-cxr-2.0.0-metadata.csv.gz                 (optional: the view)\n"
            "  files/p10/p10000032/s50414267/DICOM_ID.jpg, ...\n"
            "  files/p10/p10000032/s50414267.txt              (optional: reports of MIMIC-CXR)"
        ),
        splits=(
            "train, validation, test by patient; session is the study. A few studies are not "
            "in the owners' table of labels: all of their classes are NaN."
        ),
        find=_mimic,
        reader=Pictures(),
        channels=("grey",),
        classes=CHEXPERT,
    ),
    Card(
        name="chestxray14",
        title="NIH ChestX-ray14",
        about="Frontal radiographs with 14 findings by text mining; boxes for some hundreds.",
        modality="X-ray",
        task="classification, detection",
        subjects="30,805 (112,120 images)",
        size="about 45 GB",
        licence="none stated; the NIH Clinical Center asks for credit",
        terms="Free to use with a link to NIH's site, the citation and an acknowledgement.",
        page="https://nihcc.app.box.com/v/ChestXray-NIHCC",
        citation="Wang et al. 2017, CVPR 3462-3471, doi:10.1109/CVPR.2017.369",
        layout=(
            "FOLDER/\n  Data_Entry_2017.csv (or Data_Entry_2017_v2020.csv), BBox_List_2017.csv\n"
            "  train_val_list.txt, test_list.txt\n"
            "  images/00000001_000.png, ...   or images_001/images/*.png and so on"
        ),
        splits="train (and validation, not told apart) and test by patient.",
        find=_nih,
        reader=Pictures(),
        channels=("grey",),
        classes=NIH,
        box=("x0", "y0", "x1", "y1", "finding"),
    ),
)
