"""Parts of the layouts: files that must be there, tables, and the decathlon's JSON.

Each raises `InputError` naming the file and what it was to hold.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import re
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medjax.core.errors import InputError

Row = Mapping[str, str]


def file(path: Path) -> Path:
    """A path, known to be a file."""
    if not path.is_file():
        raise InputError(path, "a file", "a folder" if path.is_dir() else "nothing there")
    return path


def subfolder(path: Path) -> Path:
    """A path, known to be a folder."""
    if not path.is_dir():
        raise InputError(path, "a folder", "a file" if path.exists() else "nothing there")
    return path


def within(folder: Path, *names: str) -> Path:
    """The first of some folders that is there, so that one may point above it or at it.

    Args:
        folder: where to look.
        names: paths below it, the usual one first; "" is the folder itself.
    """
    for name in names:
        if (folder / name).is_dir():
            return folder / name
    raise InputError(folder, f"a folder {' or '.join(n for n in names if n)}", "none")


def matching(folder: Path, pattern: str, name: str) -> list[tuple[Path, re.Match[str]]]:
    """What of a folder fits a glob pattern and whose whole name fits an expression.

    Raises:
        InputError: where nothing fits.
    """
    found = ((path, re.fullmatch(name, path.name)) for path in sorted(folder.glob(pattern)))
    hits = [(path, match) for path, match in found if match]
    if not hits:
        raise InputError(folder, f"files or folders like {pattern}", "none")
    return hits


def table(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV file, gzipped or not, with at least these columns."""
    rows = lines(path)
    header = [name.strip() for name in next(rows, [])]
    missing = [name for name in columns if name not in header]
    if missing:
        raise InputError(path, f"columns {', '.join(columns)}", f"none named {missing[0]}")
    found = []
    for row in rows:
        if len(row) < len(header):
            got = f"{len(row)} in row {len(found) + 1}"
            raise InputError(path, f"{len(header)} columns in every row", got)
        found.append(dict(zip(header, row, strict=False)))
    return found


def lines(path: Path) -> Iterator[list[str]]:
    """The lines of a CSV file, gzipped or not, that are not empty, as lists of cells."""
    openers = gzip.open if path.suffix == ".gz" else open
    try:
        with openers(file(path), "rt", encoding="utf-8-sig", newline="") as stream:
            yield from (row for row in csv.reader(stream) if any(row))
    except (OSError, EOFError, UnicodeError, csv.Error, zlib.error):
        raise InputError(path, "a CSV file in UTF-8", "one that cannot be read") from None


def number(path: Path, text: str) -> float:
    """A cell of a table as a number; NaN for an empty one."""
    text = text.strip()
    if not text:
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise InputError(path, "numbers in its columns of numbers", "text") from None


def known(**attributes: str | float | int | None) -> dict[str, str | float | int]:
    """Attributes without those that are empty, NaN or said to be unknown."""
    return {
        name: value
        for name, value in attributes.items()
        if value is not None
        and not (isinstance(value, float) and math.isnan(value))
        and not (isinstance(value, str) and value.strip().lower() in ("", "unknown", "nan"))
    }


def contents(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object."""
    file(path)
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise InputError(path, "JSON", "a file that cannot be read as it") from None
    if not isinstance(found, dict):
        raise InputError(path, "a JSON object", type(found).__name__)
    return found


def listed(path: Path, spec: Mapping[str, Any], key: str) -> list[Any]:
    """A list in a JSON object; empty where there is none of that name."""
    found = spec.get(key, [])
    if not isinstance(found, list):
        raise InputError(path, f"a list '{key}'", type(found).__name__)
    return found


def member(folder: Path, path: Path, value: Any) -> Path:
    """A file that a JSON names relative to its folder, and that lies in it."""
    if not isinstance(value, str) or ".." in Path(value).parts or Path(value).is_absolute():
        raise InputError(path, "file names relative to its folder", "another entry")
    return file(folder / value)


def stem(path: Path | str) -> str:
    """A file's name without the endings of images."""
    return re.sub(r"(\.nii)?(\.gz)?$|\.\w+$", "", Path(path).name, count=1)


class _WithoutDoctype(ElementTree.TreeBuilder):
    """Entities need a document type: without it nothing can expand."""

    def doctype(self, *_: Any) -> None:
        raise ValueError


def xml(path: Path) -> ElementTree.Element:
    """The root of an XML file, which may have no document type."""
    parser = ElementTree.XMLParser(target=_WithoutDoctype())
    file(path)
    try:
        return ElementTree.fromstring(path.read_bytes(), parser)
    except (ElementTree.ParseError, OSError, ValueError, LookupError):
        raise InputError(path, "XML without a DOCTYPE", "a file that cannot be read so") from None
