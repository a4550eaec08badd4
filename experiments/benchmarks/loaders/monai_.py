"""MONAI: its caching data sets with `RandCropByPosNegLabeld`."""

from pathlib import Path

import monai
import numpy as np
import torch
from monai.data import CacheDataset, DataLoader, PersistentDataset, list_data_collate
from monai.transforms import (
    Compose,
    DeleteItemsd,
    EnsureChannelFirstd,
    FgBgToIndicesd,
    LoadImaged,
    RandCropByPosNegLabeld,
)

VERSION = f"monai {monai.__version__} (torch {torch.__version__})"
INDICES = ("label_fg_indices", "label_bg_indices")


def steps(samples, indices):
    """What is before the random crop is what the data sets cache."""
    both = ("image", "label")
    names = dict(zip(("fg_indices_key", "bg_indices_key"), INDICES, strict=True))
    crop = RandCropByPosNegLabeld(
        both, "label", (96, 96, 96), pos=1, neg=2, num_samples=samples, **(names if indices else {})
    )
    load = [LoadImaged("image", dtype=np.float32), LoadImaged("label", dtype=np.uint8)]
    load.append(EnsureChannelFirstd(both))
    if indices:
        return Compose([*load, FgBgToIndicesd("label"), crop, DeleteItemsd(INDICES)])
    return Compose([*load, crop])


def batches(dataset, samples, workers):
    loader = DataLoader(
        dataset,
        batch_size=max(2 // samples, 1),
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=list_data_collate,
    )
    while True:
        yield from loader


def cached(folder, workers, *, samples, indices, copy):
    steps_ = steps(samples, indices)
    dataset = CacheDataset(files(folder), steps_, progress=False, copy_cache=copy)
    return batches(dataset, samples, workers)


def persistent(folder, workers):
    dataset = PersistentDataset(files(folder), steps(8, True), Path(folder, "monai"))
    for index in range(len(dataset)):
        dataset[index]
    return batches(dataset, 8, workers)


def files(folder):
    images = sorted(map(str, Path(folder).glob("*_image.nii")))
    return [{"image": i, "label": i.replace("_image", "_label")} for i in images]


WAYS = {
    "CacheDataset, defaults": lambda folder, workers: cached(
        folder, workers, samples=1, indices=False, copy=True
    ),
    "CacheDataset, indices, no copies": lambda folder, workers: cached(
        folder, workers, samples=1, indices=True, copy=False
    ),
    "CacheDataset, indices, no copies, 8 patches a volume": lambda folder, workers: cached(
        folder, workers, samples=8, indices=True, copy=False
    ),
    "PersistentDataset, indices, 8 patches a volume": persistent,
}


def count(batch):
    assert tuple(batch["image"].shape[1:]) == (1, 96, 96, 96)
    assert batch["image"].dtype == torch.float32
    return len(batch["image"])
