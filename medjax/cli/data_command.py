"""``medjax data prepare SOURCE STORE``, ``data check STORE``, ``data show STORE_OR_FILE``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medjax.core.errors import InputError

from .arguments import Positional, parse

if TYPE_CHECKING:
    from medjax.data import Header
    from medjax.data.store import Store

_PREPARE = (
    "Bring a folder of scans, a BIDS tree, an nnU-Net raw folder, a CSV or JSON manifest, or a "
    "public data set, to one grid and scale, in a store that is read by the patch. Goes on "
    "where it was stopped; does nothing where nothing changed."
)
_CHECK = "Read all of a prepared store and verify every checksum."
_SHOW = "What a prepared store or the header of an image file says."
_HELP = """usage: medjax data prepare|check|show [ARGUMENTS]

Scans for training.

commands:
  prepare  SOURCE STORE  scans to a prepared store, with a report
  check    STORE         verify every checksum of a prepared store
  show     PATH          what a prepared store or an image file holds
"""
_MOST = 20  # cases that are shown


@dataclass(kw_only=True)
class PrepareOptions:
    source: Positional[Path]
    """A folder of images (or folders images/ and labels/), a BIDS tree, an nnU-Net raw folder,
    a manifest ending in .csv or .json (columns id, subject, session, image or image:CHANNEL,
    label, split, others), a folder of slides, or a public data set's folder."""
    store: Positional[str]
    """A folder to be made, or a URL (gs://, s3://)."""
    dataset: str | None = None
    """A public data set's name ('medjax list datasets'), where SOURCE is in its layout."""
    channels: tuple[str, ...] = ()
    """Which modalities to take, in this order; all where not given."""
    label_maps: bool = False
    """The files of a plain folder are label maps without images."""
    spacing: tuple[str, ...] = ()
    """Millimetres along x, y, z, or 'median' as nnU-Net plans it; each scan's own if not given."""
    interpolation: str = "cubic"
    """Of images, cubic or linear. Labels keep their values."""
    crop: bool = False
    """To the box of what is not 0 in image or label."""
    normalise: tuple[str, ...] = ("none",)
    """none, zscore, zscore-foreground, percentile, ct-window LOW HIGH, or histogram."""
    values: str = "int16"
    """How fractions are stored: int16 (65535 levels of a channel's range) or float32."""
    deface: bool = False
    """Make the faces of head scans background."""
    resample_labels: bool = False
    """Put labels on their image's grid, where theirs is another."""
    workers: int | None = None
    """Processes, each with one case in memory; by default one a core."""
    on_error: str = "stop"
    """At a case that cannot be prepared: stop, or skip it and list it."""


@dataclass(kw_only=True)
class CheckOptions:
    store: Positional[str]
    """A prepared store: a folder or URL."""


@dataclass(kw_only=True)
class ShowOptions:
    path: Positional[str]
    """A prepared store, an image file, or the folder of a DICOM series."""


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    commands = {"prepare": _prepare, "check": _check, "show": _show}
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(_HELP, end="")
        raise SystemExit(0)
    if name not in commands:
        raise InputError("data", f"one of {', '.join(commands)}", repr(name))
    return commands[name](rest)


def _prepare(arguments: Sequence[str]) -> int:
    options = parse(PrepareOptions, arguments, command="data prepare", about=_PREPARE)

    from medjax.data.prepare import Settings, prepare
    from medjax.data.prepare.normalise import normalisation

    settings = Settings(
        spacing=_spacing(options.spacing),
        interpolation=options.interpolation,
        crop=options.crop,
        normalise=normalisation(options.normalise),
        values=options.values,
        deface=options.deface,
        resample_labels=options.resample_labels,
        channels=options.channels,
    )
    outcome = prepare(
        options.source,
        options.store,
        settings,
        dataset=options.dataset,
        label_maps=options.label_maps,
        workers=options.workers,
        on_error=options.on_error,
        shown=True,
    )
    for case, reason in outcome.skipped.items():
        print(f"skipped {case}: {reason}")
    counts = f"{outcome.prepared} prepared, {outcome.kept} there already"
    counts += f", {len(outcome.skipped)} skipped" if outcome.skipped else ""
    counts += f", {outcome.others} of other sources" if outcome.others else ""
    print(f"{counts}: {options.store}")
    return 0


def _check(arguments: Sequence[str]) -> int:
    options = parse(CheckOptions, arguments, command="data check", about=_CHECK)

    from medjax.data.store import Store

    store = Store(options.store)
    damaged = store.check()
    for reason in damaged.values():
        print(reason)
    if damaged:
        got = f"{len(damaged)} of {len(store)} damaged ({', '.join(list(damaged)[:_MOST])})"
        raise InputError(options.store, "cases as they were written", got)
    print(f"{len(store)} cases as they were written: {options.store}")
    return 0


def _show(arguments: Sequence[str]) -> int:
    options = parse(ShowOptions, arguments, command="data show", about=_SHOW)

    from medjax.data import read_header
    from medjax.data.store import Store

    path = Path(options.path)
    if "://" in options.path or (path / "settings.json").is_file():
        _print_store(Store(options.path))
    else:
        _print_header(read_header(path))
    return 0


def _spacing(words: Sequence[str]) -> tuple[float, float, float] | str | None:
    from medjax.data.prepare.steps import MEDIAN

    if not words or tuple(words) == (MEDIAN,):
        return words[0] if words else None
    try:
        x, y, z = (float(word) for word in words)
    except ValueError:
        expected = f"three lengths in mm, or {MEDIAN}"
        raise InputError("--spacing", expected, " ".join(words)) from None
    return x, y, z


def _print_header(header: Header) -> None:
    from nibabel import aff2axcodes

    rows = {
        "shape": _times(header.shape),
        "type": header.dtype.name,
        "spacing": f"{_times(header.spacing)} mm",
        "axes run to": " ".join(aff2axcodes(header.affine)[: header.ndim]),
        "first voxel at": ", ".join(f"{n:.6g}" for n in header.affine[:3, 3]) + " mm (RAS)",
        "channels": ", ".join(header.channels) or "–",
        "modality": header.modality or "–",
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")


def _print_store(store: Store) -> None:
    import json

    from rich.console import Console
    from rich.table import Table

    console = Console()
    subjects = len({case.subject for case in store.cases})
    size = sum(entry.nbytes for case in store.cases for entry in case.entries.values())
    console.print(f"{len(store)} cases of {subjects} subjects, {size / 1e9:.3g} GB uncompressed")
    for name, value in store.settings.items():
        console.print(f"  {name}: {json.dumps(value)}", highlight=False, soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("case", "entry", "shape", "spacing, mm", "type", "mean ± sd", "labels"):
        table.add_column(column, overflow="fold")
    for case in store.cases[:_MOST]:
        for number, (name, entry) in enumerate(case.entries.items()):
            whole = entry.statistics.get("whole")
            values = zip(whole["mean"], whole["sd"], strict=True) if whole else ()
            table.add_row(
                "" if number else case.id,
                name,
                _times(entry.shape),
                _times(entry.spacing),
                entry.dtype.name,
                ", ".join(f"{mean:.4g} ± {sd:.4g}" for mean, sd in values) or "–",
                str(len(entry.counts)) if entry.kind == "label" else "–",
            )
    console.print(table)
    if len(store) > _MOST:
        console.print(f"and {len(store) - _MOST} more")


def _times(numbers: Sequence[float]) -> str:
    return " × ".join(f"{n:.4g}" for n in numbers)
