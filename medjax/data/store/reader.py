"""Reading a prepared store: any region of any case, from any process."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorstore as ts

from medjax.core.errors import InputError

from . import layout
from .cache import SharedCache
from .encoding import checksum
from .records import CaseRecord, EntryRecord

_OPEN = 128  # arrays a process keeps open; opening one again costs half a millisecond


class Store:
    """A prepared store.

    Safe in threads. Pickles to its arguments, so that each worker process opens it for
    itself; a cache is shared by all of them. No JAX is imported.

    Args:
        path: a folder or URL, as `Writer` made it.
        cache: bytes of shared memory in which decoded arrays are kept, once for all
            processes of the host; what does not fit is read from the store each time.
        cache_folder: where, instead of ``/dev/shm``.

    Attributes:
        cases: the records, sorted by id.
        settings: what made the contents.

    Raises:
        InputError: for a store that is missing, unfinished, damaged or of a newer version.
    """

    def __init__(self, path: str | Path, *, cache: int = 0, cache_folder: str | Path | None = None):
        if cache < 0:
            raise InputError("cache", "a number of bytes of at least 0", cache)
        self.path, self._arguments = path, (cache, cache_folder)
        self._store = layout.folder(path)
        index = layout.get_json(self._store, "index.json", what=path)
        if index is None:
            expected = f"a finished {layout.FORMAT}"
            raise InputError(path, expected, "no index.json (prepare it again to go on)")
        layout.require_version(index, what=path)
        records = index.get("cases")
        if not isinstance(records, list) or not isinstance(index.get("settings"), dict):
            raise InputError(path, "an index with settings and a list of cases", "none")
        self.settings = index["settings"]
        self.cases = tuple(
            CaseRecord.from_json(r, what=f"{path}: case {n} of the index")
            for n, r in enumerate(records)
        )
        self._places = {case.id: n for n, case in enumerate(self.cases)}
        _keep_freed_memory()
        self._arrays: OrderedDict[tuple[str, str], ts.TensorStore] = OrderedDict()
        self._lock = threading.Lock()
        self._cache = None
        if cache:
            name = hashlib.blake2b(repr([c.id for c in self.cases]).encode(), digest_size=8)
            for case in self.cases:
                name.update("".join(e.checksum for e in case.entries.values()).encode())
            self._cache = SharedCache(name.hexdigest(), cache, cache_folder)

    def __reduce__(self):
        return _reopened, (self.path, *self._arguments)

    def __len__(self) -> int:
        return len(self.cases)

    def close(self) -> None:
        """Leave the shared cache now instead of when nobody refers to the store."""
        if self._cache is not None:
            self._cache.close()
            self._cache = None

    def case(self, case: int | str) -> CaseRecord:
        """A case by its number or id."""
        if isinstance(case, str):
            if case not in self._places:
                raise InputError(self.path, "the id of a case", repr(case))
            case = self._places[case]
        return self.cases[case]

    def entry(self, case: int | str, entry: str) -> EntryRecord:
        """What is known of an array.

        Raises:
            InputError: naming store and case, for an entry that the case does not have.
        """
        record = self.case(case)
        if entry not in record.entries:
            known = ", ".join(record.entries)
            raise InputError(f"{self.path}: case {record.id}", f"an entry '{entry}'", known)
        return record.entries[entry]

    def read(
        self, case: int | str, entry: str, region: Sequence[slice] | None = None
    ) -> np.ndarray:
        """Values of a region; only the chunks that it meets are read.

        Args:
            case: number or id.
            entry: such as "image".
            region: a slice along each axis in space, of step 1, within the array, and
                one more along the channels where not all are wanted; None for all of it.

        Returns:
            A new array, ``(x, y[, z])`` and channels where the entry has any: float32 for
            intensities, the unsigned integers for labels.

        Raises:
            InputError: for a region that reaches out of the array, and, naming store and
                case, for chunks that are missing or damaged.
        """
        record, known = self.case(case), self.entry(case, entry)
        region = tuple(slice(0, n) for n in known.shape) if region is None else tuple(region)
        _require_inside(region, known.shape, known.ndim)
        cached = self._cached(record, entry, known)
        if cached is not None:
            stored = cached[region]
        else:
            what = f"{self.path}: case {record.id}, {entry}"
            opened = self._opened(record.id, entry, known)
            stored = layout.wait(opened[region].read, what=what, expected="an undamaged store")
        if known.kind == "label":
            return stored.copy() if cached is not None else stored
        values = stored.astype(np.float32)
        chosen = region[known.ndim] if len(region) > known.ndim else slice(None)
        slope, intercept = known.slope[chosen], known.intercept[chosen]
        if any(s != 1 for s in slope):
            values *= np.asarray(slope, np.float32)
        if any(intercept):
            values += np.asarray(intercept, np.float32)
        return values

    def sample(self, case: int | str, entry: str, label: int, number: int) -> tuple[int, ...]:
        """Coordinates of a voxel of a label.

        Args:
            case: number or id.
            entry: of labels.
            label: one of the entry's ``counts``.
            number: below its count of ``samples``.

        Raises:
            InputError: naming store and case, where it is missing or damaged.
        """
        record, known = self.case(case), self.entry(case, entry)
        place = sum(known.samples[: list(known.counts).index(label)]) + number
        if self._cache is not None:
            shape, dtype = (sum(known.samples), known.ndim), np.dtype("<i4")
            whole = slice(0, shape[0])
            cached = self._cache.get(
                f"{known.checksum}-{record.id}",
                shape,
                dtype,
                lambda: self._samples(record, entry, known, whole),
            )
            if cached is not None:
                return tuple(cached[place].tolist())
        return tuple(self._samples(record, entry, known, slice(place, place + 1))[0].tolist())

    def _samples(
        self, record: CaseRecord, entry: str, known: EntryRecord, places: slice
    ) -> np.ndarray:
        """Some of the coordinates that are kept, int32 ``(n, axes)``."""
        what, size = f"{self.path}: case {record.id}, samples of {entry}", 4 * known.ndim
        found = layout.wait(
            self._store.read,
            f"data/{record.id}/{entry}.samples",
            byte_range=slice(places.start * size, places.stop * size),
            what=what,
            expected="an undamaged store",
        )
        voxels = np.frombuffer(found.value, "<i4")
        if voxels.size != (places.stop - places.start) * known.ndim:
            raise InputError(what, "an undamaged store", f"{len(found.value)} bytes")
        voxels = voxels.reshape(-1, known.ndim)
        if (voxels < 0).any() or (voxels >= known.shape).any():
            raise InputError(what, "voxels of the array", "others")
        return voxels

    def check(self) -> dict[str, str]:
        """Read everything and verify every checksum.

        Returns:
            Ids of the cases that are damaged, and what is wrong with each.
        """
        damaged = {}
        for record in self.cases:
            for name, known in record.entries.items():
                what = f"{self.path}: case {record.id}, {name}"
                try:
                    opened = self._opened(record.id, name, known)
                    array = layout.wait(opened.read, what=what, expected="an undamaged store")
                    if checksum(array) != known.checksum:
                        got = "values of another checksum"
                        raise InputError(what, "the values that were written", got)
                    if sum(known.samples):
                        self._check_samples(record, name, known, array)
                except InputError as error:
                    damaged[record.id] = str(error)
                    break
        return damaged

    def _check_samples(
        self, record: CaseRecord, entry: str, known: EntryRecord, array: np.ndarray
    ) -> None:
        voxels = self._samples(record, entry, known, slice(0, sum(known.samples)))
        if (array[tuple(voxels.T)] != np.repeat(list(known.counts), known.samples)).any():
            what = f"{self.path}: case {record.id}, samples of {entry}"
            raise InputError(what, "voxels of the label they are kept for", "others")

    def _cached(self, record: CaseRecord, entry: str, known: EntryRecord) -> np.ndarray | None:
        if self._cache is None:
            return None

        def make() -> np.ndarray:
            what = f"{self.path}: case {record.id}, {entry}"
            opened = self._opened(record.id, entry, known)
            return layout.wait(opened.read, what=what, expected="an undamaged store")

        return self._cache.get(known.checksum, known.shape, known.dtype, make)

    def _opened(self, id: str, entry: str, known: EntryRecord) -> ts.TensorStore:
        with self._lock:
            if (id, entry) in self._arrays:
                self._arrays.move_to_end((id, entry))
                return self._arrays[id, entry]
        what = f"{self.path}: case {id}, {entry}"
        if known.codec not in layout.CODECS:
            raise InputError(what, f"a codec of {', '.join(layout.CODECS)}", known.codec)
        metadata = layout.metadata(known.shape, known.dtype, known.ndim, known.codec)
        spec = layout.array_spec(self._store, f"data/{id}/{entry}/", metadata)
        opened = layout.wait(
            ts.open,
            spec,
            open=True,
            # The record has it all, and a bucket's round trip is saved.
            assume_metadata=True,
            context=layout.CONTEXT,
            what=what,
            expected="an undamaged store",
        )
        with self._lock:
            self._arrays[id, entry] = opened
            while len(self._arrays) > _OPEN:
                self._arrays.popitem(last=False)
        return opened


def _reopened(path: str | Path, cache: int, cache_folder: str | Path | None) -> Store:
    return Store(path, cache=cache, cache_folder=cache_folder)


def _keep_freed_memory() -> None:
    """Have the C library use the memory of one patch again for the next.

    glibc gives large blocks back to the system until one of nearly 32 MiB was freed once
    (mallopt(3), M_MMAP_THRESHOLD); until then each patch of some megabytes costs hundreds of
    page faults. Elsewhere this does nothing.
    """
    np.empty(31 * 2**20, np.uint8)


def _require_inside(region: tuple[slice, ...], shape: tuple[int, ...], spatial: int) -> None:
    inside = spatial <= len(region) <= len(shape) and all(
        s.step in (None, 1)
        and s.start is not None
        and s.stop is not None
        and 0 <= s.start < s.stop <= n
        for s, n in zip(region, shape, strict=False)
    )
    if not inside:
        raise InputError("region", f"slices start:stop within {shape}", region)
