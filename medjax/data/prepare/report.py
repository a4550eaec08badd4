"""A report of a prepared store: one HTML file that stands alone, and the same as JSON.

It names cases, not subjects. Styles and pictures are inside the file; it has no script,
and a content policy in it forbids the browser to fetch anything.
"""

from __future__ import annotations

import base64
import importlib.resources
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from medjax.data.store import Store
from medjax.data.store.layout import folder, get_json, put, put_json

from .outliers import Records, label_shares, outliers
from .records import read_records
from .thumbnails import picture

HTML, JSON = "report.html", "report.json"

MOST_PICTURES = 60
MOST_ROWS = 1000
_COLUMNS = ("min", "p1", "p50", "p99", "max", "mean", "sd")


def refresh_report(
    store: str | Path, settings: Mapping[str, Any], skipped: Mapping[str, str], *, new: bool
) -> None:
    """Write ``report.html`` and ``report.json`` into a store, if they have anything new to say.

    Args:
        store: finished; of its cases, those that have records are told of.
        settings: of the store.
        skipped: case to why it could not be prepared.
        new: whether the cases changed.
    """
    place = folder(store)
    last = get_json(place, JSON, what=store)
    if not new and isinstance(last, dict) and last.get("skipped") == skipped:
        return
    opened = Store(store)
    records = read_records(store, (case.id for case in opened.cases))
    told = summary(records, settings, skipped)
    title = str(store).rstrip("/").rpartition("/")[2]
    page = html(title, told, lambda case: picture(opened, case))
    put(place, HTML, page.encode(), what=store)
    put_json(place, JSON, told, what=store)


def summary(
    records: Records, settings: Mapping[str, Any], skipped: Mapping[str, str]
) -> dict[str, Any]:
    """What there is to say, as JSON: ``report.json``.

    Args:
        records: case to what preparing it recorded.
        settings: of the store.
        skipped: case to why it could not be prepared.
    """
    shapes = np.asarray([_three(r["shape"]) for r in records.values()], np.float64).reshape(-1, 3)
    return {
        "cases": len(records),
        "labelled": sum(bool(r["labels"]) for r in records.values()),
        "skipped": dict(skipped),
        "settings": dict(settings),
        "median shape": np.median(shapes, axis=0).tolist() if len(shapes) else [],
        "labels": label_shares(records),
        "outliers": outliers(records),
        "records": {
            case: {
                "source shape": record["source"]["shape"],
                "source spacing": record["source"]["spacing"],
                "shape": record["shape"],
                "statistics": record["statistics"],
                "labels": record["labels"],
            }
            for case, record in records.items()
        },
    }


def html(title: str, told: Mapping[str, Any], drawn: Callable[[str], bytes]) -> str:
    """The page: ``report.html``.

    Args:
        title: of the store.
        told: as `summary` has it.
        drawn: case to a PNG file; asked for some cases only: those that are odd, and
            others evenly from the rest, at most `MOST_PICTURES` of each.
    """
    odd = told["outliers"]
    rest = [case for case in told["records"] if case not in odd]
    shown = {
        "Odd cases": _evenly(list(odd), MOST_PICTURES),
        "Cases" if odd else "All cases": _evenly(rest, MOST_PICTURES),
    }
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = importlib.resources.files(__package__).joinpath("report.html.jinja")
    rows = [*odd, *rest][:MOST_ROWS]
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        title=title,
        told=told,
        settings=_rows(told["settings"]),
        columns=_COLUMNS,
        rows=[_row(case, told["records"][case], case in odd) for case in rows],
        left_out=len(told["records"]) - len(rows),
        pictures={
            name: [
                (case, odd.get(case, ()), base64.b64encode(drawn(case)).decode("ascii"))
                for case in cases
            ]
            for name, cases in shown.items()
            if cases
        },
        labels=[(value, f"{share:.0%}") for value, share in told["labels"].items()],
    )


def _row(case: str, record: Mapping[str, Any], odd: bool) -> dict[str, Any]:
    return {
        "case": case,
        "odd": odd,
        "grid": f"{_times(record['source shape'])}, {_times(record['source spacing'])} mm",
        "shape": _times(record["shape"]),
        "channels": [
            (name, [f"{numbers[column]:.4g}" for column in _COLUMNS])
            for name, numbers in record["statistics"].items()
        ],
        "labels": len(set(record["labels"]) - {"0"}) if record["labels"] else "–",
    }


def _evenly(cases: Sequence[str], most: int) -> list[str]:
    """At most so many, from the first to the last."""
    if len(cases) <= most:
        return list(cases)
    return [cases[round(i * (len(cases) - 1) / (most - 1))] for i in range(most)]


def _three(numbers: Sequence[float]) -> list[float]:
    return [*numbers, 1][:3]


def _times(numbers: Sequence[float]) -> str:
    return " × ".join(f"{n:.4g}" for n in numbers)


def _rows(given: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names and values in words; nested names are joined by a point."""
    rows: list[tuple[str, str]] = []
    for name, value in given.items():
        if isinstance(value, Mapping):
            rows += _rows(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", _words(value)))
    return rows


def _words(given: object) -> str:
    if isinstance(given, (list, tuple)):
        return ", ".join(map(_words, given)) or "–"
    if isinstance(given, bool) or given is None:
        return {None: "–", True: "yes", False: "no"}[given]
    return f"{given:.6g}" if isinstance(given, float) else str(given)
