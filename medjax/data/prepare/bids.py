"""Cases of a BIDS tree: a visit of a subject is a case, its modalities are channels.

Names follow the Brain Imaging Data Structure (Gorgolewski et al. 2016, Sci Data 3:160044):
``sub-01/ses-a/anat/sub-01_ses-a_acq-x_run-1_T1w.nii.gz``. Labels are below
``derivatives``, with a name that ends in ``_dseg``, ``_seg`` or ``_mask``.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from medjax.core.errors import InputError
from medjax.data.case import Case
from medjax.data.formats import is_image

from .manifest import number

_LABELS = ("dseg", "seg", "mask")
_PASSED_OVER = ("derivatives", "sourcedata", "code", "stimuli")
_ALIKE = ("sub", "ses", "run")

Visit = tuple[str, str, str]  # subject, session, run


def is_bids(folder: Path) -> bool:
    """Whether a folder has BIDS subjects."""
    return any(p.is_dir() for p in folder.glob("sub-*"))


def bids_cases(folder: Path) -> list[Case]:
    """A case for every subject, session and run, sorted.

    A channel is what a name ends in, after whatever it says beside subject, session and
    run: ``T1w``, ``ce-gd_T1w``. Files without a run belong to all runs of their visit.
    Columns of ``participants.tsv`` become attributes.

    Raises:
        InputError: for two files or labels that cannot be told apart, and labels of a
            visit that has no image.
    """
    images, labels = defaultdict(dict), defaultdict(dict)
    for path in _images(folder):
        entities, suffix = _parsed(path)
        channel = "_".join([f"{k}-{v}" for k, v in entities.items() if k not in _ALIKE] + [suffix])
        _add(images[_visit(folder, path, entities)], channel, path)
    kind = ""
    for path in _images(folder / "derivatives"):
        entities, suffix = _parsed(path)
        if suffix in _LABELS and "sub" in entities:
            kind = min(kind or suffix, suffix, key=_LABELS.index)
            _add(labels[_visit(folder, path, entities)], suffix, path)
    labels = {visit: found[kind] for visit, found in labels.items() if kind in found}
    people = _participants(folder / "participants.tsv")
    cases = []
    for visit in sorted(images):
        subject, session, run = visit
        if not run and any(v[:2] == visit[:2] and v[2] for v in images):
            continue  # what it holds goes with each of the runs
        whole = (subject, session, "")
        cases.append(
            Case(
                "_".join(filter(None, visit)),
                subject,
                dict(sorted({**images.get(whole, {}), **images[visit]}.items())),
                session,
                labels.pop(visit, labels.get(whole)),
                attributes=people.get(subject, {}),
            )
        )
    used = {case.label for case in cases}
    for path in labels.values():
        if path not in used:
            raise InputError(path, "an image of the same visit", "none")
    return cases


def _images(folder: Path) -> list[Path]:
    """Images in the folders of subjects, or anywhere below derivatives."""
    if folder.name == "derivatives":
        return sorted(p for p in folder.rglob("sub-*") if is_image(p))
    found = []
    for subject in sorted(folder.glob("sub-*")):
        within = (p for p in subject.rglob("sub-*") if is_image(p))
        found += sorted(p for p in within if not set(p.parts) & set(_PASSED_OVER))
    return found


def _parsed(path: Path) -> tuple[dict[str, str], str]:
    """What a name says: entities, and the suffix behind them."""
    *pairs, suffix = path.name.split(".")[0].split("_")
    return dict(pair.split("-", 1) for pair in pairs if "-" in pair), suffix


def _visit(folder: Path, path: Path, entities: Mapping[str, str]) -> Visit:
    if "sub" not in entities:
        raise InputError(path, "a name that begins with sub-XXX_", "another")
    subject, session, run = (
        f"{name}-{entities[name]}" if name in entities else "" for name in _ALIKE
    )
    parts = path.relative_to(folder).parts
    if subject not in parts or (session and session not in parts):
        raise InputError(path, "the subject and session of its folders", "others in its name")
    return subject, session, run


def _add(found: dict[str, Path], name: str, path: Path) -> None:
    if name in found:
        raise InputError(path, f"one file for this visit and {name}", f"also {found[name].name}")
    found[name] = path


def _participants(path: Path) -> dict[str, dict[str, str | float | int]]:
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows: Sequence[dict[str, str]] = list(csv.DictReader(stream, delimiter="\t"))
    except (UnicodeDecodeError, csv.Error):
        raise InputError(path, "a table in UTF-8", "something else") from None
    return {
        row.get("participant_id") or "": {
            name: number(text)
            for name, text in row.items()
            if name and name != "participant_id" and isinstance(text, str) and text != "n/a"
        }
        for row in rows
    }
