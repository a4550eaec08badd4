"""What a person should look at: cases unlike the others, clipped, unlabelled or there twice.

A number is unlike the others where it is further from their median than 3.5 standard
deviations, as the median absolute deviation tells these (Iglewicz & Hoaglin 1993, How to
Detect and Handle Outliers), and further than a least distance that matters.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_FEWEST = 5  # cases: of fewer, none is unlike the others
_DEVIATIONS = 3.5
_TO_DEVIATION = 1.4826  # of a normal distribution's median absolute deviation
_CLIPPED = 0.01  # of the voxels, at the highest value
_SELDOM, _MOSTLY = 0.1, 0.9  # of the cases that have labels

Records = Mapping[str, Mapping[str, Any]]


def outliers(records: Records) -> dict[str, list[str]]:
    """What is odd about each case that is.

    Args:
        records: case to what preparing it recorded.

    Returns:
        Case to findings in words, in the order of the records.
    """
    found: dict[str, list[str]] = defaultdict(list)
    if not records:
        return {}
    for check in (_grids, _intensities, _labels, _duplicates):
        for case, text in check(records):
            found[case].append(text)
    return {case: found[case] for case in records if case in found}


def unlike(values: Sequence[float] | np.ndarray, least: float) -> np.ndarray:
    """Which values are unlike the others, bool, as long as there are enough of them."""
    numbers = np.asarray(values, np.float64)
    if len(numbers) < _FEWEST:
        return np.zeros(len(numbers), bool)
    away = np.abs(numbers - np.median(numbers))
    return away > max(_DEVIATIONS * _TO_DEVIATION * float(np.median(away)), least)


def _grids(records: Records) -> list[tuple[str, str]]:
    found = []
    ids = list(records)
    spacings = np.asarray([_padded(r["source"]["spacing"]) for r in records.values()])
    shapes = np.asarray([_padded(r["source"]["shape"]) for r in records.values()])
    for what, values, least, unit in (
        ("spacing", spacings, 1.2, " mm"),
        ("shape", shapes, 1.5, ""),
    ):
        # Sorted, as axes may be stored in any order.
        logs = np.log(np.sort(values, axis=1))
        odd = np.any([unlike(column, math.log(least)) for column in logs.T], axis=0)
        usual = _times(np.exp(np.median(logs, axis=0)))
        for i in np.flatnonzero(odd):
            text = f"{what} {_times(values[i])}{unit} (usual, sorted: {usual}{unit})"
            found.append((ids[i], text))
    return found


def _intensities(records: Records) -> list[tuple[str, str]]:
    found = []
    channels = dict.fromkeys(c for r in records.values() for c in r["statistics"])
    for channel in channels:
        known = {case: r["statistics"] for case, r in records.items()}
        rows = {case: s[channel] for case, s in known.items() if channel in s}
        name = f"{channel}: " if channel else ""
        for case, row in rows.items():
            if row["min"] == row["max"]:
                found.append((case, f"{name}one value everywhere"))
            elif row["at_max"] > _CLIPPED:
                found.append((case, f"{name}{row['at_max']:.1%} of voxels at the highest value"))
        least = 0.25 * float(np.median([row["sd"] for row in rows.values()]))
        for key, text in (
            ("mean", "mean"),
            ("sd", "standard deviation"),
            ("p99", "99th percentile"),
        ):
            values = [row[key] for row in rows.values()]
            for case, value, odd in zip(rows, values, unlike(values, least), strict=True):
                if odd:
                    usual = float(np.median(values))
                    found.append((case, f"{name}{text} {value:.4g} (usual: {usual:.4g})"))
        shares = [row["at_min"] for row in rows.values()]
        for case, share, odd in zip(rows, shares, unlike(shares, 0.25), strict=True):
            if odd:
                found.append((case, f"{name}{share:.0%} of voxels at the lowest value"))
    return found


def _labels(records: Records) -> list[tuple[str, str]]:
    found = []
    labelled = {case: set(r["labels"]) - {"0"} for case, r in records.items() if r["labels"]}
    shares = label_shares(records)
    for case, labels in labelled.items():
        if not labels:
            found.append((case, "an empty label"))
            continue
        if len(labelled) < _FEWEST:
            continue
        seldom = [v for v in shares if v in labels and shares[v] <= _SELDOM]
        missing = [v for v in shares if v not in labels and shares[v] >= _MOSTLY]
        if seldom:
            found.append((case, f"labels that few cases have: {', '.join(seldom)}"))
        if missing:
            found.append((case, f"no label {', '.join(missing)}, which most cases have"))
    return found


def label_shares(records: Records) -> dict[str, float]:
    """The part of the labelled cases that have each label, smallest label first."""
    labelled = [r["labels"] for r in records.values() if r["labels"]]
    values = sorted({v for labels in labelled for v in labels if v != "0"}, key=int)
    return {v: sum(v in labels for labels in labelled) / len(labelled) for v in values}


def _duplicates(records: Records) -> list[tuple[str, str]]:
    same = defaultdict(list)
    for case, record in records.items():
        same[record["voxels"]].append(case)
    return [
        (case, f"the same voxels as {', '.join(c for c in cases if c != case)}")
        for cases in same.values()
        if len(cases) > 1
        for case in cases
    ]


def _padded(numbers: Sequence[float]) -> list[float]:
    return [*(float(n) for n in numbers), 1.0][:3]


def _times(numbers: Sequence[float] | np.ndarray) -> str:
    return " × ".join(f"{n:.4g}" for n in numbers)
