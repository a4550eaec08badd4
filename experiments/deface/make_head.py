"""Make the average head of ``medjax.data.prepare.deface`` from label maps, and test it.

    python experiments/deface/make_head.py FOLDER [--write]

FOLDER holds SynthSeg's training label maps (github.com/BBillot/SynthSeg,
``data/training_label_maps``, Apache-2.0): whole heads, FreeSurfer's numbers for the brain,
500 and more for what is around it. Each head is left out in turn: the average is made of
the others, and the face is taken off a made image of it, of random contrasts. Printed are
the brain that was lost, and whether the nose and the eyes' level went. With ``--write`` the
average of all is stored with the package.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from medjax.data import Image, read_image, to_ras
from medjax.data.prepare import deface
from medjax.data.prepare.deface import GRID, Head

SHAPE = (64, 80, 80)
CROWN = np.array([126.0, 150.0, 290.0])  # mm, in the average head's grid
OUTSIDE = (24, 165, 258)  # fluid around the brain, which may be cut
MARGIN = 8.0  # mm from the brain to the plane
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    labels = [to_ras(read_image(p))[0] for p in sorted(options.folder.glob("*.nii.gz"))]
    print("head  fit (mm)  brain lost (voxels)  nose  skin of the face gone")
    for i, one in enumerate(labels):
        head = average(labels[:i] + labels[i + 1 :])
        for seed in range(3):
            test(i + 1, one, head, np.random.default_rng((i, seed)))
    if options.write:
        head = average(labels)
        path = Path(deface.__file__).with_name("head.npz")
        np.savez_compressed(
            path,
            distance=np.clip(np.rint(4 * head.distance), -120, 120).astype(np.int8),
            crown=head.crown,
            normal=head.normal,
            offset=head.offset,
        )
        print(f"{path.name}: {path.stat().st_size} bytes")


def brain(labels: Image) -> np.ndarray:
    a = labels.array
    return (a > 0) & (a < 500) & ~np.isin(a, OUTSIDE)


def picture(labels: Image, rng: np.random.Generator) -> Image:
    """An image of random contrast, with noise and a smooth bias; bone and air stay dark."""
    values = np.unique(labels.array).astype(int)
    means = rng.uniform(40, 255, values.max() + 1)
    means[0] = 0
    image = means[labels.array.astype(int)]
    image = image + rng.normal(0, 12, image.shape)
    coarse = rng.normal(0, 0.2, (4, 4, 4))
    bias = ndimage.zoom(coarse, [n / 4 for n in image.shape], order=1)
    image = np.abs(image) * np.exp(bias)
    return Image(ndimage.gaussian_filter(image, 0.7).astype(np.float32), labels.affine)


def average(labels: list[Image]) -> Head:
    """The average of some heads: outlines fitted to their mean, three times over."""
    masks = [
        deface.outline(one.replace(array=(one.array > 0).astype(np.float32))) for one in labels
    ]
    head = None
    for _ in range(ROUNDS):
        placed = [start(*m) if head is None else deface.fit(*m, head)[:2] for m in masks]
        fields = [on_grid(*m, *p) for m, p in zip(masks, placed, strict=True)]
        fields.append(np.where(np.isnan(fields).all(0), 30.0, np.nan))  # seen by no scan
        distance = np.nanmedian(np.stack(fields), 0)
        head = Head(distance.astype(np.float32), CROWN, np.zeros(3), 0.0)
    # The brains' outer points, seen from the side, in the average head.
    points = []
    for one, (matrix, shift) in zip(labels, placed, strict=True):
        mask = brain(one)
        edge = np.argwhere(mask & ~ndimage.binary_erosion(mask, iterations=1))[::7]
        there = edge @ one.affine[:3, :3].T + one.affine[:3, 3]
        points.append((there @ matrix.T + shift)[:, 1:])
    # Two brains in a thousand points may stick out: none of them is let go.
    hull = np.concatenate([p[ConvexHull(p).vertices] for p in points])
    inside = distance < 0
    place = np.argwhere(inside) * GRID
    best = None
    for angle in np.radians(np.arange(-80, 1, 5)):
        normal = np.array([0.0, np.cos(angle), np.sin(angle)])
        offset = float((hull @ normal[1:]).max()) + MARGIN
        gone = int((place @ normal > offset).sum())
        if best is None or gone > best[0]:
            best = gone, normal, offset
    return Head(head.distance, CROWN, best[1], best[2])


def start(mask: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crown on crown."""
    points = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    top = np.percentile(points[:, 2], 99.95)
    upper = points[points[:, 2] > top - 80]
    crown = np.append((upper[:, :2].min(0) + upper[:, :2].max(0)) / 2, top)
    return np.eye(3), CROWN - crown


def on_grid(
    mask: np.ndarray, affine: np.ndarray, matrix: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """Signed distance to a head's outline on the average's grid; NaN beyond the scan."""
    size = np.linalg.norm(affine[:3, :3], axis=0)
    distance = ndimage.distance_transform_edt(~mask, size)
    distance -= ndimage.distance_transform_edt(mask, size)
    grid = np.stack(np.meshgrid(*(np.arange(n) * GRID for n in SHAPE), indexing="ij"), -1)
    there = (grid - shift) @ np.linalg.inv(matrix).T
    index = (there - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    found = ndimage.map_coordinates(
        distance, np.moveaxis(index, -1, 0), order=1, cval=np.nan, prefilter=False
    )
    return np.clip(found, -30, 30)


def test(number: int, labels: Image, head: Head, rng: np.random.Generator) -> None:
    image = picture(labels, rng)
    mask, affine = deface.outline(image)
    residual = deface.fit(mask, affine, head)[2]
    done = deface.deface(image, head)
    gone = (done.array != image.array) | (done.array == image.array.min())
    lost = int((gone & brain(labels)).sum())
    inside = labels.array > 0
    front = np.argwhere(inside)
    tip = tuple(front[np.argmax(front[:, 1])])
    # The face's skin: seen from the front, within 40 mm of the middle, below the brain's top third.
    where = np.argwhere(brain(labels))
    low, high = where[:, 2].min(), where[:, 2].max()
    middle = round(where[:, 0].mean())
    rows = range(max(low - 40, 0), int(low + 0.35 * (high - low)))
    skin, hidden = 0, 0
    for x in range(middle - 40, middle + 41, 2):
        for z in rows:
            line = np.flatnonzero(inside[x, :, z])
            if len(line):
                skin += 1
                hidden += bool(gone[x, line[-1], z])
    nose = "gone" if gone[tip] else "left"
    print(f"{number:4}  {residual:8.1f}  {lost:19}  {nose}  {hidden / skin:21.1%}")


if __name__ == "__main__":
    main()
