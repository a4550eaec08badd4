"""k-space of 2D slices from any format that holds it."""

from __future__ import annotations

from pathlib import Path

from medjax.core.errors import InputError

from . import bart, fastmri, hdf5, ismrmrd
from .fastmri import KSpace
from .files import existing

SUFFIXES = (".h5", ".hdf5", ".mrd", ".cfl", ".hdr")
"""Endings of the files that `read_scan` understands."""


def read_scan(path: str | Path) -> KSpace:
    """Read a scan, whatever its format: fastMRI, ISMRMRD or BART.

    Args:
        path: of an HDF5 file of fastMRI's layout or of ISMRMRD's, or of one of BART's
            ``.cfl`` and ``.hdr``, whose samples are mapped and not read.

    Returns:
        As fastMRI has it: y along the readout, x along the phase encoding.

    Raises:
        InputError: naming the path, for another format, for a file that its reader
            refuses, or for a scan that is not of 2D slices at one time.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(path, f"a file in {', '.join(SUFFIXES)}", f"'{path.suffix}'")
    if path.suffix in (".cfl", ".hdr"):
        return bart.read_cfl_slices(path)
    path = existing(path)
    with hdf5.opened(path) as file, hdf5.intact(path):
        raw = "dataset" in file and "kspace" not in file
    return _sorted_slices(path) if raw else fastmri.read_kspace(path)


def _sorted_slices(path: Path) -> KSpace:
    scan = ismrmrd.read_cartesian(path)
    *counters, slices, coils, z, y, x = scan.kspace.shape
    if max(counters) > 1 or z > 1:
        got = f"{tuple(counters)} {ismrmrd.COUNTERS[:-1]} and {z} partitions"
        raise InputError(path, "2D slices, each acquired once", got)
    # From lines along the readout to fastMRI's rows along it.
    kspace = scan.kspace.reshape(slices, coils, y, x).swapaxes(-1, -2)
    mask = scan.mask.reshape(slices, y, x).any((0, 2))
    spacing = (scan.spacing[0], scan.spacing[2], scan.spacing[1])
    return KSpace(kspace[:, 0] if coils == 1 else kspace, mask, spacing)
