"""TorchIO: subjects in memory; it has no brightness and no contrast, so these are left out."""

import torch
import torchio as tio

from .loading import THREADS, WORKERS, runner

VERSION = f"torchio {tio.__version__} (torch {torch.__version__})"
WAYS = [THREADS, WORKERS]


def spatial(n, shape):
    flat = n == 2
    return [
        tio.RandomFlip(axes=tuple(range(n))),
        tio.RandomAffine(
            scales=(0.9, 1.1, 0.9, 1.1, 1, 1) if flat else 0.1,
            degrees=(0, 0, 0, 0, -15, 15) if flat else 15,
            translation=(-5, 5, -5, 5, 0, 0) if flat else 5,
        ),
        tio.RandomElasticDeformation(
            num_control_points=(9, 9, 5) if flat else 9,
            max_displacement=(0.05 * shape[0], 0.05 * shape[1], 0) if flat else 0.05 * shape[0],
        ),
    ]


def intensity():
    return [
        tio.RandomGamma(0.4),
        tio.RandomNoise(std=(0, 0.1)),
        tio.RandomBlur((0.5, 1.0)),
        tio.RandomBiasField(0.3),
    ]


def prepare(kind, work, way, data):
    arrays = {k: torch.as_tensor(v)[:, None] for k, v in data(kind).items()}
    if kind == "2D":
        arrays = {k: v[..., None] for k, v in arrays.items()}
    n, shape = (2 if kind == "2D" else 3), arrays["image"].shape[2:]
    steps = (spatial(n, shape) if work != "intensity" else []) + (
        intensity() if work != "spatial" else []
    )
    samples = [
        tio.Subject(
            image=tio.ScalarImage(tensor=arrays["image"][i]),
            label=tio.LabelMap(tensor=arrays["label"][i]),
        )
        for i in range(len(arrays["image"]))
    ]
    return runner(
        samples,
        tio.Compose(steps),
        way,
        lambda s: {"image": s["image"].data, "label": s["label"].data},
    )
