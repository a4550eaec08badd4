"""Which cases a source holds: what layout it has, and what every case must have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from medjax.core.errors import InputError
from medjax.data.case import Case
from medjax.data.formats import ENDINGS, is_image
from medjax.data.sources import subject

from .bids import bids_cases, is_bids
from .manifest import manifest_cases
from .nnunet import is_nnunet, nnunet_cases

_SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_DICOM = (".dcm", ".ima")


def find_cases(
    source: Path, *, dataset: str | None = None, label_maps: bool = False
) -> tuple[str, list[Case]]:
    """The layout of a source, and its cases in a fixed order.

    Layouts, in the order they are looked for: a "manifest" (a file that ends in .csv or
    .json), an "nnunet" raw folder, a "bids" tree, "pairs" (folders ``images`` and
    ``labels`` with files of the same names), a "folder" of images. In the last two the
    subject is the ``sub-XXX`` of the path, else the first folder below the source, else the
    file's name. A folder of DICOM files is one series.

    Args:
        source: a file or folder.
        dataset: a public data set's name, whose owners' layout is looked for alone.
        label_maps: the files of a plain folder are labels without images.

    Raises:
        InputError: for a source that is missing or holds no case, and whatever keeps the
            cases from being told apart or joined with their labels.
    """
    if dataset is not None:
        from medjax.data.benchmarks import card

        layout, cases = dataset, card(dataset).cases(source)
    elif source.is_file() and source.suffix.lower() in (".csv", ".json"):
        layout, cases = "manifest", manifest_cases(source)
    elif not source.is_dir():
        expected = "a folder of images, or a manifest ending in .csv or .json"
        raise InputError(source, expected, "a file" if source.exists() else "nothing there")
    elif is_nnunet(source):
        layout, cases = "nnunet", nnunet_cases(source)
    elif is_bids(source):
        layout, cases = "bids", bids_cases(source)
    elif (source / "images").is_dir() and (source / "labels").is_dir():
        layout, cases = "pairs", _pairs(source)
    else:
        layout, cases = "folder", _alone(source, label_maps)
    if not cases:
        raise InputError(source, f"images ({', '.join(ENDINGS)}, or DICOM series)", "none")
    require_distinct(source, cases)
    return layout, cases


def require_distinct(source: Path, cases: Sequence[Case]) -> None:
    """Raise `InputError` unless every case has a subject, and an id that is its own and a name."""
    twice = [name for name, count in Counter(case.id for case in cases).items() if count > 1]
    if twice:
        got = f"{twice[0]!r} more than once"
        got += f", as {len(twice) - 1} others" if len(twice) > 1 else ""
        raise InputError(source, "cases of different ids", got)
    for case in cases:
        if not case.subject:
            raise InputError(f"{source}: case {case.id}", "a subject", "none")
        if not re.fullmatch(_NAME, case.id):
            expected = "ids of letters, digits, '.', '_' and '-'"
            raise InputError(source, expected, repr(case.id))


def fault(case: Case, channels: Sequence[str]) -> InputError | None:
    """What keeps a case from being read, as its files and channels tell."""
    for path in filter(None, (*case.images.values(), case.label)):
        if not path.exists():
            return InputError(path, f"a file of case {case.id}", "nothing at this path")
    missing = [name for name in channels if name not in case.images]
    if missing:
        known, lacking = (", ".join(c or "image" for c in names) for names in (channels, missing))
        expected = f"the channels {known} (or --channels with those that all cases have)"
        return InputError(f"case {case.id}", expected, f"no {lacking}")
    return None


def _pairs(source: Path) -> list[Case]:
    images, labels = _named(source / "images"), _named(source / "labels")
    for name in sorted(set(labels) - set(images)):
        raise InputError(labels[name], "an image of the same name", "none")
    return [
        Case(name, _subject(source / "images", path), {"": path}, label=labels.get(name))
        for name, path in images.items()
    ]


def _alone(source: Path, label_maps: bool) -> list[Case]:
    cases = []
    for name, path in _named(source).items():
        images = {} if label_maps else {"": path}
        cases.append(Case(name, _subject(source, path), images, label=path if label_maps else None))
    return cases


def _named(folder: Path) -> dict[str, Path]:
    """Images below a folder by name: the file's own where that says which, else its path."""
    paths = _image_paths(folder)
    short = {path: _stem(path.name) for path in paths}
    if len(set(short.values())) < len(paths):
        short = {p: _stem("_".join(p.relative_to(folder).parts)) for p in paths}
    if len(set(short.values())) < len(paths):
        count = Counter(short.values())
        double = next(path for path in paths if count[short[path]] > 1)
        raise InputError(double, "images of different names", "another of the same name")
    return {name: path for path, name in short.items()}


def _image_paths(folder: Path) -> list[Path]:
    """Images, and folders of DICOM files, sorted; nothing below either is looked at."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not is_image(path):
            found += [path] if _is_series(path) else _image_paths(path)
        elif is_image(path):
            found.append(path)
    return found


def _is_series(folder: Path) -> bool:
    """Whether a folder's files are slices: the first has DICOM's ending, or none and its mark."""
    names = (p for p in sorted(folder.iterdir()) if p.is_file() and not p.name.startswith("."))
    first = next((p for p in names if p.name != "DICOMDIR"), None)
    if first is None or (is_image(first) and first.suffix.lower() not in _DICOM):
        return False
    if first.suffix.lower() in _DICOM:
        return True
    with first.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _subject(folder: Path, path: Path) -> str:
    named = subject(path)
    above = path.relative_to(folder).parts[:-1]
    if named.startswith("sub-") or not above:
        return named
    if above[0].lower() in _SPLITS:
        expected = "subjects' folders, or a manifest that names subjects and splits"
        raise InputError(folder / above[0], expected, "the folder of a split")
    return above[0]


def _stem(name: str) -> str:
    endings = sorted(ENDINGS, key=len, reverse=True)
    ending = next((e for e in endings if name.lower().endswith(e)), "")
    return name[: len(name) - len(ending)]
