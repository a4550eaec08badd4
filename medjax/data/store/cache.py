"""Decoded arrays in shared memory, once for all processes of a host.

A folder in memory (``/dev/shm``) holds each array as a raw file that every process
maps, so that workers share its pages. All stores of the same contents on a host use the
same folder, whoever opened them. Locks of the operating system (``flock``) say who is
there: each user holds a shared one, the last to end removes the folder, and whatever a
killed one left is removed by the next that opens any cache.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sys
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from medjax.core.errors import InputError

_PREFIX = "medjax-store-"
_OPEN = 256  # mapped files of a process; each holds a file descriptor


class SharedCache:
    """Arrays by key, made by whoever comes first.

    What would exceed the budget, or the memory there is, is not kept: with samples drawn
    at random, what is kept first is as good as any.

    Args:
        name: of the contents; caches of one name share.
        budget: bytes, for all processes together.
        folder: where to make the cache's folder; by default ``/dev/shm``, or the
            temporary folder on systems without one.

    Raises:
        InputError: for a folder that cannot be written.
    """

    def __init__(self, name: str, budget: int, folder: str | Path | None = None):
        self.name, self.budget, self.home = name, budget, folder
        shared = Path("/dev/shm")
        parent = Path(folder or (shared if shared.is_dir() else tempfile.gettempdir()))
        # The user's own, as nobody else may read what is in it.
        self.folder = parent / f"{_PREFIX}{os.getuid()}-{name}"
        self._maps: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        try:
            _remove_abandoned(parent)
            self._user = _join(self.folder)
        except OSError as error:
            reason = error.strerror or "a failed write"
            raise InputError(parent, "a folder for a cache", reason.lower()) from error
        self._refused: set[str] = set()
        self._finalizer = weakref.finalize(self, _leave, self.folder, self._user, os.getpid())

    def __reduce__(self):
        return type(self), (self.name, self.budget, self.home)

    def close(self) -> None:
        """Leave the cache; the last user removes it."""
        self._maps.clear()
        self._finalizer()

    def get(
        self, key: str, shape: tuple[int, ...], dtype: np.dtype, make: Callable[[], np.ndarray]
    ) -> np.ndarray | None:
        """A read-only array, made where it is not there; None where it cannot be kept now.

        None also comes while another process makes it, which may be quicker than to wait.

        Args:
            key: a name that only ever means one array.
            shape: of the array.
            dtype: of the array.
            make: returns it.
        """
        with self._lock:
            if key in self._maps:
                self._maps.move_to_end(key)
                return self._maps[key]
            if key in self._refused:
                return None
        path = self.folder / key
        if not path.exists():
            try:
                if not self._make(key, shape, dtype, make):
                    return None
            except OSError:
                return None  # no memory, or the folder is gone: a cache may always fail
        try:
            mapped = np.memmap(path, dtype, "r", shape=shape).view(np.ndarray)
        except (OSError, ValueError):
            return None
        with self._lock:
            self._maps[key] = mapped
            while len(self._maps) > _OPEN:
                self._maps.popitem(last=False)
        return mapped

    def _make(
        self, key: str, shape: tuple[int, ...], dtype: np.dtype, make: Callable[[], np.ndarray]
    ) -> bool:
        path, part = self.folder / key, self.folder / f".{key}"
        with _locked(part, wait=False) as file:
            if file is None:
                return False
            if path.exists():
                part.unlink(missing_ok=True)
                return True
            size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            if not self._reserve(size):
                self._refused.add(key)
                part.unlink(missing_ok=True)
                return False
            try:
                # Pages that memory has no room for would end the process when touched.
                if sys.platform == "linux":
                    os.posix_fallocate(file, 0, size)
                os.ftruncate(file, size)
                np.memmap(part, dtype, "r+", shape=shape)[...] = make()
                os.rename(part, path)
            except BaseException:
                part.unlink(missing_ok=True)
                self._reserve(-size)
                raise
        return True

    def _reserve(self, size: int) -> bool:
        """Count bytes towards the budget, unless they exceed it."""
        with _locked(self.folder / ".used", wait=True) as file:
            used = int(os.pread(file, 32, 0) or b"0") + size
            if used > self.budget:
                return False
            os.ftruncate(file, 0)
            os.pwrite(file, str(used).encode(), 0)
        return True


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[int | None]:
    """A file that nobody else has locked, or None where somebody has and we do not wait."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield None
        else:
            yield file
    finally:
        os.close(file)


def _join(folder: Path) -> int:
    """Become a user of a folder: a shared lock on its file ``.users``."""
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "another user's folder")
        try:
            file = os.open(folder / ".users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the last user has just removed the folder
        fcntl.flock(file, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(file).st_ino == (folder / ".users").stat().st_ino:
                return file
        os.close(file)


def _leave(folder: Path, file: int, process: int) -> None:
    if os.getpid() != process:
        return  # a fork's lock is its parent's
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        pass  # others are still there
    finally:
        os.close(file)


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders without a user."""
    for folder in parent.glob(f"{_PREFIX}{os.getuid()}-*"):
        with contextlib.suppress(OSError):
            file = os.open(folder / ".users", os.O_RDWR | os.O_CLOEXEC)
            _leave(folder, file, os.getpid())
