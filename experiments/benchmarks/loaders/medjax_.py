"""medjax: patches of a prepared store."""

from importlib.metadata import version
from pathlib import Path

import numpy as np

from medjax.data import read_image, training
from medjax.data.store import Store, Writer
from medjax.data.volumes import Patches

VERSION = f"medjax (grain {version('grain')}, tensorstore {version('tensorstore')})"


def store_of(folder):
    path = Path(folder, "store")
    writer = Writer(path)
    for image in sorted(Path(folder).glob("*_image.nii")):
        id = image.name.removesuffix("_image.nii")
        if id not in writer.complete():
            label = read_image(image.with_name(f"{id}_label.nii"))
            writer.write(id, {"image": read_image(image), "label": label}, subject=id)
    writer.finish()
    return path


def patches(folder, workers, cache):
    store = Store(store_of(folder), cache=cache)
    for case in store.cases if cache else ():
        for entry in case.entries:
            store.read(case.id, entry, [slice(0, 1)] * 3)
    source = Patches(store, (96, 96, 96), per_volume=100)
    return iter(training(source, batch_size=2, workers=workers))


WAYS = {
    "store": lambda folder, workers: patches(folder, workers, 0),
    "store, cache": lambda folder, workers: patches(folder, workers, 10**10),
}


def count(batch):
    assert batch["image"].shape[1:] == (96, 96, 96, 1)
    assert batch["image"].dtype == np.float32
    return len(batch["image"])
