"""Weights in files that hold numbers and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import unflatten_dict

from medjax.core.errors import InputError, MissingExtraError
from medjax.core.files import replacing
from medjax.core.trees import named_leaves

_PICKLED = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".pickle", ".tar", ".npy", ".npz")


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file, by name.

    Raises:
        InputError: for another kind of file, above all one that could run code when it is
            read, and for a broken one.
        MissingExtraError: without the library safetensors.
    """
    path = Path(path)
    if path.suffix.lower() in _PICKLED:
        expected = (
            "a .safetensors file, since this kind can run code when it is read; where you trust "
            "it, convert it with torch.load and safetensors.torch.save_file"
        )
        raise InputError(path, expected, f"a {path.suffix} file")
    if not path.is_file():
        raise InputError(path, "a .safetensors file", "no such file")
    library = _safetensors()
    try:
        return dict(library.numpy.load_file(path))
    except library.SafetensorError as error:
        raise InputError(path, "a .safetensors file", f"a file that is none ({error})") from error


def save_weights(path: str | Path, variables: Any) -> None:
    """Write a module's variables as safetensors, named by their paths.

    Args:
        path: of the file, ending in ``.safetensors``; it is replaced whole.
        variables: nested dictionaries of arrays, such as ``{"params": ...}``.

    Raises:
        InputError: for another ending, or where the file cannot be written.
        MissingExtraError: without the library safetensors.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(path, "a name that ends in .safetensors", path.name)
    library = _safetensors()
    tensors = {name: np.ascontiguousarray(leaf) for name, leaf in named_leaves(variables)}
    with replacing(path) as part:
        library.numpy.save_file(tensors, part, metadata={"format": "medjax"})


def load_weights(path: str | Path) -> dict[str, Any]:
    """The variables that `save_weights` wrote, as nested dictionaries of NumPy arrays.

    Raises:
        InputError: for a file that is none of these.
        MissingExtraError: without the library safetensors.
    """
    tensors = read_tensors(path)
    if not tensors or not all("/" in name for name in tensors):
        raise InputError(path, "a file that save_weights wrote", "a file with other names")
    return unflatten_dict(tensors, sep="/")


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise MissingExtraError("safetensors", "weights", "weights in files") from None
    return safetensors
