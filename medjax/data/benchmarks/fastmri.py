"""fastMRI: raw k-space of knees and brains."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from medjax.core.errors import InputError
from medjax.data.case import Case

from .definition import Card, Sample
from .layouts import known, matching

_SPLITS = {"train": "train", "val": "validation", "test": "test", "challenge": "challenge"}


class _Slices(Sequence):
    """The samples of a file, each read when it is asked for."""

    def __init__(self, path: Path, count: int):
        self.path, self.count = path, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        from medjax.data.formats.fastmri import open_kspace

        with open_kspace(self.path) as file:
            full = np.ones(file.shape[-1], bool)
            return {"kspace": file[index], "mask": full if file.mask is None else file.mask}


class KSpaceSlices:
    """A sample a slice: ``kspace`` complex64 ``(y, x)`` or ``(coil, y, x)`` and ``mask``
    bool ``(x,)``, the columns that were measured: all of them where the file has no mask."""

    def count(self, case: Case) -> int:
        from medjax.data.formats.fastmri import open_kspace

        with open_kspace(case.images["kspace"]) as file:
            return len(file)

    def read(self, case: Case, card: Card) -> Sequence[Sample]:
        return _Slices(case.images["kspace"], self.count(case))


def _find(coils: str, folder: Path) -> list[Case]:
    parts = matching(folder, f"{coils}_*", f"{coils}_(train|val|test|challenge).*")
    cases = []
    for part, match in parts:
        for path, _ in matching(part, "*.h5", r".+\.h5"):
            subject, acquisition = _attributes(path)
            cases.append(
                Case(
                    id=f"{part.name}/{path.stem}",
                    subject=subject,
                    images={"kspace": path},
                    split=_SPLITS[match[1]],
                    attributes=known(acquisition=acquisition),
                )
            )
    return cases


def _attributes(path: Path) -> tuple[str, str]:
    """The patient and the acquisition, which the file itself tells."""
    from medjax.data.formats.hdf5 import intact, opened

    with opened(path) as file, intact(path):
        patient = file.attrs.get("patient_id")
        acquisition = file.attrs.get("acquisition", "")
    if not isinstance(patient, str) or not patient:
        raise InputError(path, "the attribute 'patient_id', by which splits are made", "none")
    return patient, str(acquisition)


_TERMS = (
    "Registration and a signed agreement with NYU Langone Health; internal research and "
    "education only, no redistribution, no attempt to identify anyone."
)


def _card(name: str, title: str, coils: str, **facts: str) -> Card:
    return Card(
        name=name,
        title=title,
        modality="MR k-space",
        task="reconstruction",
        licence="fastMRI Dataset Sharing Agreement",
        terms=_TERMS,
        page="https://fastmri.med.nyu.edu",
        layout=(
            f"FOLDER/\n  {coils}_train/file1000001.h5, ...   attribute patient_id in each\n"
            f"  {coils}_val/*.h5\n  {coils}_test*/*.h5         (with a mask)\n"
            f"  {coils}_challenge*/*.h5"
        ),
        splits=(
            "train, validation, test, challenge, by folder. That no patient is in two of "
            "them is for medjax.data.Splits to check: .groups is the file's patient_id."
        ),
        find=partial(_find, coils),
        reader=KSpaceSlices(),
        **facts,
    )


_KNEE = (
    "Knoll et al. 2020, Radiology: Artificial Intelligence 2(1):e190007, "
    "doi:10.1148/ryai.2020190007; Zbontar et al. 2018, arXiv:1811.08839"
)

CARDS = (
    _card(
        "fastmri_knee_singlecoil",
        "fastMRI knee, emulated single coil",
        "singlecoil",
        about="Coronal proton density knees with and without fat suppression, one emulated coil.",
        subjects="1,594 volumes in all",
        size="about 100 GB",
        citation=_KNEE,
    ),
    _card(
        "fastmri_knee_multicoil",
        "fastMRI knee, 15 coils",
        "multicoil",
        about="Coronal proton density knees with and without fat suppression, raw from 15 coils.",
        subjects="1,594 volumes in all",
        size="about 1.2 TB",
        citation=_KNEE,
    ),
    _card(
        "fastmri_brain_multicoil",
        "fastMRI brain",
        "multicoil",
        about="Axial T1, T1 with contrast, T2 and FLAIR brains, raw from many coils.",
        subjects="6,970 volumes in all",
        size="about 1.6 TB",
        citation="Zbontar et al. 2018, arXiv:1811.08839",
    ),
)
