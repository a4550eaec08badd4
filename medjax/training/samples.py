"""Pictures of what a learner makes while it learns, and the film of them.

Every picture is of the same inputs, so that the film shows what becomes of one latent, or of one
source, and not what another draw would have shown.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from medjax.core.errors import InputError
from medjax.core.files import replacing
from medjax.core.types import Array, Batch

SAMPLES, FILM = "samples", "film.gif"
_MILLISECONDS = 100  # a frame


@dataclasses.dataclass(frozen=True, kw_only=True)
class Samples:
    """What is drawn of a learner, and when; in the run's ``samples/step_000500.png``.

    Attributes:
        batch: what `predict` is given each time, NumPy arrays, whole on every host: of a learner
            that draws its noise by ``index``, such as `medjax.learners.adversarial.adversarial`,
            ``{"index": np.arange(16, dtype=np.int32)}``.
        every: steps from one picture to the next; the last step is drawn too.
        view: from the output of `predict` to images ``(sample, *spatial, channel)``, real, of
            one channel or three; of volumes the middle plane is shown.
        window: the two values drawn black and white, the same in all pictures.
        columns: of the picture; by default about as many as rows.

    Raises:
        InputError: for numbers below 1, or an empty window.
    """

    batch: Batch
    every: int = 500
    view: Callable[[Any], Array] = lambda output: output
    window: tuple[float, float] = (-1.0, 1.0)
    columns: int | None = None

    def __post_init__(self):
        if self.every < 1:
            raise InputError("samples: every", "at least 1", self.every)
        if self.columns is not None and self.columns < 1:
            raise InputError("samples: columns", "at least 1", self.columns)
        if not self.window[0] < self.window[1]:
            raise InputError("samples: window", "a lower and a higher value", self.window)


def drawing(
    samples: Samples, predict: Callable[[Any, Batch], Any], mesh: Mesh
) -> Callable[[Any], np.ndarray]:
    """A function from a state to the picture of its samples, as `grid` makes it.

    Every host has to call it. Samples are copied to all devices, not split over them: their
    number need not divide.
    """
    everywhere = NamedSharding(mesh, PartitionSpec())
    compute = jax.jit(
        lambda state, batch: samples.view(predict(state, batch)), out_shardings=everywhere
    )

    def draw(state: Any) -> np.ndarray:
        images = np.asarray(compute(state, samples.batch))
        return grid(images, window=samples.window, columns=samples.columns)

    return draw


def grid(
    images: np.ndarray, *, window: tuple[float, float], columns: int | None = None
) -> np.ndarray:
    """Images side by side, row by row.

    Args:
        images: real, ``(sample, *spatial, channel)``, two or three spatial axes, one channel or
            three.
        window: the two values drawn black and white; NaN is black.
        columns: by default about as many as rows.

    Returns:
        uint8 ``(y, x)``, or ``(y, x, 3)`` of three channels. Places without an image are black.

    Raises:
        InputError: for other arrays.
    """
    if images.ndim == 5:
        images = images[:, images.shape[1] // 2]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or np.iscomplexobj(images):
        expected = "real images (sample, *spatial, channel) of one channel or three"
        raise InputError("samples", expected, f"{images.dtype} {images.shape}")
    low, high = window
    shown = np.nan_to_num(np.asarray(images, np.float32), nan=low, posinf=high, neginf=low)
    shown = np.round(255 * np.clip((shown - low) / (high - low), 0, 1)).astype(np.uint8)
    count, tall, wide, channels = shown.shape
    columns = min(count, columns or math.ceil(math.sqrt(count)))
    rows = -(-count // columns)
    filled = np.zeros((rows * columns, tall, wide, channels), np.uint8)
    filled[:count] = shown
    table = filled.reshape(rows, columns, tall, wide, channels).transpose(0, 2, 1, 3, 4)
    table = table.reshape(rows * tall, columns * wide, channels)
    return table[..., 0] if channels == 1 else table


def write_picture(directory: Path, step: int, picture: np.ndarray) -> None:
    """Put a picture where the film will find it, whole or not at all.

    Args:
        directory: of the run.
        step: that it shows.
        picture: as from `grid`.
    """
    from PIL import Image

    folder = directory / SAMPLES
    folder.mkdir(exist_ok=True)
    with replacing(folder / f"step_{step:06d}.png") as draft:
        Image.fromarray(picture).save(draft, format="PNG")


def write_film(directory: Path) -> Path | None:
    """All pictures of a run in order, as one animated GIF; None of fewer than two.

    Grey pictures are kept exactly; colours are brought to a palette of 256 a frame.

    Args:
        directory: of the run.
    """
    from PIL import Image

    folder = directory / SAMPLES
    paths = sorted(folder.glob("step_*.png"), key=lambda path: int(path.stem.partition("_")[2]))
    if len(paths) < 2:
        return None
    frames = (_frame(Image, path) for path in paths)
    with replacing(folder / FILM) as draft:
        next(frames).save(
            draft, format="GIF", save_all=True, append_images=frames, duration=_MILLISECONDS, loop=0
        )
    return folder / FILM


def _frame(library: Any, path: Path) -> Any:
    with library.open(path) as picture:
        return picture.copy()
