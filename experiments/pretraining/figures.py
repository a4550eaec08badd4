"""The figures of the README, from the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import methods
import numpy as np
import tables
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

FRACTIONS = ("0.01", "0.1", "1")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe & Ito 2008
MARKERS = ("o", "s", "^", "D")
CONTROLS = {"pixels": ("#595959", ":"), "random": ("#595959", "--"), "scratch": ("#000000", "-.")}


def style(which: str) -> dict[str, Any]:
    if which in methods.METHODS:
        number = list(methods.METHODS).index(which)
        return {"color": COLOURS[number], "marker": MARKERS[number]}
    kind, _, network = which.partition("-")
    colour, line = CONTROLS[kind]
    return {"color": colour, "linestyle": line, "marker": "x" if network == "vit" else "+"}


def label_curves(task: dict[str, Any], path: Path) -> None:
    """Balanced accuracy by label fraction: linear probe, neighbours, fine-tuning."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    chosen = ("linear", "neighbours", "tuned")
    for axis, protocol in zip(axes, chosen, strict=True):
        for which, rows in task["found"].items():
            # From scratch there are no features: its one result stands in every panel.
            source = "tuned" if which.startswith("scratch") else protocol
            found = {f: 100 * tables.values(rows, source, f) for f in FRACTIONS}
            points = [
                (float(f), v.mean(), v.std(ddof=1) if v.size > 1 else 0.0)
                for f, v in found.items()
                if v.size
            ]
            if points:
                x, y, error = zip(*points, strict=True)
                axis.errorbar(
                    x, y, error, label=tables.label(which), capsize=3, lw=1.2, ms=5, **style(which)
                )
        axis.set_xscale("log")
        axis.set_xticks([float(f) for f in FRACTIONS], ["1 %", "10 %", "100 %"])
        axis.set_title(tables.PROTOCOLS[protocol])
        axis.set_xlabel("labels")
    axes[0].set_ylabel("balanced accuracy (%)")
    axes[0].legend(fontsize=7, loc="best")
    _save(figure, path)


def training_curves(task: dict[str, Any], path: Path) -> None:
    """Loss, rank, uniformity, alignment and neighbours over the steps, a line a seed."""
    names = ("loss", "rank", "uniformity", "alignment", "neighbours")
    figure = Figure(figsize=(13, 2.8), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(names)), names, strict=True):
        for which, rows in task["found"].items():
            for number, row in enumerate(row for row in rows if "curve" in row):
                line = {**style(which), "marker": None}
                who = None if number else tables.label(which)
                axis.plot(row["curve"]["step"], row["curve"][name], lw=1, label=who, **line)
        axis.set_title(name)
        axis.set_xlabel("step")
        if name == "loss":
            axis.legend(fontsize=6)
    _save(figure, path)


def neighbours(given: Any, task: dict[str, Any], path: Path) -> None:
    """Test images and the training images nearest to them, by method; seed 0."""
    shown = {
        which: rows[0]["nearest"] for which, rows in task["found"].items() if "nearest" in rows[0]
    }
    queries = len(next(iter(shown.values())))
    wide = len(next(iter(shown.values()))[0])
    figure = Figure(figsize=(1.5 * queries * 1.9, 0.42 * wide * len(shown)), layout="constrained")
    panels = figure.subplots(len(shown), queries, squeeze=False)
    for row, (which, found) in zip(panels, shown.items(), strict=True):
        for axis, (query, *near) in zip(row, found, strict=True):
            train, test = given.sets.train, given.sets.test
            images = [test.inputs[query], *train.inputs[near]]
            strip = np.concatenate([_picture(image) for image in images], axis=1)
            axis.imshow(strip, cmap="gray", vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
            right = sum(train.labels[i] == test.labels[query] for i in near)
            axis.set_title(f"{given.names[test.labels[query]]}: {right} of {len(near)}", fontsize=7)
        row[0].set_ylabel(tables.label(which).replace(" (", "\n("), fontsize=7)
    _save(figure, path)


def _picture(image: np.ndarray) -> np.ndarray:
    """From 0 to 1 with a white edge; of a volume its middle plane."""
    plane = image[..., 0]
    plane = plane[:, plane.shape[1] // 2] if plane.ndim == 3 else plane
    low, high = np.percentile(plane, [1, 99])
    plane = np.clip((plane - low) / max(high - low, 1e-6), 0, 1).T[::-1]
    return np.pad(plane, 1, constant_values=1.0)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)
