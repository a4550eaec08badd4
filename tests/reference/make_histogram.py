"""Writes histogram.npz: matching by scikit-image, standardisation by TorchIO, colour.

    pip install scikit-image==0.26.0 torchio==1.2.1 numpy==2.4.6
    python tests/reference/make_histogram.py

TorchIO's landmarks are 13 percentiles, of which it uses 11: without the quartiles.
"""

from pathlib import Path

import numpy as np
import torch
from skimage.color import rgb2lab
from skimage.exposure import match_histograms
from torchio.transforms.preprocessing.intensity import histogram_standardization as nyul

USED = [0, 1, 2, 4, 5, 6, 7, 8, 10, 11, 12]

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 30, (16, 12)).astype(np.float32)
    reference = rng.gamma(2.0, 10.0, (9, 11)).astype(np.float32)
    images = [
        (scale * rng.gamma(2.0, 10.0, (6, 7, 8)) + shift).astype(np.float32)
        for scale, shift in ((1.0, 0.0), (3.0, 20.0), (0.5, -4.0))
    ]
    percentiles = nyul._get_percentiles((1, 99))
    rows = np.stack([np.percentile(image, percentiles) for image in images])
    landmarks = nyul._get_average_mapping(rows)
    assert np.array_equal(percentiles[USED], (1, *range(10, 100, 10), 99))
    # Nearly half is zero: several of the image's landmarks are one value.
    hollow = np.where(rng.random((6, 7, 8)) < 0.45, 0, images[1]).astype(np.float32)
    standard = [
        nyul._normalize(torch.from_numpy(image)[None], landmarks, None).numpy()[0]
        for image in (images[1], hollow)
    ]
    rgb = rng.random((5, 4, 3))
    rgb[0] *= 0.02
    np.savez_compressed(
        Path(__file__).with_name("histogram.npz"),
        coarse=coarse,
        reference=reference,
        matched=match_histograms(coarse, reference),
        images=np.stack(images),
        hollow=hollow,
        landmarks=landmarks[USED],
        standard=np.stack(standard),
        rgb=rgb,
        lab=rgb2lab(rgb),
    )
