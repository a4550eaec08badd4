"""The Medical Segmentation Decathlon: ten tasks in one layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medjax.core.errors import InputError
from medjax.data.case import Case

from .definition import Card
from .layouts import contents, listed, member, stem
from .readers import Volumes


def find(folder: Path) -> list[Case]:
    """The cases of a folder with the decathlon's ``dataset.json``."""
    path = folder / "dataset.json"
    spec, cases = contents(path), []
    for entry in listed(path, spec, "training"):
        if not isinstance(entry, Mapping):
            raise InputError(path, "an image and a label in each entry of 'training'", "another")
        image = member(folder, path, entry.get("image"))
        label = member(folder, path, entry.get("label"))
        cases.append(_case(image, label, "train"))
    for entry in listed(path, spec, "test"):
        cases.append(_case(member(folder, path, entry), None, "test"))
    return cases


def _case(image: Path, label: Path | None, split: str) -> Case:
    name = stem(image)
    return Case(id=name, subject=name, images={"image": image}, label=label, split=split)


# Task, what, modality, train and test cases, size, channels, structures from 1 on.
_TASKS = (
    (
        "01_BrainTumour",
        "brain_tumour",
        "MR",
        (484, 266),
        "7.1 GB",
        ("FLAIR", "T1w", "t1gd", "T2w"),
        ("edema", "non-enhancing tumour", "enhancing tumour"),
    ),
    ("02_Heart", "heart", "MR", (20, 10), "0.4 GB", ("MRI",), ("left atrium",)),
    ("03_Liver", "liver", "CT", (131, 70), "27 GB", ("CT",), ("liver", "cancer")),
    (
        "04_Hippocampus",
        "hippocampus",
        "MR",
        (263, 131),
        "27 MB",
        ("MRI",),
        ("anterior", "posterior"),
    ),
    (
        "05_Prostate",
        "prostate",
        "MR",
        (32, 16),
        "0.2 GB",
        ("T2", "ADC"),
        ("peripheral zone", "transition zone"),
    ),
    ("06_Lung", "lung", "CT", (64, 32), "8.5 GB", ("CT",), ("cancer",)),
    ("07_Pancreas", "pancreas", "CT", (282, 139), "11.5 GB", ("CT",), ("pancreas", "cancer")),
    (
        "08_HepaticVessel",
        "hepatic_vessel",
        "CT",
        (303, 140),
        "8.7 GB",
        ("CT",),
        ("vessel", "tumour"),
    ),
    ("09_Spleen", "spleen", "CT", (41, 20), "1.5 GB", ("CT",), ("spleen",)),
    ("10_Colon", "colon", "CT", (126, 64), "5.8 GB", ("CT",), ("colon cancer primaries",)),
)


def _card(
    task: str,
    what: str,
    modality: str,
    counts: tuple[int, int],
    size: str,
    channels: tuple[str, ...],
    structures: tuple[str, ...],
) -> Card:
    train, test = counts
    return Card(
        name=f"msd_{what}",
        title=f"Medical Segmentation Decathlon, Task{task}",
        about=f"{', '.join(structures)} in {modality} volumes: {', '.join(channels)}.",
        modality=modality,
        task="segmentation",
        subjects=f"{train} with labels, {test} without",
        size=f"about {size}",
        licence="CC BY-SA 4.0",
        terms="Derived sets are to be shared under the same licence; cite the paper.",
        page="http://medicaldecathlon.com",
        citation=(
            "Simpson et al. 2019, arXiv:1902.09063; Antonelli et al. 2022, Nature "
            "Communications 13:4128, doi:10.1038/s41467-022-30695-9"
        ),
        layout=(
            f"Task{task}/   (FOLDER)\n  dataset.json\n  imagesTr/NAME_001.nii.gz, ...\n"
            "  labelsTr/NAME_001.nii.gz, ...   named as the images\n  imagesTs/*.nii.gz"
        ),
        splits="train and test, by case; the owners keep the test labels.",
        find=find,
        reader=Volumes(),
        channels=channels,
        labels={0: "background", **dict(enumerate(structures, start=1))},
    )


CARDS = tuple(_card(*task) for task in _TASKS)
