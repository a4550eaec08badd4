"""From a user's scan to a label map on the scan's own grid, as a prepared store was made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jax.tree_util import Partial

from medjax.core.errors import InputError
from medjax.core.types import Array, Batch
from medjax.data.case import Case
from medjax.data.image import Image
from medjax.data.prepare import prepare_case, stored_plan, to_source_grid

from .tiling import tiled

Predict = Callable[[Batch], Any]


@dataclass(frozen=True)
class Segment:
    """Reads a scan, brings it to a store's grid and scale, and labels it tile by tile.

    Attributes:
        store: where the network's training data lies, for errors.
        settings: of that `medjax.data.Store`.
        tile: size of a patch, the training's.
        labels: the values that the network's classes stand for, background first.
        overlap: of neighbouring tiles, as a part of one.
    """

    store: str | Path
    settings: Mapping[str, Any]
    tile: tuple[int, ...]
    labels: tuple[int, ...]
    overlap: float = 0.5

    def __call__(self, predict: Predict, path: Path) -> Image:
        """Segment one file.

        Args:
            predict: ``{"image": (batch, *tile, channel)} -> (batch, *tile, class)``, logits.
            path: as `medjax.data.read_image` takes it. Where the store has several
                channels, a folder with a file for each, named as the channel.

        Returns:
            Labels on the file's own grid: 0 beyond what was cropped.

        Raises:
            InputError: for a file that cannot be used.
        """
        plan = stored_plan(self.store, self.settings)
        case = Case(id=path.name, subject=path.name, images=_images(path, plan.settings.channels))
        prepared = prepare_case(case, plan.settings, plan.landmarks)
        image = prepared.image.array.astype(np.float32)
        image = image if prepared.image.channels else image[..., None]
        logits = tiled(_of_images(predict), image, tile=self.tile, overlap=self.overlap)
        values = np.asarray(self.labels)
        found = values.astype(np.min_scalar_type(int(values.max())))[np.argmax(logits, -1)]
        return to_source_grid(found, prepared.record, labels=True)


@dataclass(frozen=True)
class _OfImages:
    """A function of batches as one of images; equal for equal functions, to compile once."""

    predict: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Array:
        *state, image = arguments
        return self.predict(*state, {"image": image})


def _of_images(predict: Predict) -> Partial:
    """``predict`` on images; what it is bound to stays an argument of the program."""
    if isinstance(predict, functools.partial):
        return Partial(_OfImages(predict.func), *predict.args)
    return Partial(_OfImages(predict))


def _images(path: Path, channels: tuple[str, ...]) -> dict[str, Path]:
    if len(channels) < 2:
        return {channels[0] if channels else "image": path}
    if not path.is_dir():
        raise InputError(path, f"a folder with files named {', '.join(channels)}", "a file")
    found = {}
    for channel in channels:
        files = [p for p in sorted(path.iterdir()) if p.name.split(".")[0] == channel]
        if len(files) != 1:
            raise InputError(path, f"one file named {channel}", f"{len(files)}")
        found[channel] = files[0]
    return found
