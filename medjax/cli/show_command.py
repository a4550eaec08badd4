"""``medjax show CONFIG.py``: what a config would make, without making it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .arguments import (
    Positional,
    about,
    config_of,
    load_config,
    parameters_of,
    parse,
    with_parameters,
)
from .runs import make
from .show_ahead import print_ahead
from .show_layout import print_parameters, print_placement, print_shapes

_ABOUT = (
    "Parameters of CONFIG, shapes through its network, memory and where each array is placed; "
    "nothing is allocated. With --topology, the training step is compiled for that TPU slice: "
    "memory, operations, collectives, and the time that a step cannot beat."
)


@dataclass(kw_only=True)
class Options:
    config: Positional[Path]
    """A Python file with a function 'experiment'; its parameters are options too."""
    topology: str | None = None
    """Compile the training step for a TPU slice, for example v5e:4x4. Needs the extra
    'tpu', but no TPU."""


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    config = config_of(arguments)
    if config is None:
        parse(Options, arguments, command="show", about=_ABOUT)
    function = load_config(Path(config))
    kind = with_parameters(Options, function)
    options = parse(kind, arguments, command=f"show {config}", about=about(function))
    parameters = parameters_of(function, options)
    where = None
    if options.topology is not None:
        from medjax.training.ahead import tpu_slice

        where = tpu_slice(options.topology)

    from rich.console import Console

    from medjax.training import place

    console = Console(highlight=False)
    experiment = make(function, parameters, options.config)
    if where is not None:
        experiment, parameters = _fit_batch(
            function, experiment, parameters, options.config, where.devices, console
        )
    print_parameters(console, experiment, parameters)
    print_shapes(console, experiment)
    placed = place(experiment, None if where is None else where.devices)
    print_placement(console, placed)
    if where is not None:
        print_ahead(console, placed, where)


def _fit_batch(
    function: Any, experiment: Any, parameters: Any, config: Path, devices: Any, console: Any
) -> tuple[Any, Any]:
    """A config made for one machine has a batch smaller than a slice has chips."""
    import jax

    parts = experiment.placement.parts(experiment.placement.mesh(devices))
    size = jax.tree.leaves(experiment.example)[0].shape[0]
    if size % parts == 0 or "batch_size" not in parameters:
        return experiment, parameters
    larger = math.ceil(size / parts) * parts
    console.print(f"batch_size {size} does not divide over {parts} chips: shown for {larger}\n")
    parameters = {**parameters, "batch_size": larger}
    return make(function, parameters, config), parameters
