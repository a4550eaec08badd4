"""``medjax list [models|operators|...] [NAME]``."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medjax.core.errors import InputError

from .arguments import Positional, parse

if TYPE_CHECKING:
    from rich.console import Console

_KINDS = {
    "models": "medjax.models:MODELS",
    "operators": "medjax.physics:OPERATORS",
    "reconstructions": "medjax.physics:RECONSTRUCTIONS",
    "artefacts": "medjax.physics:ARTEFACTS",
    "losses": "medjax.losses:LOSSES",
    "metrics": "medjax.metrics:METRICS",
    "learners": "medjax.learners:LEARNERS",
    "samplers": "medjax.learners.diffusion:SAMPLERS",
    "detectors": "medjax.learners.anomaly:DETECTORS",
    "protocols": "medjax.training.protocols:PROTOCOLS",
    "sources": "medjax.data:SOURCES",
    "harmonisers": "medjax.harmonise:HARMONISERS",
    "policies": "medjax.augment.policy:PRESETS",
    "formats": "medjax.data.formats:FORMATS",
}


@dataclass(kw_only=True)
class Options:
    kind: Positional[str] = "all"
    """models, operators, reconstructions, artefacts, losses, metrics, learners, samplers,
    detectors, protocols, sources, harmonisers, policies, formats,
    datasets (public ones), or all but these."""
    name: Positional[str] = ""
    """Of a public data set: its terms, its layout, where to apply."""


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    options = parse(Options, arguments, command="list", about="What medjax holds, by name.")
    if options.kind not in (*_KINDS, "datasets", "all"):
        raise InputError("KIND", f"one of {', '.join(_KINDS)}, datasets", options.kind)
    if options.name and options.kind != "datasets":
        raise InputError("NAME", "a name after 'datasets' only", options.name)
    from rich.console import Console

    console = Console()
    if options.name:
        _print_card(console, options.name)
        return
    for kind, target in _KINDS.items():
        if options.kind in (kind, "all"):
            _print_registry(console, kind, target)
    if options.kind == "datasets":
        _print_cards(console)


def _print_registry(console: Console, kind: str, target: str) -> None:
    from rich.table import Table

    module, attribute = target.split(":")
    registry = getattr(importlib.import_module(module), attribute)
    table = Table(title=kind, title_justify="left", show_header=False, box=None, padding=(0, 2))
    for name in sorted(registry):
        table.add_row(f"[bold]{name}[/bold]", registry.summary(name).replace("`", ""))
    console.print(table)


def _print_cards(console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from medjax.data.benchmarks import CARDS

    title = "public data sets; 'medjax list datasets NAME' tells the terms and the layout"
    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2))
    table.add_column(no_wrap=True)
    for card in CARDS.values():
        what = f"{card.modality}, {card.task}: {card.subjects}; {card.size}"
        terms = f"{card.licence}; {card.page.split()[0]}"
        table.add_row(Text(card.name, "bold"), Text(f"{what}\n{terms}", overflow="fold"))
    console.print(table)


def _print_card(console: Console, name: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from medjax.data.benchmarks import card

    one = card(name)
    table = Table(show_header=False, box=None, padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "what it is": one.about,
        "modality": one.modality,
        "task": one.task,
        "subjects": one.subjects,
        "size": one.size,
        "licence": one.licence,
        "terms": one.terms,
        "where to apply": one.page,
        "splits": one.splits,
        "channels": ", ".join(one.channels),
        "labels": ", ".join(f"{value} {label}" for value, label in one.labels.items()),
        "classes": ", ".join(one.classes),
        "boxes": ", ".join(one.box),
        "cite": one.citation,
    }
    for heading, text in rows.items():
        if text:
            table.add_row(Text(heading, "bold"), Text(text))
    console.print(Text(f"{one.name}: {one.title}", "bold"))
    console.print(table)
    console.print(Text("layout", "bold"))
    console.print(Text(one.layout), soft_wrap=True)
