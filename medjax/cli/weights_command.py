"""``medjax weights import FILE.safetensors --as vit_b16``, ``export RUN``, ``list``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from medjax.core.errors import InputError

from .arguments import Positional, alias, parse

_IMPORT = (
    "Bring another library's checkpoint to medjax's names and layouts. Every tensor must be "
    "used and every parameter filled; whatever is not is listed, and nothing is written."
)
_EXPORT = (
    "The network that a run pretrained, without what its method needed beside it, as "
    "safetensors: 'medjax.models.weights.load_weights' reads them for 'module.apply'."
)
_LIST = "Architectures whose weights can be imported, and the libraries whose names are known."
_HELP = """usage: medjax weights import|export|list [ARGUMENTS]

Weights from elsewhere, and for elsewhere.

commands:
  import  FILE --as NAME  a safetensors file of another library to medjax's own
  export  RUN             the network that a run pretrained, to a safetensors file
  list                    names of the architectures, and whose files they take
"""


@dataclass(kw_only=True)
class ImportOptions:
    file: Positional[Path]
    """The checkpoint, a .safetensors file."""
    architecture: Annotated[str, alias("--as")]
    """A name that 'medjax weights list' prints."""
    output: Annotated[Path | None, alias("-o")] = None
    """A .safetensors file; by default FILE's name with .medjax.safetensors."""
    channels: int | None = None
    """Input channels of the images to come, if others than the checkpoint's."""
    volume: bool = False
    """Inflate a network of images to volumes."""
    image_size: tuple[int, ...] = ()
    """Of a vision transformer: to whose grid of patches its positions are interpolated."""
    drop_head: bool = False
    """Leave the classification head out."""


@dataclass(kw_only=True)
class ExportOptions:
    run: Positional[Path]
    """The folder of a run whose config says what it pretrains."""
    output: Annotated[Path | None, alias("-o")] = None
    """A .safetensors file; by default pretrained.safetensors in RUN."""
    config: Path | None = None
    """The run's config, where it is not found by its content in ./configs or here."""


@dataclass(kw_only=True)
class ListOptions:
    pass


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    commands = {"import": _import, "export": _export, "list": _list}
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(_HELP, end="")
        raise SystemExit(0)
    if name not in commands:
        raise InputError("weights", f"one of {', '.join(commands)}", repr(name))
    commands[name](rest)


def _import(arguments: Sequence[str]) -> None:
    # A field cannot have a name that Python keeps for itself.
    arguments = ["--architecture" if a == "--as" else a for a in arguments]
    options = parse(ImportOptions, arguments, command="weights import", about=_IMPORT)
    output = options.output or options.file.with_suffix(".medjax.safetensors")
    if output.suffix != ".safetensors":
        raise InputError("--output", "a name that ends in .safetensors", output)

    from medjax.core.trees import count
    from medjax.models.weights import import_file, save_weights

    fields = {}
    if options.image_size:
        size = options.image_size
        fields["image_size"] = size[0] if len(size) == 1 else size
    imported = import_file(
        options.file,
        options.architecture,
        channels=options.channels,
        volume=options.volume,
        drop_head=options.drop_head,
        **fields,
    )
    save_weights(output, imported.variables)
    report = imported.report
    print(f"{output}: {options.architecture}, as {imported.naming} names it")
    print(f"  {len(report.filled)} tensors, {count(imported.variables)} parameters")
    for what, names in (("adapted", report.adapted), ("ignored", report.ignored)):
        if names:
            print(f"  {what}: {', '.join(sorted(names))}")


def _export(arguments: Sequence[str]) -> None:
    options = parse(ExportOptions, arguments, command="weights export", about=_EXPORT)
    output = options.output or options.run / "pretrained.safetensors"
    if output.suffix != ".safetensors":
        raise InputError("--output", "a name that ends in .safetensors", output)

    from medjax.core.trees import count
    from medjax.models.weights import save_weights

    from .runs import open_run, trained_state

    experiment, _ = open_run(options.run, options.config)
    if experiment.pretrained is None:
        raise InputError(options.run, "a run whose config sets 'pretrained'", "one without")
    _, state = trained_state(experiment, options.run)
    variables = experiment.pretrained(state)
    save_weights(output, variables)
    print(f"{output}: {count(variables)} parameters of step {int(state.step)}")


def _list(arguments: Sequence[str]) -> None:
    parse(ListOptions, arguments, command="weights list", about=_LIST)
    from medjax.models.weights import entries

    known = entries()
    width = max(map(len, known))
    for name, entry in known.items():
        print(f"{name:<{width}}  {', '.join(entry.namings)}")
