"""From a user's scan or image to a reconstructed volume with the geometry it came with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from medjax.augment import retrospective
from medjax.core.errors import InputError
from medjax.core.types import Batch
from medjax.data.formats import read_image
from medjax.data.formats.scan import SUFFIXES, read_scan
from medjax.data.geometry import to_ras
from medjax.data.host import require_finite
from medjax.data.image import Image
from medjax.physics import Cartesian, Sampling, birdcage, calibrate, sampled_columns

Predict = Callable[[Batch], Any]

_FEWEST = 4  # columns from which sensitivities can be told at all
_ENOUGH = 24  # beyond these, maps gain noise and no detail that coils have


@dataclass(frozen=True)
class Reconstruct:
    """Reads a scan, reconstructs it slice by slice, gives a magnitude volume.

    A scan (fastMRI, ISMRMRD or BART) is taken as measured: columns that are zero
    everywhere (or that its mask leaves out) were not sampled, and coil
    sensitivities are estimated from the centre of k-space. An image is undersampled
    first, slice by slice in the axial plane on its own grid, which shows what the
    network would make of such a scan.

    Attributes:
        mask: ``(key, columns) -> (columns,)`` for images.
        noise: of the simulated scan, as in `medjax.augment.retrospective`,
            relative to the image's maximum.
        phase: likewise.
        coils: of the simulated scan; 1 is a single uniform one.
        batch_size: slices at a time.
        seed: of the simulation.
    """

    mask: Callable[..., Any]
    noise: float = 0.0
    phase: float = 0.0
    coils: int = 1
    batch_size: int = 8
    seed: int = 0

    def __call__(self, predict: Predict, path: Path) -> Image:
        """Reconstruct one file.

        Args:
            predict: ``batch -> (batch, y, x)`` complex, with ``kspace`` and
                ``operator`` in the batch.
            path: of a scan as `medjax.data.read_scan` takes it, or of an image as
                `medjax.data.read_image` does.

        Returns:
            float32 magnitudes on the file's own grid.

        Raises:
            InputError: for a file that cannot be used.
        """
        name = path.name.lower()
        if name.endswith(SUFFIXES):
            return self._scan(predict, path)
        image = read_image(path)
        if image.channels:
            raise InputError(path, "an image without channels", f"shape {image.array.shape}")
        return self._image(predict, image)

    def _scan(self, predict: Predict, path: Path) -> Image:
        scan = read_scan(path)
        require_finite(path, scan.kspace)
        sampled = scan.mask if scan.mask is not None else sampled_columns(scan.kspace)
        sampled = np.asarray(sampled)
        if not sampled.any():
            raise InputError(path, "k-space with samples", "zeros only")
        coils = scan.kspace.ndim == 4
        calibration = min(_centre(sampled), _ENOUGH, *scan.kspace.shape[-2:])
        if coils and calibration < _FEWEST:
            expected = f"at least {_FEWEST} sampled columns in the centre, for the coils' maps"
            raise InputError(path, expected, calibration)

        def prepare(kspace, index):
            mask = jnp.broadcast_to(
                jnp.asarray(sampled), (len(kspace), *(1,) * (kspace.ndim - 2), len(sampled))
            )
            maps = calibrate(kspace, calibration) if coils else None
            return {"kspace": Sampling(mask)(kspace), "operator": Cartesian(mask, maps)}

        volume = self._slices(predict, prepare, scan.kspace)
        # (slice, y, x) to the (x, y, z) of a NIfTI, whose spacing is in that order.
        affine = np.diag([*reversed(scan.spacing), 1.0])
        return Image(np.ascontiguousarray(volume.transpose(2, 1, 0)), affine)

    def _image(self, predict: Predict, original: Image) -> Image:
        image, undo = to_ras(original)
        peak = float(np.max(np.abs(image.array))) or 1.0
        shape = (image.array.shape[1], image.array.shape[0])
        maps = birdcage(self.coils, shape) if self.coils > 1 else None
        simulate = retrospective(self.mask, noise=self.noise, phase=self.phase, maps=maps)
        key = jax.random.key(self.seed)

        def prepare(slices, index):
            return simulate(key, {"image": slices / peak, "index": index})

        slices = np.asarray(image.array, np.float32).transpose(2, 1, 0)
        volume = self._slices(predict, prepare, slices) * peak
        return Image(undo(np.ascontiguousarray(volume.transpose(2, 1, 0))), original.affine)

    def _slices(
        self, predict: Predict, prepare: Callable[..., Batch], slices: np.ndarray
    ) -> np.ndarray:
        """Magnitudes ``(slice, y, x)``; every batch has one shape, so one program serves."""
        prepare = jax.jit(prepare)
        size = min(self.batch_size, len(slices))
        output = np.empty((len(slices), *slices.shape[-2:]), np.float32)
        for start in range(0, len(slices), size):
            index = np.minimum(np.arange(start, start + size), len(slices) - 1)
            batch = prepare(jnp.asarray(slices[index]), jnp.asarray(index, jnp.int32))
            magnitude = np.asarray(jnp.abs(predict(batch)))
            if not np.isfinite(magnitude).all():
                raise InputError("prediction", "finite intensities", "NaN or infinity")
            count = min(size, len(slices) - start)
            output[start : start + count] = magnitude[:count]
        return output


def _centre(sampled: np.ndarray) -> int:
    """How many columns in a row are sampled around zero frequency, evenly to both sides."""
    middle = len(sampled) // 2
    if not sampled[middle]:
        return 0
    gaps = np.flatnonzero(~sampled)
    below = middle - max(gaps[gaps < middle], default=-1) - 1
    above = min(gaps[gaps > middle], default=len(sampled)) - middle - 1
    return int(min(2 * min(below, above) + 1, len(sampled)))
