"""Small pictures of a case: its three middle planes side by side, labels outlined.

Planes are drawn as they are seen from the front, the patient's right on the right: the
axial one with the front up, the others with the head up.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib import image as pictures

from medjax.data.store import Store

from .resample import onto_image, onto_labels

HEIGHT = 128  # pixels
_WIDEST = 192
_COLOURS = np.asarray(  # Okabe & Ito (2008), which colour-blind readers can tell apart
    [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167)],
    np.uint8,
)


def picture(store: Store, case: str) -> bytes:
    """A PNG file of a case's middle planes; of a flat case, of the one it has."""
    record = store.case(case)
    entry = record.entries.get("image") or record.entries["label"]
    shape, flat = entry.spatial, len(entry.spatial) == 2
    drawn = []
    for axis in (2,) if flat else range(3):
        region = [slice(0, n) for n in shape]
        if not flat:
            region[axis] = slice(shape[axis] // 2, shape[axis] // 2 + 1)
        planes = {}
        for name in record.entries.keys() & {"image", "label"}:
            array = store.read(case, name, region)
            array = array[..., 0] if record.entries[name].channels else array
            # A flat picture's second axis runs downwards.
            planes[name] = array[:, ::-1] if flat else array.squeeze(axis)
        sizes = [s for a, s in enumerate(entry.spacing) if a != axis]
        drawn.append((planes.get("image"), planes.get("label"), sizes))
    return thumbnail(drawn)


def thumbnail(
    planes: Sequence[tuple[np.ndarray | None, np.ndarray | None, Sequence[float]]],
) -> bytes:
    """A PNG file of planes side by side.

    Args:
        planes: image, label (whole numbers) and millimetres from voxel to voxel of each.
            Both arrays are ``(across, up)`` and have one shape; one of them may be None.
    """
    grey = [image.ravel() for image, _, _ in planes if image is not None]
    window = np.percentile(np.concatenate(grey), (1, 99)) if grey else (0.0, 1.0)
    drawn = []
    for image, label, spacing in planes:
        shape = (image if image is not None else label).shape
        size = [n * s for n, s in zip(shape, spacing, strict=True)]
        scale = min(HEIGHT / size[1], _WIDEST / size[0])
        new = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
        drawn.append(_framed(_drawn(image, label, new, window)))
    buffer = io.BytesIO()
    pictures.imsave(buffer, np.concatenate(drawn, 1), format="png", metadata={"Software": None})
    return buffer.getvalue()


def _drawn(
    image: np.ndarray | None,
    label: np.ndarray | None,
    shape: tuple[int, int],
    window: Sequence[float] | np.ndarray,
) -> np.ndarray:
    """One plane in colours, ``(row, column, 3)`` uint8."""
    out = np.zeros((*shape, 3), np.uint8)
    if image is not None:
        low, high = float(window[0]), float(window[1])
        steps = (*(n / m for n, m in zip(image.shape, shape, strict=True)), 1.0)
        sampled = onto_image(image[..., None], (*shape, 1), steps, ["linear"] * 3)[..., 0]
        shade = (sampled - low) / (high - low if high > low else 1.0)
        out[:] = (255 * shade.clip(0, 1)).astype(np.uint8)[..., None]
    if label is not None:
        steps = (*(n / m for n, m in zip(label.shape, shape, strict=True)), 1.0)
        sampled = onto_labels(label[..., None], (*shape, 1), steps)[..., 0]
        colours = _COLOURS[sampled.astype(np.int64) % len(_COLOURS)]
        shown = (sampled != 0) & _edges(sampled) if image is not None else sampled != 0
        out[shown] = colours[shown]
    return out.transpose(1, 0, 2)[::-1]


def _edges(labels: np.ndarray) -> np.ndarray:
    """Voxels with another label beside them."""
    out = np.zeros(labels.shape, bool)
    for axis in range(2):
        differs = np.diff(labels.astype(np.int64), axis=axis) != 0
        before, after = [(0, 0), (0, 0)], [(0, 0), (0, 0)]
        before[axis], after[axis] = (0, 1), (1, 0)
        out |= np.pad(differs, before) | np.pad(differs, after)
    return out


def _framed(picture: np.ndarray) -> np.ndarray:
    """Centred on a ground of one height, with a gap beside it."""
    tall = HEIGHT - picture.shape[0]
    return np.pad(picture, [(tall // 2, tall - tall // 2), (0, 4), (0, 0)])
