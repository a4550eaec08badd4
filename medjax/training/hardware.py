"""What accelerators can do at most, as their makers publish it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from medjax.core.errors import InputError


class Chip(NamedTuple):
    """Peaks of one chip; a step can come near to them and never beat them.

    Attributes:
        name: as in a slice's name.
        flops: bfloat16 operations a second, dense; a multiply and an add are two.
        memory: bytes.
        bandwidth: of that memory, bytes a second.
        link: bytes a second that one link to another chip carries in one direction.
        links: number of them.
        torus: where the links of a slice close to rings: along every axis of a "pod", 16
            chips on a side; all around in slices of whole "cube"s of 4 chips on a side;
            None where a switch joins all chips.
    """

    name: str
    flops: float
    memory: int
    bandwidth: float
    link: float
    links: int
    torus: Literal["pod", "cube"] | None

    def rings(self, shape: tuple[int, ...]) -> tuple[bool, ...]:
        """Along which axes of a slice the links close to rings.

        Args:
            shape: chips along each axis.
        """
        if self.torus == "pod":
            return tuple(n == 16 for n in shape)
        return (all(n % 4 == 0 for n in shape),) * len(shape)


CHIPS = {
    chip.name: chip
    for chip in (
        Chip("v4", 275e12, 32 * 2**30, 1200e9, 50e9, 6, "cube"),
        Chip("v5e", 197e12, 16 * 2**30, 819e9, 50e9, 4, "pod"),
        Chip("v5p", 459e12, 95 * 2**30, 2765e9, 100e9, 6, "cube"),
        Chip("v6e", 918e12, 32 * 2**30, 1638e9, 100e9, 4, "pod"),
        Chip("H100", 989.4e12, 80 * 10**9, 3350e9, 25e9, 18, None),
    )
}
"""By name.

TPUs: cloud.google.com/tpu/docs/v4, /v5e, /v5p and /v6e. Their links carry, in both
directions and of all links together, 400 GB/s (v5e, 4 links), 1200 GB/s (v5p, 6) and
800 GB/s (v6e, 4); v4's, 50 GB/s each way, are of Jouppi et al. 2023 (arXiv:2304.01433,
table 4). H100: the SXM5 board of NVIDIA's data sheet, without sparsity; NVLink 900 GB/s in
both directions.
"""

_KINDS = {
    "TPU v4": "v4",
    "TPU v5 lite": "v5e",
    "TPU v5": "v5p",
    "TPU v5p": "v5p",
    "TPU v6 lite": "v6e",
    "NVIDIA H100 80GB HBM3": "H100",
}


def chip_of(kind: str) -> Chip:
    """The chip of a device, by JAX's name for it.

    Args:
        kind: ``jax.Device.device_kind``.

    Raises:
        InputError: for one whose peaks are not listed here.
    """
    if kind not in _KINDS:
        raise InputError("device", f"one of {', '.join(_KINDS)}", repr(kind))
    return CHIPS[_KINDS[kind]]
