"""A report of a result as one HTML file that stands alone.

Styles and pictures are inside the file; it has no script, and a content policy in it
forbids the browser to fetch anything.
"""

from __future__ import annotations

import base64
import importlib.resources
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np

from medjax.core.errors import InputError
from medjax.core.files import replacing

from .statistics import LEVEL, RESAMPLES, Summary, paired_difference, summarize


class MetricInfo(NamedTuple):
    """How a metric is printed and read.

    Attributes:
        unit: as printed, "" for none.
        higher_is_better: which way is good.
        decimals: digits after the point.
    """

    unit: str = ""
    higher_is_better: bool = True
    decimals: int = 3


class Figure(NamedTuple):
    """A picture in a report.

    Attributes:
        png: the file's bytes.
        caption: what it shows, below the picture.
        alt: what it shows, for those who cannot see it; the caption where empty.
    """

    png: bytes
    caption: str
    alt: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report says.

    Attributes:
        title: of the page.
        summary: one or two sentences.
        methods: labels to metrics to values ``(samples,)``: the same metrics and the
            same samples in the same order for every method.
        network: the label of the method that the others are controls of.
        metric_info: for every metric, in the order of the tables.
        figures: in order.
        caveats: what the result does not show; they come first.
        parameters: of the run; nested mappings become dotted names.
        environment: versions, devices, commit.
        timing: what took how long, with its unit in the name or the value.
        splits: how the data was divided.
        seed: of the bootstrap.
    """

    title: str
    summary: str
    methods: Mapping[str, Mapping[str, np.ndarray]]
    network: str
    metric_info: Mapping[str, MetricInfo]
    figures: tuple[Figure, ...] = ()
    caveats: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, Any] = field(default_factory=dict)
    splits: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


def write_report(path: str | os.PathLike[str], report: Report) -> None:
    """Write a report, whole or not at all.

    Args:
        path: of the HTML file, replaced if it exists; folders are made.
        report: what it says.

    Raises:
        InputError: where the methods do not have the same metrics and samples, or
            the network is not among them.
    """
    html = _render(report)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        draft.write_text(html, encoding="utf-8")


def _render(report: Report) -> str:
    _check(report)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = importlib.resources.files(__package__).joinpath("report.html.jinja")
    details = {
        "Data": report.splits,
        "Parameters": report.parameters,
        "Timing": report.timing,
        "Environment": report.environment,
    }
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        report=report,
        tables=[_table(report, name, info) for name, info in report.metric_info.items()],
        pictures=[
            (base64.b64encode(f.png).decode("ascii"), f.caption, f.alt or f.caption)
            for f in report.figures
        ],
        details={name: rows for name, given in details.items() if (rows := _rows(given))},
        level=f"{100 * LEVEL:.0f} %",
        resamples=f"{RESAMPLES:,}",
    )


def _check(report: Report) -> None:
    if report.network not in report.methods:
        raise InputError("report: network", f"one of {', '.join(report.methods)}", report.network)
    metrics = set(report.metric_info)
    for label, values in report.methods.items():
        if set(values) != metrics:
            got = ", ".join(sorted(values))
            raise InputError(f"report: {label}", f"the metrics {', '.join(sorted(metrics))}", got)
        for name, reference in report.methods[report.network].items():
            if np.shape(values[name]) != np.shape(reference):
                expected = f"{name} of {np.size(reference)} samples"
                raise InputError(f"report: {label}", expected, np.shape(values[name]))


def _table(report: Report, name: str, info: MetricInfo) -> dict[str, Any]:
    """One metric's table: a row a method, the difference of the network to each control."""
    network = report.methods[report.network][name]
    rows = []
    for label, values in report.methods.items():
        row: dict[str, Any] = {"label": label, "network": label == report.network}
        summary = summarize(values[name], seed=report.seed)
        row |= _printed(summary, info.decimals, sign="")
        row["n"] = str(summary.count)
        if summary.count < summary.total:
            row["n"] += f" of {summary.total}"
        if not row["network"]:
            gain = paired_difference(network, values[name], seed=report.seed)
            row["gain"] = _printed(gain, info.decimals, sign="+")
            row["verdict"] = _verdict(gain, info)
        rows.append(row)
    return {
        "name": name,
        "unit": info.unit,
        "better": "higher is better" if info.higher_is_better else "lower is better",
        "rows": rows,
    }


def _printed(summary: Summary, decimals: int, *, sign: str) -> dict[str, str]:
    def number(value: float) -> str:
        if math.isnan(value):
            return "–"
        # A true minus: a hyphen may be lost at a line's end.
        return f"{value:{sign}.{decimals}f}".replace("-", "\N{MINUS SIGN}")

    return {
        "mean": number(summary.mean),
        "sd": number(abs(summary.sd)).lstrip("+"),
        "low": number(summary.low),
        "high": number(summary.high),
    }


def _verdict(gain: Summary, info: MetricInfo) -> str:
    """What the interval of the paired difference says, in a word."""
    if not gain.count:
        return "not comparable"
    better, worse = (gain.low > 0, gain.high < 0)
    if not info.higher_is_better:
        better, worse = worse, better
    return "better" if better else "worse" if worse else "not told apart"


def _rows(given: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names and printed values; nested mappings become dotted names."""
    rows: list[tuple[str, str]] = []
    for key, value in given.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += _rows(value, f"{name}.")
        elif isinstance(value, (list, tuple)):
            rows.append((name, ", ".join(map(str, value))))
        else:
            rows.append((name, f"{value:.4g}" if isinstance(value, float) else str(value)))
    return rows
