"""Abdomens: LiTS, KiTS, CHAOS, BTCV."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from medjax.core.errors import InputError
from medjax.data.case import Case

from .definition import Card
from .layouts import file, matching, stem, subfolder, within
from .readers import SeriesWithPictures, Volumes


def _lits(folder: Path) -> list[Case]:
    cases = []
    for path, match in matching(folder, "**/*volume-*.nii*", r"(test-)?volume-(\d+)\.nii(\.gz)?"):
        test = bool(match[1])
        mask = path.with_name(path.name.replace("volume", "segmentation"))
        cases.append(
            Case(
                id=stem(path),
                subject=stem(path),
                images={"CT": path},
                label=None if test else file(mask),
                split="test" if test else "train",
            )
        )
    return cases


def _kits(inner: str, unlabelled: range, folder: Path) -> list[Case]:
    cases = []
    for place, match in matching(within(folder, inner, ""), "case_*", r"case_(\d{5})"):
        label = place / "segmentation.nii.gz"
        test = int(match[1]) in unlabelled and not label.exists()
        images = {"CT": file(place / "imaging.nii.gz")}
        label, split = (None, "test") if test else (file(label), "train")
        cases.append(Case(place.name, place.name, images, "", label, split))
    return cases


def _chaos(kind: str, sequence: str, channels: dict[str, str], folder: Path) -> list[Case]:
    cases = []
    sets = [p for p in (folder / "Train_Sets", folder / "Test_Sets") if p.is_dir()]
    if not sets:
        raise InputError(folder, "folders Train_Sets and Test_Sets", "neither")
    for part in sets:
        split = part.name.removesuffix("_Sets").lower()
        for place, _ in matching(subfolder(part / kind), "*", r"\d+"):
            images = {c: subfolder(place / sequence / p) for c, p in channels.items()}
            label = subfolder(place / sequence / "Ground") if split == "train" else None
            subject = f"{kind}_{int(place.name):02d}"
            cases.append(Case(subject, subject, images, "", label, split))
    return cases


def _btcv(folder: Path) -> list[Case]:
    folder = within(folder, "RawData", "")
    cases = []
    for split, inner in (("train", "Training"), ("test", "Testing")):
        if split == "test" and not (folder / inner).is_dir():
            continue
        images = subfolder(folder / inner / "img")
        for path, match in matching(images, "img*.nii.gz", r"img(\d{4})\.nii\.gz"):
            label = None
            if split == "train":
                label = file(folder / inner / "label" / f"label{match[1]}.nii.gz")
            cases.append(Case(stem(path), stem(path), {"CT": path}, "", label, split))
    return cases


def _kits_card(name: str, title: str, find: partial, **facts: object) -> Card:
    return Card(
        name=name,
        title=title,
        about="Arterial or nephrogenic phase CT of patients with kidney tumours.",
        modality="CT",
        task="segmentation",
        licence="CC BY-NC-SA 4.0",
        terms="No commercial use; share what is derived under the same licence; cite.",
        find=find,
        reader=Volumes(),
        channels=("CT",),
        **facts,
    )


def _chaos_card(name: str, title: str, find: partial, **facts: object) -> Card:
    return Card(
        name=name,
        title=title,
        task="segmentation",
        subjects="20 with labels, 20 without",
        size="about 2 GB for all of CHAOS",
        licence="CC BY-NC-SA 4.0 (Zenodo); CHAOS terms of use",
        terms=(
            "The challenge asks for registration with true name and institution, and for use "
            "in education and research on segmentation only; no commercial use; cite."
        ),
        page="https://chaos.grand-challenge.org (data: doi:10.5281/zenodo.3431873)",
        citation=(
            "Kavur et al. 2021, Medical Image Analysis 69:101950, doi:10.1016/j.media.2020.101950"
        ),
        splits="train and test by patient; CT and MR are of different people.",
        find=find,
        reader=SeriesWithPictures(),
        **facts,
    )


_CHAOS_MR = {0: "background", 63: "liver", 126: "right kidney", 189: "left kidney", 252: "spleen"}

CARDS = (
    Card(
        name="lits",
        title="LiTS (Liver Tumor Segmentation Benchmark)",
        about="Abdominal CT of seven hospitals with liver and liver tumours.",
        modality="CT",
        task="segmentation",
        subjects="131 with labels, 70 without",
        size="about 50 GB",
        licence="CC BY-NC-ND 4.0 (see the page)",
        terms="Registration with CodaLab; no commercial use, nothing derived may be shared; cite.",
        page="https://competitions.codalab.org/competitions/17094",
        citation=(
            "Bilic et al. 2023, Medical Image Analysis 84:102680, doi:10.1016/j.media.2022.102680"
        ),
        layout=(
            "FOLDER/   in any subfolders, such as 'Training Batch 1'\n"
            "  volume-0.nii, segmentation-0.nii, ...   side by side\n  test-volume-0.nii, ..."
        ),
        splits="train and test (labels kept by the owners). The task is also msd_liver.",
        find=_lits,
        reader=Volumes(),
        channels=("CT",),
        labels={0: "background", 1: "liver", 2: "tumour"},
    ),
    _kits_card(
        "kits19",
        "KiTS19",
        partial(_kits, "data", range(210, 300)),
        subjects="210 with labels, 90 without",
        size="about 30 GB",
        page="https://kits19.grand-challenge.org/data/ (github.com/neheller/kits19)",
        citation="Heller et al. 2019, arXiv:1904.00445",
        layout=(
            "FOLDER/data/   (or point at data itself)\n"
            "  case_00000/imaging.nii.gz, segmentation.nii.gz\n  ...\n"
            "  case_00210/imaging.nii.gz   and on: no segmentation"
        ),
        splits="train and test (cases 210 to 299, labels kept by the owners), by patient.",
        labels={0: "background", 1: "kidney", 2: "tumour"},
    ),
    _kits_card(
        "kits23",
        "KiTS23",
        partial(_kits, "dataset", range(0)),
        subjects="489 with labels",
        size="about 40 GB",
        page="https://kits-challenge.org/kits23/ (github.com/neheller/kits23)",
        citation="Heller et al. 2023, arXiv:2307.01984",
        layout=(
            "FOLDER/dataset/   (or point at dataset itself)\n"
            "  case_00000/imaging.nii.gz, segmentation.nii.gz\n  ...\n  case_00588/..."
        ),
        splits="train only; the 110 test cases were not published.",
        labels={0: "background", 1: "kidney", 2: "tumour", 3: "cyst"},
    ),
    _chaos_card(
        "chaos_ct",
        "CHAOS CT",
        partial(_chaos, "CT", "", {"CT": "DICOM_anon"}),
        about="Portal venous CT of potential liver donors, with the liver.",
        modality="CT",
        layout=(
            "FOLDER/\n  Train_Sets/CT/1/DICOM_anon/*.dcm\n"
            "  Train_Sets/CT/1/Ground/*.png        one a slice\n"
            "  Test_Sets/CT/3/DICOM_anon/*.dcm"
        ),
        channels=("CT",),
        labels={0: "background", 255: "liver"},
    ),
    _chaos_card(
        "chaos_mr_t1",
        "CHAOS MR, T1-DUAL",
        partial(
            _chaos,
            "MR",
            "T1DUAL",
            {"in_phase": "DICOM_anon/InPhase", "out_phase": "DICOM_anon/OutPhase"},
        ),
        about="T1 in and out of phase, with liver, kidneys and spleen.",
        modality="MR",
        layout=(
            "FOLDER/\n  Train_Sets/MR/1/T1DUAL/DICOM_anon/{InPhase,OutPhase}/*.dcm\n"
            "  Train_Sets/MR/1/T1DUAL/Ground/*.png        one a slice\n"
            "  Test_Sets/MR/4/T1DUAL/DICOM_anon/{InPhase,OutPhase}/*.dcm"
        ),
        channels=("in_phase", "out_phase"),
        labels=_CHAOS_MR,
    ),
    _chaos_card(
        "chaos_mr_t2",
        "CHAOS MR, T2-SPIR",
        partial(_chaos, "MR", "T2SPIR", {"T2": "DICOM_anon"}),
        about="Fat-suppressed T2, with liver, kidneys and spleen.",
        modality="MR",
        layout=(
            "FOLDER/\n  Train_Sets/MR/1/T2SPIR/DICOM_anon/*.dcm\n"
            "  Train_Sets/MR/1/T2SPIR/Ground/*.png        one a slice\n"
            "  Test_Sets/MR/4/T2SPIR/DICOM_anon/*.dcm"
        ),
        channels=("T2",),
        labels=_CHAOS_MR,
    ),
    Card(
        name="btcv",
        title="BTCV abdomen (Beyond the Cranial Vault; 'Synapse')",
        about="Portal venous CT with thirteen organs and vessels.",
        modality="CT",
        task="segmentation",
        subjects="30 with labels, 20 without",
        size="about 2 GB",
        licence="Synapse's terms of use for syn3193805",
        terms="Registration with Synapse; see the page for what the owners ask.",
        page="https://www.synapse.org/Synapse:syn3193805/wiki/89480",
        citation=(
            "Landman et al. 2015, Multi-Atlas Labeling Beyond the Cranial Vault, MICCAI "
            "workshop and challenge, doi:10.7303/syn3193805"
        ),
        layout=(
            "FOLDER/RawData/   (or point at RawData itself)\n  Training/img/img0001.nii.gz, ...\n"
            "  Training/label/label0001.nii.gz, ...\n  Testing/img/img0061.nii.gz, ...   (optional)"
        ),
        splits="train and test (labels kept by the owners), by scan.",
        find=_btcv,
        reader=Volumes(),
        channels=("CT",),
        labels={
            0: "background",
            1: "spleen",
            2: "right kidney",
            3: "left kidney",
            4: "gallbladder",
            5: "oesophagus",
            6: "liver",
            7: "stomach",
            8: "aorta",
            9: "inferior vena cava",
            10: "portal and splenic vein",
            11: "pancreas",
            12: "right adrenal gland",
            13: "left adrenal gland",
        },
    ),
)
