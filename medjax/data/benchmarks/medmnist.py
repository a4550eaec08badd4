"""MedMNIST: eighteen small sets of small images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medjax.core.errors import InputError
from medjax.data.case import Case

from .definition import Card, Sample
from .readers import whole

_NAME = re.compile(r"\w+mnist(3d)?(_\d+)?\.npz")


class ArrayRows:
    """A sample a row: ``image`` uint8 ``(y, x)``, ``(y, x, colour)`` or, in the sets named
    3D, their three axes, and ``label`` int16 ``(n,)``: a class, or 0 and 1 for each of n
    findings."""

    def count(self, case: Case) -> int:
        return len(_member(case, "labels"))

    def read(self, case: Case, card: Card) -> Sequence[Sample]:
        images, labels = _member(case, "images"), _member(case, "labels")
        path = case.images["image"]
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            wanted = "uint8 images, two or three axes each"
            raise InputError(path, wanted, f"{images.dtype} {images.shape}")
        if labels.ndim != 2 or len(labels) != len(images):
            raise InputError(path, f"a row of labels for each of {len(images)}", labels.shape)
        labels = whole(path, labels)
        return [{"image": i, "label": n} for i, n in zip(images, labels, strict=True)]


def _member(case: Case, kind: str) -> np.ndarray:
    path, name = case.images["image"], "val" if case.split == "validation" else case.split
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return arrays[f"{name}_{kind}"]
    except KeyError:
        raise InputError(path, f"an array '{name}_{kind}'", "none") from None
    except Exception:  # zipfile, zlib and NumPy each have errors of their own for damage
        raise InputError(path, "an NPZ file without pickled objects", "another") from None


def _find(folder: Path) -> list[Case]:
    paths = [folder] if folder.is_file() else sorted(folder.glob("*.npz"))
    paths = [path for path in paths if _NAME.fullmatch(path.name)]
    if len(paths) != 1:
        got = ", ".join(path.name for path in paths[:3]) or "none"
        raise InputError(folder, "one file such as pathmnist.npz, or that file itself", got)
    (path,) = paths
    return [
        Case(
            id=f"{path.stem}_{split}",
            subject=f"{path.stem}_{split}",
            images={"image": path},
            split=split,
        )
        for split in ("train", "validation", "test")
    ]


CARDS = (
    Card(
        name="medmnist",
        title="MedMNIST v2",
        about=(
            "Twelve sets of 2D images (28, 64, 128 or 224 pixels wide) and six of 3D ones "
            "(28 or 64), each one file, all with class labels."
        ),
        modality="many",
        task="classification",
        subjects="708,069 2D and 9,998 3D images; people not published",
        size="about 0.7 GB for all at 28 pixels",
        licence="CC BY 4.0; DermaMNIST CC BY-NC 4.0",
        terms="Cite MedMNIST and the set that the images came from. Not for clinical use.",
        page="https://medmnist.com (files: https://doi.org/10.5281/zenodo.10519652)",
        citation=(
            "Yang et al. 2023, MedMNIST v2, Scientific Data 10:41, doi:10.1038/s41597-022-01721-8"
        ),
        layout=(
            "FOLDER/\n  pathmnist.npz   one of the eighteen, or point at the file itself:\n"
            "    train_images, val_images, test_images   uint8\n"
            "    train_labels, val_labels, test_labels   (n, 1), or (n, 14) in ChestMNIST"
        ),
        splits=(
            "train, validation, test. Whose image it is was not published: a split's samples "
            "are one group, so that nobody can split it further by subject."
        ),
        find=_find,
        reader=ArrayRows(),
    ),
)
