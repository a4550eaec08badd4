"""Hearts: ACDC."""

from __future__ import annotations

import re
from pathlib import Path

from medjax.core.errors import InputError
from medjax.data.case import Case

from .definition import Card
from .layouts import file, known, matching, number, subfolder, within
from .readers import Volumes


def _acdc(folder: Path) -> list[Case]:
    folder = within(folder, "database", "")
    cases = []
    for split, inner in (("train", "training"), ("test", "testing")):
        for place, _ in matching(subfolder(folder / inner), "patient*", r"patient\d+"):
            info = _info(place / "Info.cfg")
            person = known(
                group=info.get("Group"),
                height=number(place / "Info.cfg", info.get("Height", "")),
                weight=number(place / "Info.cfg", info.get("Weight", "")),
            )
            for phase in ("ED", "ES"):
                name = f"{place.name}_frame{int(info[phase]):02d}"
                cases.append(
                    Case(
                        id=name,
                        subject=place.name,
                        images={"cine": file(place / f"{name}.nii.gz")},
                        session=phase,
                        label=file(place / f"{name}_gt.nii.gz"),
                        split=split,
                        attributes=person,
                    )
                )
    return cases


def _info(path: Path) -> dict[str, str]:
    try:
        text = file(path).read_text("utf-8")
    except (OSError, UnicodeError):
        raise InputError(path, "text in UTF-8", "a file that cannot be read") from None
    info = dict(re.findall(r"^\s*(\w+)\s*:\s*(.*?)\s*$", text, re.MULTILINE))
    if not all(re.fullmatch(r"\d+", info.get(phase, "")) for phase in ("ED", "ES")):
        raise InputError(path, "the frames 'ED: n' and 'ES: n'", "none")
    return info


CARDS = (
    Card(
        name="acdc",
        title="ACDC (Automated Cardiac Diagnosis Challenge)",
        about=(
            "Short-axis cine MR of healthy hearts and four pathologies, labelled at end "
            "diastole and end systole."
        ),
        modality="MR",
        task="segmentation, classification",
        subjects="100 to train, 50 to test",
        size="about 2 GB",
        licence="CC BY-NC-SA 4.0",
        terms="No commercial use; share what is derived under the same licence; cite.",
        page="https://www.creatis.insa-lyon.fr/Challenge/acdc/databases.html",
        citation="Bernard et al. 2018, IEEE TMI 37(11):2514-2525, doi:10.1109/TMI.2018.2837502",
        layout=(
            "FOLDER/database/   (or point at database itself)\n  training/patient001/\n"
            "    Info.cfg   (ED, ES, Group, Height, Weight)\n    patient001_4d.nii.gz\n"
            "    patient001_frame01.nii.gz, patient001_frame01_gt.nii.gz   and the ES frame\n"
            "  testing/patient101/   the same"
        ),
        splits="train and test by patient; session is ED or ES.",
        find=_acdc,
        reader=Volumes(),
        channels=("cine",),
        labels={
            0: "background",
            1: "right ventricle",
            2: "myocardium",
            3: "left ventricle",
        },
    ),
)
