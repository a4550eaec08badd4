"""``medjax COMMAND``: which commands there are, and how they fail.

Whatever is wrong with what the user gave is one line on the error stream and
exit status 2. Anything else is a bug, and shows its traceback.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from medjax.core.errors import MedjaxError

COMMANDS = {
    "train": "train what a config describes; continues a run where it left off",
    "evaluate": "table, figure and report of a trained run on held-out data",
    "predict": "apply a trained run to a user's files, and write NIfTI",
    "show": "parameters, shapes, memory and placement of a config, allocating nothing",
    "data": "prepare scans for training; check or show what was prepared",
    "weights": "import weights trained elsewhere, from safetensors",
    "list": "the models, operators, losses, metrics, learners and datasets there are",
    "doctor": "devices, versions, optional parts and how to get them",
}

_HELP = """usage: medjax COMMAND [ARGUMENTS]

Deep learning on medical images in JAX.

commands:
{commands}

'medjax COMMAND --help' explains one; 'medjax train CONFIG.py --help' lists
a config's parameters. 'medjax --version' prints the version.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        0; 2 for an error of the user's; 128 and the signal's number after a stop.
    """
    command, *rest = arguments or ["--help"]
    if command in ("-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        lines = (f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
        print(_HELP.format(commands="\n".join(lines)), end="")
        return 0
    if command == "--version":
        from medjax import __version__

        print(__version__)
        return 0
    if command not in COMMANDS:
        return _fail(f"command: expected one of {', '.join(COMMANDS)}, got '{command}'")
    # Before jax is imported: a machine with the tpu extra but no TPU would
    # otherwise be asked for one, noisily.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    try:
        module = importlib.import_module(f"medjax.cli.{command}_command")
        return module.run(rest) or 0
    except MedjaxError as error:
        _fail(str(error))
        number = getattr(error, "number", 0)
        return 128 + number if number else 2
    except OSError as error:
        # A disk that fills, a folder that may not be written: the user's to mend.
        if error.filename is None and error.errno is None:
            raise
        return _fail(f"{error.filename or 'file'}: {error.strerror}")
    except KeyboardInterrupt:
        return 130


def _fail(message: str) -> int:
    print("medjax: error: " + " ".join(message.split()), file=sys.stderr)
    return 2
