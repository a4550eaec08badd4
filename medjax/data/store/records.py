"""What a store knows of its cases without reading a voxel."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from medjax.core.errors import InputError
from medjax.data.image import Header, spacing

KINDS = ("intensity", "label")


@dataclasses.dataclass(frozen=True, eq=False)
class EntryRecord:
    """One array of a case.

    Attributes:
        kind: "intensity" or "label".
        shape: of the array, ``(x, y)`` or ``(x, y, z)``, and the channels' axis.
        dtype: as stored.
        affine: ``(4, 4)`` float64, from voxel indices to millimetres, RAS+.
        channels: names along the last axis; empty where all axes are in space.
        modality: such as "MR".
        interval: seconds between the entries of the last axis, where they are times.
        codec: one of `layout.CODECS`.
        slope: of each channel: a value is ``slope * stored + intercept``.
        intercept: of each channel.
        statistics: of intensities, over the "whole" and, where the case has a label of
            the same grid, its "foreground": "mean", "sd", "min", "max", "p0.5", "p1",
            "p50", "p99", "p99.5", each with a number per channel.
        counts: voxels of each label above 0.
        samples: how many coordinates are kept of each label, in the same order.
        runs: of labels, for each axis in space the runs ``(first, last + 1)`` of planes
            that have foreground.
        checksum: of the values as stored (`checksum`).
    """

    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype
    affine: np.ndarray
    channels: tuple[str, ...]
    modality: str
    interval: float | None
    codec: str
    slope: tuple[float, ...]
    intercept: tuple[float, ...]
    statistics: Mapping[str, Mapping[str, tuple[float, ...]]]
    counts: Mapping[int, int]
    samples: tuple[int, ...]
    runs: tuple[tuple[tuple[int, int], ...], ...]
    checksum: str

    @property
    def ndim(self) -> int:
        """Axes in space."""
        return len(self.shape) - bool(self.channels)

    @property
    def spatial(self) -> tuple[int, ...]:
        """The shape in space."""
        return self.shape[: self.ndim]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Millimetres from voxel to voxel along each axis in space."""
        return spacing(self.affine, self.ndim)

    @property
    def nbytes(self) -> int:
        """Bytes of the array as stored, without compression."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def to_json(self) -> dict[str, Any]:
        """As the index has it."""
        statistics = {
            region: {name: [float(f"{v:.7g}") for v in values] for name, values in of.items()}
            for region, of in self.statistics.items()
        }
        return {
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
            "dtype": self.dtype.name,
            "affine": self.affine.tolist(),
            "statistics": statistics,
            "counts": {str(label): count for label, count in self.counts.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> EntryRecord:
        """The inverse of `to_json`; raises KeyError, TypeError, ValueError for anything else."""
        record = cls(
            kind=KINDS[KINDS.index(value["kind"])],
            shape=tuple(int(n) for n in value["shape"]),
            dtype=np.dtype(str(value["dtype"])),
            affine=np.asarray(value["affine"], np.float64),
            channels=tuple(map(str, value["channels"])),
            modality=str(value["modality"]),
            interval=None if value["interval"] is None else float(value["interval"]),
            codec=str(value["codec"]),
            slope=tuple(map(float, value["slope"])),
            intercept=tuple(map(float, value["intercept"])),
            statistics={
                region: {name: tuple(map(float, values)) for name, values in of.items()}
                for region, of in value["statistics"].items()
            },
            counts={int(label): int(count) for label, count in value["counts"].items()},
            samples=tuple(map(int, value["samples"])),
            runs=tuple(tuple((int(a), int(b)) for a, b in runs) for runs in value["runs"]),
            checksum=str(value["checksum"]),
        )
        sizes = {len(record.slope), len(record.intercept), max(len(record.channels), 1)}
        if record.ndim not in (2, 3) or min(record.shape) < 1 or len(sizes) != 1:
            raise ValueError("an array of no such shape")
        if record.affine.shape != (4, 4) or record.dtype.kind not in "uif":
            raise ValueError("no such affine or dtype")
        return record


@dataclasses.dataclass(frozen=True, eq=False)
class CaseRecord:
    """One case of a store.

    Attributes:
        id: unique in the store.
        subject: what splits keep together.
        session: which visit; "" where there is one.
        source: of which data set.
        entries: its arrays by name.
        original: shape and affine before preparation, where they are known.
        attributes: what else is known, in words and numbers.
    """

    id: str
    subject: str
    session: str
    source: str
    entries: Mapping[str, EntryRecord]
    original: Header | None
    attributes: Mapping[str, str | float | int]

    def to_json(self) -> dict[str, Any]:
        """As the index has it."""
        original = self.original and {
            "shape": list(self.original.shape),
            "dtype": np.dtype(self.original.dtype).name,
            "affine": self.original.affine.tolist(),
            "channels": list(self.original.channels),
            "modality": self.original.modality,
        }
        return {
            "id": self.id,
            "subject": self.subject,
            "session": self.session,
            "source": self.source,
            "original": original,
            "attributes": dict(self.attributes),
            "entries": {name: entry.to_json() for name, entry in self.entries.items()},
        }

    @classmethod
    def from_json(cls, value: Any, *, what: object) -> CaseRecord:
        """The inverse of `to_json`.

        Raises:
            InputError: naming ``what``, for anything else.
        """
        try:
            original = value["original"]
            return cls(
                id=str(value["id"]),
                subject=str(value["subject"]),
                session=str(value["session"]),
                source=str(value["source"]),
                entries={n: EntryRecord.from_json(e) for n, e in value["entries"].items()},
                original=original and _header(original),
                attributes=dict(value["attributes"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            got = f"one that is not ({type(error).__name__})"
            raise InputError(what, "a case's record", got) from error


def _header(value: Mapping[str, Any]) -> Header:
    return Header(
        shape=tuple(map(int, value["shape"])),
        dtype=np.dtype(str(value["dtype"])),
        affine=np.asarray(value["affine"], np.float64),
        channels=tuple(map(str, value["channels"])),
        modality=str(value["modality"]),
    )
