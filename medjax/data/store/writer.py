"""Writing a prepared store: case by case, each whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

from medjax.core.errors import InputError
from medjax.data.image import Header, Image

from . import encoding, layout
from .records import CaseRecord, EntryRecord

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


class Writer:
    """A store to write cases to.

    Cases may be written by many threads, processes and machines at once, each case by
    one of them. A case counts when its own record is there, which is written last; what a
    killed writer left of one is overwritten when the case is written again. `finish`
    then makes the index that readers open. Can be pickled, and opens again elsewhere.

    Args:
        path: a folder, made where it is missing, or a URL (``gs://``, ``s3://``,
            ``file://``, ``memory://``).
        settings: what made the contents, kept in the store; JSON values. A store is
            only gone on with under the same settings.
        values: what becomes of numbers that are no integers: "int16" stores 16-bit codes
            with a slope and an intercept per channel, wrong by at most the channel's
            range / 65535, "float32" stores them as they are. Integers of up to 24 bits
            (also those in float arrays) are always stored exactly.
        codec: of the chunks, one of `layout.CODECS`.
        samples: coordinates to keep for each label, drawn at random with the case's id
            as the seed.

    Raises:
        InputError: for other arguments, a place that cannot be written, or a store
            there of other settings or a newer version.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        settings: Mapping[str, Any] | None = None,
        values: str = "int16",
        codec: str = "zstd",
        samples: int = 10_000,
    ):
        for name, value, known in (
            ("values", values, encoding.VALUES),
            ("codec", codec, layout.CODECS),
        ):
            if value not in known:
                raise InputError(name, f"one of {', '.join(known)}", repr(value))
        if samples < 0:
            raise InputError("samples", "a number of at least 0", samples)
        self.path, self.values, self.codec, self.samples = path, values, codec, samples
        try:
            self.settings = json.loads(json.dumps(dict(settings or {}), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise InputError("settings", "JSON values", str(error)) from error
        self._store = layout.folder(path)
        self._claim()

    def _claim(self) -> None:
        own = {
            "format": layout.FORMAT,
            "version": layout.VERSION,
            "settings": self.settings,
            "values": self.values,
            "samples": self.samples,
        }
        found = layout.get_json(self._store, "settings.json", what=self.path)
        if found is None:
            layout.put_json(self._store, "settings.json", own, what=self.path)
            return
        layout.require_version(found, what=self.path)
        differ = [name for name in own if found.get(name) != own[name]]
        if differ:
            if differ == ["settings"]:
                theirs, ours = found["settings"], self.settings
                names = sorted({*theirs, *ours})
                differ = [n for n in names if theirs.get(n) != ours.get(n)]
            expected = "the settings that the store was begun with, or another place"
            raise InputError(self.path, expected, f"others for {', '.join(differ)}")

    def __reduce__(self):
        return _reopened, (self.path, self.settings, self.values, self.codec, self.samples)

    def complete(self) -> frozenset[str]:
        """Ids of the cases that are there and whole, whoever wrote them."""
        keys = layout.wait(
            self._store.list,
            ts.KvStore.KeyRange("cases/", "cases0"),
            what=self.path,
            expected="a store that can be read",
        )
        names = (key.decode().removeprefix("cases/") for key in keys)
        found = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return frozenset(name for name in found if _NAME.fullmatch(name))

    def write(
        self,
        id: str,
        entries: Mapping[str, Image],
        *,
        subject: str,
        session: str = "",
        source: str = "",
        labels: Sequence[str] = ("label",),
        original: Header | Image | None = None,
        attributes: Mapping[str, str | float | int] | None = None,
    ) -> CaseRecord:
        """Write a case.

        Args:
            id: unique in the store; letters, digits, ".", "_" and "-".
            entries: "image", "label" and whatever else; each an `Image`, with its own
                affine, channels and modality. Shapes may differ.
            subject: what splits keep together.
            session: which visit.
            source: of which data set; not a patient's name or path.
            labels: the entries that hold labels (integers of at least 0, no channels);
                the others hold intensities. The entry "label", where it has the shape in
                space of an entry of intensities, tells that entry's foreground.
            original: shape and affine before preparation, to go back.
            attributes: what is known in words and numbers.

        Returns:
            The case's record, as the index will have it.

        Raises:
            InputError: naming store and case, for arrays that cannot be stored, an id
                or entry that cannot be a name, or a failed write; then the case does
                not count.
        """
        what = f"{self.path}: case {id}"
        for name in (id, *entries):
            if not _NAME.fullmatch(name):
                raise InputError(what, "names of letters, digits, '.', '_' and '-'", repr(name))
        if not entries:
            raise InputError(what, "at least one entry", "none")
        stored = {n: self._encoded(f"{what}, {n}", i, n in labels) for n, i in entries.items()}
        self._clear(id, what)
        foreground = stored["label"][0] if "label" in stored and "label" in labels else None
        records = {}
        for name, (array, slope, intercept) in stored.items():
            image, kind = entries[name], "label" if name in labels else "intensity"
            self._write_array(what, f"data/{id}/{name}/", array, image.ndim)
            counts = encoding.label_counts(array) if kind == "label" else {}
            if counts:
                drawn = encoding.label_samples(id, array, counts, self.samples)
                value = drawn.astype("<i4").tobytes()
                layout.put(self._store, f"data/{id}/{name}.samples", value, what=what)
            records[name] = EntryRecord(
                kind=kind,
                shape=array.shape,
                dtype=array.dtype,
                affine=np.asarray(image.affine, np.float64),
                channels=tuple(image.channels),
                modality=image.modality,
                interval=image.interval,
                codec=self.codec,
                slope=slope,
                intercept=intercept,
                statistics={}
                if kind == "label"
                else _statistics(array, image.ndim, slope, intercept, foreground),
                counts=counts,
                samples=tuple(min(n, self.samples) for n in counts.values()),
                runs=encoding.foreground_runs(array) if kind == "label" else (),
                checksum=encoding.checksum(array),
            )
        record = CaseRecord(
            id, subject, session, source, records, _header(original), dict(attributes or {})
        )
        layout.put_json(self._store, f"cases/{id}.json", record.to_json(), what=what)
        return record

    def finish(self) -> None:
        """Write the index of all whole cases, sorted by id. May be called again.

        Raises:
            InputError: for a record that is damaged, or a failed write.
        """
        records = []
        for id in sorted(self.complete()):
            what = f"{self.path}: case {id}"
            value = layout.get_json(self._store, f"cases/{id}.json", what=what)
            CaseRecord.from_json(value, what=what)
            records.append(json.dumps(value))
        head = {"format": layout.FORMAT, "version": layout.VERSION, "settings": self.settings}
        # A case a line, so that the index can be looked into and compared.
        lines = ",\n".join(records)
        text = f'{json.dumps(head)[:-1]}, "cases": [\n{lines}\n]}}\n'
        layout.put(self._store, "index.json", text.encode(), what=self.path)

    def _encoded(
        self, what: str, image: Image, label: bool
    ) -> tuple[np.ndarray, tuple[float, ...], tuple[float, ...]]:
        if not label:
            return encoding.encode(what, image.array, len(image.channels), self.values)
        if image.channels:
            raise InputError(what, "labels without channels", f"shape {image.array.shape}")
        return encoding.encode_label(what, image.array), (1.0,), (0.0,)

    def _clear(self, id: str, what: str) -> None:
        """Remove a case, first the record by which it counts."""
        expected = "a store that can be written"
        layout.wait(self._store.write, f"cases/{id}.json", None, what=what, expected=expected)
        inside = ts.KvStore.KeyRange(f"data/{id}/", f"data/{id}0")
        layout.wait(self._store.delete_range, inside, what=what, expected=expected)

    def _write_array(self, what: str, key: str, array: np.ndarray, spatial: int) -> None:
        metadata = layout.metadata(array.shape, array.dtype, spatial, self.codec)
        spec = layout.array_spec(self._store, key, metadata)
        options = {"what": what, "expected": "a store that can be written"}
        opened = layout.wait(
            ts.open, spec, create=True, delete_existing=True, context=layout.CONTEXT, **options
        )
        layout.wait(opened.write, array, **options)


def _reopened(
    path: str | Path, settings: Mapping[str, Any], values: str, codec: str, samples: int
) -> Writer:
    return Writer(path, settings=settings, values=values, codec=codec, samples=samples)


def _statistics(
    array: np.ndarray,
    ndim: int,
    slope: tuple[float, ...],
    intercept: tuple[float, ...],
    label: np.ndarray | None,
) -> dict[str, dict[str, tuple[float, ...]]]:
    channels = array.reshape(*array.shape[:ndim], -1)
    regions: dict[str, np.ndarray | None] = {"whole": None}
    if label is not None and label.shape == channels.shape[:-1] and label.any():
        regions["foreground"] = label > 0
    found = {}
    for name, mask in regions.items():
        columns = [
            encoding.statistics(channels[..., c] if mask is None else channels[..., c][mask], s, i)
            for c, (s, i) in enumerate(zip(slope, intercept, strict=True))
        ]
        found[name] = {key: tuple(of[key] for of in columns) for key in columns[0]}
    return found


def _header(original: Header | Image | None) -> Header | None:
    if not isinstance(original, Image):
        return original
    array = original.array
    affine, channels, modality = original.affine, original.channels, original.modality
    return Header(array.shape, array.dtype, affine, channels, modality)
