"""``medjax predict RUN INPUT... -o OUTPUT``: a trained run on a user's own files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from medjax.core.errors import InputError

from .arguments import Positional, alias, parse
from .runs import open_run, trained_state

_ABOUT = (
    "Apply a trained run to files and write NIfTI on each input's own grid. What inputs "
    "are understood is up to the run's config."
)
_SUFFIXES = (".nii.gz", ".nii")


@dataclass(kw_only=True)
class Options:
    run: Positional[Path]
    """The folder of a trained run."""
    inputs: Positional[tuple[Path, ...]]
    """One or more files, or folders of one DICOM series each."""
    output: Annotated[Path, alias("-o")]
    """A .nii or .nii.gz file for one input, else a folder."""
    config: Path | None = None
    """The run's config, where it is not found by its content in ./configs or here."""
    overwrite: bool = False
    """Replace outputs that exist."""


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    options = parse(Options, arguments, command="predict", about=_ABOUT)
    targets = _targets(options)

    import functools

    import jax

    from medjax.core.progress import progress
    from medjax.data import write_image

    experiment, _ = open_run(options.run, options.config)
    if experiment.predictor is None:
        raise InputError(options.run, "a config with a predictor", "one without")
    _, state = trained_state(experiment, options.run)
    predict = functools.partial(jax.jit(experiment.learner.predict), state)
    with progress("predicting", len(targets)) as update:
        for done, (path, target) in enumerate(targets.items()):
            update(done, path.name)
            image = experiment.predictor(predict, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_image(target, image)
        update(len(targets))
    for target in targets.values():
        print(target)


def _targets(options: Options) -> dict[Path, Path]:
    """Where each input's output goes; everything that can be refused is refused here."""
    if not options.inputs:
        raise InputError("INPUT", "at least one file", "none")
    for path in options.inputs:
        if not path.exists():
            raise InputError(path, "a file", "no such file")
    if options.output.name.endswith(_SUFFIXES):
        if len(options.inputs) > 1:
            raise InputError(options.output, "a folder for several inputs", "a file name")
        targets = {options.inputs[0]: options.output}
    else:
        if options.output.is_file():
            raise InputError(options.output, "a folder, or a name in .nii or .nii.gz", "a file")
        if options.output.suffix and not options.output.is_dir():
            raise InputError(options.output, "a folder, or a name in .nii or .nii.gz", "another")
        targets = {p: options.output / f"{_stem(p)}_predicted.nii.gz" for p in options.inputs}
    if len(set(targets.values())) < len(options.inputs):
        raise InputError(options.output, "inputs of different names", "two of one name")
    for path, target in targets.items():
        if target.resolve() == path.resolve():
            raise InputError(target, "an output that is not the input", "the input itself")
        if target.exists() and not options.overwrite:
            raise InputError(target, "no such file yet (or --overwrite True)", "one that exists")
    return targets


def _stem(path: Path) -> str:
    for suffix in (*_SUFFIXES, path.suffix):
        if suffix and path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    return path.name
