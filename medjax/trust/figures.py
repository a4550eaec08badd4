"""Figures of results.

Every figure is an object of its own, without pyplot and its global state. Colours
are those of Okabe & Ito (2008), which colour-blind readers can tell apart, and no
meaning rests on colour alone, so that a grey print says the same.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from medjax.core.errors import InputError

BLUE, VERMILION, ORANGE = "#0072B2", "#D55E00", "#E69F00"
GREY = "#595959"
ERRORS = "inferno"


def comparison(
    truth: np.ndarray,
    methods: Mapping[str, np.ndarray],
    *,
    labels: Mapping[str, str] | None = None,
    window: tuple[float, float] | None = None,
    origin: str = "upper",
) -> Figure:
    """Truth and methods side by side, a detail of each, and the methods' errors.

    Args:
        truth: real image ``(y, x)``.
        methods: names, as printed, to images of the same shape.
        labels: a line under a method's name, as "28.1 dB / 0.91".
        window: the two values drawn black and white, by default 0 (or the truth's
            minimum, where it is negative) and the truth's 99.5th percentile.
        origin: whether row 0 is drawn ``"upper"`` or ``"lower"``.

    Returns:
        A figure with one grey window for all images and one scale for all absolute
        errors. The detail is where the truth has the largest total variation,
        chosen without a look at the methods.

    Raises:
        InputError: for images of other shapes, complex or not finite, or no method.
    """
    truth = _image("truth", truth, None)
    images = {name: _image(name, image, truth.shape) for name, image in methods.items()}
    if not images:
        raise InputError("methods", "at least one method", "none")
    if origin == "lower":
        truth, images = truth[::-1], {name: image[::-1] for name, image in images.items()}
    low, high = window or (min(0.0, float(truth.min())), float(np.percentile(truth, 99.5)))
    grey = Normalize(low, high if high > low else low + 1.0)
    errors = {name: np.abs(image - truth) for name, image in images.items()}
    worst = max(float(np.percentile(error, 99.5)) for error in errors.values())
    scale = Normalize(0.0, worst or 1.0)
    detail, corner, size = _detail(truth)

    columns = len(images) + 1
    tall, wide = truth.shape
    width = 2.1 * columns + 0.5
    rows = 2 * tall / wide + 1  # the detail is square
    figure = Figure(figsize=(width, 2.1 * rows + 0.65), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    axes = figure.subplots(3, columns, height_ratios=(tall / wide, 1, tall / wide))
    for column, (name, image) in enumerate([("Truth", truth), *images.items()]):
        _picture(axes[0, column], image, grey, "gray")
        _picture(axes[1, column], image[detail], grey, "gray")
        _heading(axes[0, column], name, (labels or {}).get(name, ""))
    axes[0, 0].add_patch(Rectangle(corner, size, size, fill=False, color=ORANGE, lw=1.2))
    axes[2, 0].set_axis_off()
    axes[2, 0].text(0.96, 0.5, "Absolute error", ha="right", va="center", fontsize=9)
    for column, error in enumerate(errors.values(), start=1):
        drawn = _picture(axes[2, column], error, scale, ERRORS)
    bar = figure.colorbar(
        drawn, ax=axes[2, :].tolist(), extend="max", extendfrac=0.03, fraction=0.03, pad=0.01
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, color=GREY)
    bar.locator = MaxNLocator(4)
    bar.update_ticks()
    return figure


def curves(records: Sequence[Mapping[str, Any]]) -> Figure:
    """Training loss and validation metrics over steps.

    Args:
        records: as logged, in order. Each has ``step``, and may have ``loss``, of
            training, and names that begin with ``validation/``. NaN and None are
            not drawn.

    Returns:
        The loss on a logarithmic scale, raw and smoothed (a running mean over 1/50 of
        the run), and below it one panel for each validation metric.

    Raises:
        InputError: where there is nothing to draw.
    """
    prefix = "validation/"
    loss = _series(records, "loss")
    names = list(dict.fromkeys(k for r in records for k in r if k.startswith(prefix)))
    panels = [("Training loss", loss)] if loss[0].size else []
    panels += [(name.removeprefix(prefix), _series(records, name)) for name in names]
    if not panels:
        raise InputError("records", f"entries named loss or {prefix}...", f"{len(records)} records")

    figure = Figure(figsize=(6.4, 0.5 + 1.9 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (title, (steps, values)) in zip(axes, panels, strict=True):
        _plain(ax)
        ax.set_title(title, loc="left", fontsize=10)
        if values is loss[1]:
            ax.plot(steps, values, color=BLUE, lw=0.6, alpha=0.45)
            ax.plot(steps, _smooth(values), color=BLUE, lw=1.6)
            if np.all(values > 0):
                ax.set_yscale("log")
        else:
            ax.plot(steps, values, color=VERMILION, lw=1.4, marker="o", ms=3)
            ax.yaxis.set_major_locator(MaxNLocator(4))
    axes[-1].set_xlabel("Step", fontsize=9)
    axes[-1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure


def distribution(values: Mapping[str, np.ndarray], *, metric: str, unit: str) -> Figure:
    """Every sample's value for every method, joined by lines, with the medians.

    Args:
        values: names, as printed, to ``(samples,)``, the same samples in one order.
        metric: what the values are.
        unit: its unit, "" for none.

    Returns:
        A figure whose axis spans the values (a dot plot needs no zero) and says how
        many samples it shows. Samples without a finite value for every method are
        left out and counted.

    Raises:
        InputError: for no method, unequal numbers of samples, or nothing finite.
    """
    sizes = {name: np.shape(v) for name, v in values.items()}
    if not sizes or len(set(sizes.values())) != 1 or len(next(iter(sizes.values()))) != 1:
        raise InputError("values", "the same samples (samples,) for every method", sizes)
    table = np.stack([np.asarray(v, np.float64) for v in values.values()], axis=1)
    shown = table[np.isfinite(table).all(axis=1)]
    if not len(shown):
        raise InputError("values", "a sample that is finite for every method", "none")

    columns = np.arange(table.shape[1])
    figure = Figure(figsize=(1.6 + 1.3 * len(columns), 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    _plain(ax)
    faint = float(np.clip(12 / len(shown), 0.05, 0.5))
    ax.plot(columns, shown.T, color=GREY, lw=0.7, alpha=faint, zorder=1)
    for column in columns:
        ax.plot(
            np.full(len(shown), column), shown[:, column], "o", ms=4, mew=0, zorder=2,
            color=BLUE, alpha=float(np.clip(30 / len(shown), 0.15, 0.7)),
        )  # fmt: skip
        median = float(np.median(shown[:, column]))
        ax.plot([column - 0.2, column + 0.2], [median] * 2, color="black", lw=2.2, zorder=3)
        ax.annotate(
            f"{median:.3g}", (column + 0.2, median), (4, 0), textcoords="offset points",
            va="center", fontsize=9, fontweight="bold",
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )  # fmt: skip
    ax.set_xlim(-0.5, len(columns) - 0.3)
    ax.set_xticks(columns, [textwrap.fill(name, 14) for name in values], fontsize=9)
    ax.tick_params(axis="x", length=0)
    ax.set_ylabel(f"{metric} [{unit}]" if unit else metric, fontsize=9)
    left_out = len(table) - len(shown)
    note = f"n = {len(shown)}; bars: medians"
    ax.set_title(
        note + (f"; {left_out} not finite, left out" if left_out else ""),
        loc="left", fontsize=8, color=GREY,
    )  # fmt: skip
    return figure


def png(figure: Figure, dpi: int = 150) -> bytes:
    """A figure as a PNG file; equal figures give equal bytes.

    Args:
        figure: any of this module's.
        dpi: dots per inch; 150 for the screen, 300 for print.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _image(what: str, image: np.ndarray, shape: tuple[int, ...] | None) -> np.ndarray:
    image = np.asarray(image)
    if image.ndim != 2 or np.iscomplexobj(image) or (shape and image.shape != shape):
        expected = f"a real image {shape or '(y, x)'}"
        raise InputError(what, expected, f"{image.dtype} {image.shape}")
    if not np.isfinite(image).all():
        raise InputError(what, "finite values", "NaN or infinity")
    return image.astype(np.float64)


def _detail(truth: np.ndarray) -> tuple[tuple[slice, slice], tuple[float, float], int]:
    """The square, a third of the shorter side, with the largest total variation of the truth."""
    steps = sum(np.abs(np.diff(truth, axis=a, prepend=truth.take([0], a))) for a in (0, 1))
    size = max(2, min(truth.shape) // 3)
    step = max(1, size // 8)
    corners = [
        (y, x)
        for y in range(0, truth.shape[0] - size + 1, step)
        for x in range(0, truth.shape[1] - size + 1, step)
    ]
    y, x = max(corners, key=lambda c: steps[c[0] : c[0] + size, c[1] : c[1] + size].sum())
    return (slice(y, y + size), slice(x, x + size)), (x - 0.5, y - 0.5), size


def _picture(ax: Axes, image: np.ndarray, scale: Normalize, colours: str) -> Any:
    ax.set_axis_off()
    return ax.imshow(image, cmap=colours, norm=scale, interpolation="nearest")


def _heading(ax: Axes, name: str, label: str) -> None:
    ax.set_title(textwrap.fill(name, 24), fontsize=9, fontweight="bold", pad=16)
    ax.annotate(
        label, (0.5, 1), (0, 4), xycoords="axes fraction", textcoords="offset points",
        ha="center", fontsize=9,
    )  # fmt: skip


def _plain(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(labelsize=8, color=GREY, which="both")
    ax.grid(axis="y", color="#E5E5E5", lw=0.6)
    ax.set_axisbelow(True)


def _series(records: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and finite values of one name: a run that diverged is drawn up to there."""
    points = np.array([(r["step"], r[name]) for r in records if name in r], np.float64)
    points = points.reshape(-1, 2)
    steps, values = points[np.isfinite(points).all(axis=1)].T
    return steps, values


def _smooth(values: np.ndarray) -> np.ndarray:
    """A centred running mean, narrower at the ends so that it invents no values."""
    half = max(1, len(values) // 100)
    total = np.cumsum(np.concatenate([[0.0], values]))
    index = np.arange(len(values))
    reach = np.minimum(half, np.minimum(index, len(values) - 1 - index))
    return (total[index + reach + 1] - total[index - reach]) / (2 * reach + 1)
