"""What preparing a case recorded, beside it in the store: ``prepare/ID.json``.

It is written after the case, so that a case without it, or with that of an older file, is
prepared again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from medjax.core.errors import InputError
from medjax.data.case import Case
from medjax.data.store.layout import folder, get_json, put_json, wait

INDEX = "index.json"
_FOLDER = "prepare"
_DETACHED = (".mhd", ".nhdr")  # headers whose voxels are in another file of the same name


def read_record(store: str | Path, id: str) -> dict[str, Any]:
    """A case's record, as `medjax.data.prepare.undo` takes it.

    Raises:
        InputError: for a store, or a case of it, that was not made by preparing.
    """
    found = get_json(folder(store), _key(id), what=f"{store}: {id}")
    if not isinstance(found, dict):
        raise InputError(f"{store}: {id}", "a prepared case", "none")
    return found


def read_records(store: str | Path, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The records of those cases that have one, by case, sorted."""
    place = folder(store)
    found = {}
    for id in sorted(ids):
        record = get_json(place, _key(id), what=f"{store}: {id}")
        if isinstance(record, dict):
            found[id] = record
    return found


def write_record(store: str | Path, id: str, record: dict[str, Any]) -> None:
    """Write a case's record, whole or not at all."""
    put_json(folder(store), _key(id), record, what=f"{store}: {id}")


def is_finished(store: str | Path) -> bool:
    """Whether a store has its index, as one has that nothing is being written to."""
    return get_json(folder(store), INDEX, what=store) is not None


def unfinish(store: str | Path) -> None:
    """Take the index away before cases change: better none than one that is wrong."""
    wait(folder(store).write, INDEX, None, what=store, expected="a store that can be written")


def mark(case: Case) -> str:
    """A hash of what is known of a case, and of its files' names, sizes and times of change."""
    known = (case.subject, case.session, case.split, sorted(case.attributes.items()))
    parts = [repr(known)]
    for role, path in (*case.images.items(), ("label", case.label)):
        for file in _files(path) if path else ():
            stat = file.stat()
            parts.append(f"{role}\0{file.name}\0{stat.st_size}\0{stat.st_mtime_ns}")
    return hashlib.blake2b("\0\0".join(parts).encode(), digest_size=16).hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(p for p in path.rglob("*") if p.is_file())
    elif path.suffix.lower() in _DETACHED:
        yield from sorted(p for p in path.parent.iterdir() if p.stem == path.stem)
    else:
        yield path


def _key(id: str) -> str:
    return f"{_FOLDER}/{id}.json"
