"""TPU slices that are not there: devices to compile for, on a machine without one."""

from __future__ import annotations

import importlib.util
import os
import re
from typing import Any, NamedTuple

from medjax.core.errors import InputError, MissingExtraError
from medjax.training.hardware import CHIPS, Chip

# How live hosts join the two cores of a chip to one device.
_CORES = {"v4": "megacore", "v5p": "megachip_tccontrol", "v6e": "megachip_tccontrol"}


class Slice(NamedTuple):
    """Chips that are joined by their links.

    Attributes:
        name: such as "v5e:4x4".
        chip: of which kind.
        shape: chips along each axis.
        devices: to compile for, one a chip; nothing can be put on them.
    """

    name: str
    chip: Chip
    shape: tuple[int, ...]
    devices: list[Any]


def tpu_slice(name: str) -> Slice:
    """A slice by its name, which needs the extra ``tpu`` but no TPU.

    Args:
        name: chip and shape, "v5e:16x16" or "v4:4x4x4".

    Raises:
        InputError: for a name of no slice.
        MissingExtraError: without libtpu.
    """
    expected = "a TPU slice such as v5e:4x4 or v5p:4x4x4"
    kind, _, sizes = name.partition(":")
    known = kind in CHIPS and CHIPS[kind].torus is not None
    if not known or not re.fullmatch(r"\d+(x\d+){1,2}", sizes):
        raise InputError("--topology", expected, repr(name))
    if importlib.util.find_spec("libtpu") is None:
        raise MissingExtraError("libtpu", "tpu", "--topology")
    # What machine this is, is none of the topology's: ask no metadata server, and take no
    # lock on chips, which others here may be at work with.
    for variable, value in (
        ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1"),
        ("TPU_SKIP_MDS_QUERY", "1"),
        ("TPU_ACCELERATOR_TYPE", "v5litepod-1"),
        ("TPU_WORKER_HOSTNAMES", "localhost"),
    ):
        os.environ.setdefault(variable, value)
    from jax.experimental import topologies

    options = {"chip_config_name": _CORES[kind]} if kind in _CORES else {}
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=name, **options)
    except Exception as error:  # the plugin raises what it likes; all of it is about the name
        first = str(error).strip().splitlines()[0][:100]
        raise InputError("--topology", expected, f"{name} ({first})") from None
    shape = tuple(int(n) for n in sizes.split("x"))
    return Slice(name, CHIPS[kind], shape, list(found.devices))
