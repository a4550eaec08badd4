"""Cases from a table (CSV) or a list (JSON) that names every file.

A CSV has a header and one row a case, in columns ``subject``, ``image`` (or
``image:T1w``, ``image:FLAIR``, one a channel), and where wanted ``id``, ``session``,
``label``, ``split``; every other column is an attribute. A JSON manifest is a list of
objects with the same names, and may have ``"images": {channel: path}``. Paths are
relative to the manifest's folder.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medjax.core.errors import InputError
from medjax.data.case import Case

_OWN = ("id", "subject", "session", "image", "images", "label", "split")
_CHANNEL = "image:"


def manifest_cases(path: Path) -> list[Case]:
    """The cases that a manifest lists, in its order.

    Raises:
        InputError: naming file and line or entry, for what is not such a manifest, a
            case without a subject, and a label without an image where others have one.
    """
    rows = list(_csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path))
    if not rows:
        raise InputError(path, "at least one case", "none")
    cases = [_case(path, where, row) for where, row in rows]
    if any(case.images for case in cases):
        for (where, _), case in zip(rows, cases, strict=True):
            if not case.images:
                raise InputError(f"{path}: {where}", "an image, as other cases have", "none")
    return cases


def number(text: str) -> str | float | int:
    """A number where the text is one."""
    for kind in (int, float):
        try:
            found = kind(text)
        except ValueError:
            continue
        return found if math.isfinite(found) else text
    return text


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            names = [name.strip() for name in reader.fieldnames or ()]
            if len(set(names)) != len(names):
                raise InputError(path, "columns of different names", "one twice")
            reader.fieldnames = names
            for row in reader:
                where = f"line {reader.line_num}"
                if None in row or None in row.values():
                    raise InputError(f"{path}: {where}", f"{len(names)} columns", "another number")
                yield where, {k: v.strip() for k, v in row.items() if v.strip()}
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, "a CSV file in UTF-8", type(error).__name__) from None


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise InputError(path, "JSON in UTF-8", "something else") from None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise InputError(path, "a list of objects, one a case", type(found).__name__)
    for number, row in enumerate(found):
        images = row.get("images", {})
        if not isinstance(images, dict):
            raise InputError(f"{path}: entry {number}", "images by channel", type(images).__name__)
        flat = {k: v for k, v in row.items() if k != "images"}
        flat |= {f"{_CHANNEL}{channel}": file for channel, file in images.items()}
        for name, entry in flat.items():
            if not isinstance(entry, (str, int, float)):
                expected = f"text or a number as {name!r}"
                raise InputError(f"{path}: entry {number}", expected, type(entry).__name__)
        yield f"entry {number}", {k: v for k, v in flat.items() if v != ""}


def _case(path: Path, where: str, row: Mapping[str, Any]) -> Case:
    if "subject" not in row:
        expected = "a subject, which splits keep together"
        raise InputError(f"{path}: {where}", expected, "none")
    subject, session = str(row["subject"]), str(row.get("session", ""))
    images = {"": row["image"]} if "image" in row else {}
    images |= {k.removeprefix(_CHANNEL): v for k, v in row.items() if k.startswith(_CHANNEL)}
    if not images and "label" not in row:
        raise InputError(f"{path}: {where}", "an image or a label", "neither")
    attributes = {
        k: number(v) if isinstance(v, str) else v
        for k, v in row.items()
        if k not in _OWN and not k.startswith(_CHANNEL)
    }
    return Case(
        str(row.get("id", "_".join(filter(None, (subject, session))))),
        subject,
        {channel: path.parent / str(file) for channel, file in images.items()},
        session,
        path.parent / str(row["label"]) if "label" in row else None,
        str(row["split"]) if "split" in row else None,
        attributes,
    )
