"""Brains: IXI, BraTS, OASIS for registration, SynthSeg's label maps."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from medjax.core.errors import InputError
from medjax.data.case import Case

from .definition import Card
from .layouts import contents, file, known, listed, matching, member, stem
from .readers import Volumes


def _ixi(folder: Path) -> list[Case]:
    name = r"(IXI(\d+))-([A-Za-z]+)-(\d+)-(T1|T2|PD|MRA)\.nii\.gz"
    found = matching(folder, "**/IXI*.nii.gz", r"IXI\d+-.*\.nii\.gz")
    cases = []
    for path, _ in found:
        if match := re.fullmatch(name, path.name):  # the rest is diffusion
            cases.append(
                Case(
                    id=stem(path),
                    subject=match[1],
                    images={"image": path},
                    attributes=known(contrast=match[5], site=match[3]),
                )
            )
    return cases


def _brats(name: str, join: str, channels: tuple[str, ...], folder: Path) -> list[Case]:
    cases = []
    for place, _ in matching(folder.resolve(), "**/BraTS*", name):
        if not place.is_dir():
            continue
        images = {c: file(place / f"{place.name}{join}{c}.nii.gz") for c in channels}
        below = place.relative_to(folder.resolve().parent)
        split = "validation" if "validation" in str(below).lower() else "train"
        label = None if split == "validation" else file(place / f"{place.name}{join}seg.nii.gz")
        subject, _, session = place.name.rpartition("-")
        if join == "_":
            subject, session = place.name, ""
        cases.append(Case(place.name, subject, images, session, label, split))
    return cases


def _oasis(folder: Path) -> list[Case]:
    path = folder / "OASIS_dataset.json"
    spec = contents(path)
    moving, validation = _pairs(path, spec, "registration_val")
    more, test = _pairs(path, spec, "registration_test")
    moving |= more
    cases = []
    for entry in listed(path, spec, "training"):
        image = member(folder, path, entry.get("image") if isinstance(entry, dict) else entry)
        name = _oasis_name(image)
        split = "validation" if name in validation else "train"
        label = file(folder / "labelsTr" / image.name)
        cases.append(_oasis_case(image, label, split, moving))
    for entry in listed(path, spec, "test"):
        image = member(folder, path, entry.get("image") if isinstance(entry, dict) else entry)
        cases.append(_oasis_case(image, None, "test", moving))
    absent = (validation | test) - {case.id for case in cases}
    if absent:
        raise InputError(path, "pairs of cases that it lists", f"{min(absent)}, which it does not")
    return cases


def _oasis_name(path: Path | str) -> str:
    return stem(path).removesuffix("_0000")


def _oasis_case(image: Path, label: Path | None, split: str, moving: dict[str, str]) -> Case:
    name = _oasis_name(image)
    attributes = known(moving=moving.get(name))
    return Case(name, name, {"T1w": image}, "", label, split, attributes)


def _pairs(path: Path, spec: dict[str, Any], key: str) -> tuple[dict[str, str], set[str]]:
    """Moving case by fixed case, and all cases of the pairs."""
    moving = {}
    for pair in listed(path, spec, key):
        names = [pair.get(side) for side in ("fixed", "moving")] if isinstance(pair, dict) else []
        if len(names) != 2 or not all(isinstance(name, str) for name in names):
            raise InputError(path, f"'fixed' and 'moving' in each pair of '{key}'", "another entry")
        fixed, other = map(_oasis_name, names)
        moving[fixed] = other
    return moving, {*moving, *moving.values()}


def _synthseg(folder: Path) -> list[Case]:
    name = r"(training_seg|subject)_(\d+)\.nii\.gz"
    return [
        Case(id=stem(path), subject=stem(path), images={}, label=path)
        for path, _ in matching(folder, "*.nii.gz", name)
    ]


_FREESURFER = {
    0: "background",
    14: "third ventricle",
    15: "fourth ventricle",
    16: "brain stem",
    24: "cerebrospinal fluid",
    **{
        value: f"{side} {name}"
        for name, values in {
            "cerebral white matter": (2, 41),
            "cerebral cortex": (3, 42),
            "lateral ventricle": (4, 43),
            "inferior lateral ventricle": (5, 44),
            "cerebellar white matter": (7, 46),
            "cerebellar cortex": (8, 47),
            "thalamus": (10, 49),
            "caudate": (11, 50),
            "putamen": (12, 51),
            "pallidum": (13, 52),
            "hippocampus": (17, 53),
            "amygdala": (18, 54),
            "accumbens": (26, 58),
            "ventral diencephalon": (28, 60),
        }.items()
        for side, value in zip(("left", "right"), values, strict=True)
    },
}
"""FreeSurfer's numbers of the structures that segmentation is usually judged on."""

_BRATS_LABELS = "necrotic and non-enhancing core", "oedema"

CARDS = (
    Card(
        name="ixi",
        title="IXI",
        about="Healthy adults of London from three scanners: T1, T2, proton density, angiography.",
        modality="MR",
        task="unlabelled; synthesis, super-resolution, harmonisation",
        subjects="nearly 600",
        size="about 24 GB without diffusion, T1 alone 4.5 GB",
        licence="CC BY-SA 3.0",
        terms="Acknowledge the source; share what is derived under the same licence.",
        page="https://brain-development.org/ixi-dataset/",
        citation="IXI data set, https://brain-development.org/ixi-dataset/",
        layout=(
            "FOLDER/\n  IXI-T1/IXI002-Guys-0828-T1.nii.gz, ...   IXInnn-site-number-contrast\n"
            "  IXI-T2/*.nii.gz   IXI-PD/*.nii.gz   IXI-MRA/*.nii.gz   (any of them)\n"
            "Diffusion images (IXI-DTI) are passed over; ages are in IXI.xls, which is not read."
        ),
        splits="none: split by subject. Each contrast of a person is a case of its own.",
        find=_ixi,
        reader=Volumes(),
        channels=("image",),
    ),
    Card(
        name="brats2021",
        title="BraTS 2021 (RSNA-ASNR-MICCAI), task 1",
        about="Gliomas before surgery, on one grid of 1 mm, without the skull.",
        modality="MR",
        task="segmentation",
        subjects="1,251 with labels, 219 without",
        size="about 15 GB",
        licence="Synapse's terms for BraTS 2021 (CC BY 4.0 in The Cancer Imaging Archive)",
        terms="Registration with Synapse; cite the three papers that the page names.",
        page="https://www.synapse.org/Synapse:syn25829067 (also doi:10.7937/jc8x-9874)",
        citation="Baid et al. 2021, arXiv:2107.02314",
        layout=(
            "FOLDER/   with 'Validation' in the path of cases without label\n"
            "  .../BraTS2021_00000/BraTS2021_00000_{t1,t1ce,t2,flair,seg}.nii.gz"
        ),
        splits="train and validation (labels kept by the owners), by patient.",
        find=partial(_brats, r"BraTS2021_\d+", "_", ("t1", "t1ce", "t2", "flair")),
        reader=Volumes(),
        channels=("t1", "t1ce", "t2", "flair"),
        labels={0: "background", **dict(enumerate(_BRATS_LABELS, 1)), 4: "enhancing tumour"},
    ),
    Card(
        name="brats2023",
        title="BraTS 2023 adult glioma (and later years in its layout)",
        about="Gliomas on one grid of 1 mm, without the skull; some patients more than once.",
        modality="MR",
        task="segmentation",
        subjects="1,251 with labels, 219 without (2023)",
        size="about 15 GB",
        licence="Synapse's terms for BraTS",
        terms="Registration with Synapse and its challenge; cite the papers that the page names.",
        page="https://www.synapse.org/Synapse:syn51156910",
        citation="Baid et al. 2021, arXiv:2107.02314",
        layout=(
            "FOLDER/   with 'Validation' in the path of cases without label\n"
            "  .../BraTS-GLI-00000-000/BraTS-GLI-00000-000-{t1n,t1c,t2w,t2f,seg}.nii.gz\n"
            "The last three digits are the visit."
        ),
        splits="train and validation (labels kept by the owners), by patient.",
        find=partial(_brats, r"BraTS-\w+-\d+-\d+", "-", ("t1n", "t1c", "t2w", "t2f")),
        reader=Volumes(),
        channels=("t1n", "t1c", "t2w", "t2f"),
        labels={0: "background", **dict(enumerate(_BRATS_LABELS, 1)), 3: "enhancing tumour"},
    ),
    Card(
        name="oasis_registration",
        title="OASIS brains of Learn2Reg",
        about="T1 brains of OASIS-1, on one grid of 1 mm, with 35 structures by FreeSurfer.",
        modality="MR",
        task="registration between people",
        subjects="414 with labels, 39 without",
        size="a few GB",
        licence="OASIS data use agreement",
        terms="Accept the agreement of OASIS; no attempt to identify anyone; cite both papers.",
        page="https://learn2reg.grand-challenge.org",
        citation=(
            "Hering et al. 2023, IEEE TMI 42(3):697-712, doi:10.1109/TMI.2022.3213983; Marcus "
            "et al. 2007, J. Cognitive Neuroscience 19(9):1498-1507"
        ),
        layout=(
            "OASIS/   (FOLDER)\n  OASIS_dataset.json   training, test, registration_val, "
            "registration_test\n  imagesTr/OASIS_0001_0000.nii.gz, ...\n"
            "  labelsTr/OASIS_0001_0000.nii.gz, ...\n  imagesTs/*.nii.gz"
        ),
        splits=(
            "validation is the cases of registration_val, test those whose labels the owners "
            "keep; attribute 'moving' of a fixed case names the case to be moved to it."
        ),
        find=_oasis,
        reader=Volumes(),
        channels=("T1w",),
        labels={0: "background", **{i: f"structure {i}" for i in range(1, 36)}},
    ),
    Card(
        name="synthseg_labels",
        title="SynthSeg's training label maps",
        about="Label maps of heads at 1 mm: FreeSurfer's numbers, and more outside the brain.",
        modality="label maps of MR",
        task="synthesis, segmentation",
        subjects="20",
        size="about 30 MB",
        licence="Apache-2.0",
        terms="Keep the licence; cite the paper.",
        page="https://github.com/BBillot/SynthSeg (data/training_label_maps)",
        citation=(
            "Billot et al. 2023, Medical Image Analysis 86:102789, doi:10.1016/j.media.2023.102789"
        ),
        layout="training_label_maps/   (FOLDER)\n  training_seg_01.nii.gz, ...",
        splits="none: split by subject.",
        find=_synthseg,
        reader=Volumes(),
        labels=_FREESURFER,
    ),
)
