"""TorchIO: its queue of patches, as its documentation uses it."""

from pathlib import Path

import torch
import torchio as tio

VERSION = f"torchio {tio.__version__} (torch {torch.__version__})"


def queue(folder, workers, sampler):
    images = sorted(Path(folder).glob("*_image.nii"))
    subjects = [
        tio.Subject(
            image=tio.ScalarImage(i),
            label=tio.LabelMap(i.with_name(i.name.replace("_image", "_label"))),
        )
        for i in images
    ]
    patches = tio.Queue(
        tio.SubjectsDataset(subjects),
        max_length=32,
        samples_per_volume=8,
        sampler=sampler,
        num_workers=workers,
    )
    loader = tio.SubjectsLoader(patches, batch_size=2, num_workers=0)
    while True:
        yield from loader


def labels():
    # Two thirds about the background's voxels and one about the three labels'.
    return tio.LabelSampler(96, "label", {0: 2, 1: 1 / 3, 2: 1 / 3, 3: 1 / 3})


WAYS = {
    "Queue, LabelSampler, 8 patches a volume": lambda folder, workers: queue(
        folder, workers, labels()
    ),
    "Queue, UniformSampler, 8 patches a volume": lambda folder, workers: queue(
        folder, workers, tio.UniformSampler(96)
    ),
}


def count(batch):
    image = batch["image"]
    image = image["data"] if isinstance(image, dict) else image.data
    assert tuple(image.shape[1:]) == (1, 96, 96, 96)
    return len(image)
