"""A folder that is written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from medjax.core.errors import InputError


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A new folder that takes its name when the block ends well, and else is removed.

    Args:
        folder: to be made; an existing one must be empty.

    Yields:
        The path of an empty folder beside it.

    Raises:
        InputError: for a folder that holds files or cannot be written.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(folder, "a new or empty folder", "one that holds files")
    if not folder.parent.is_dir():
        raise InputError(folder, "an existing output folder", f"no folder {folder.parent}")
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        part.mkdir()
        yield part
        os.replace(part, folder)
    except OSError as error:
        reason = (error.strerror or "a failed write").lower()
        raise InputError(folder, "a folder that can be written", reason) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
