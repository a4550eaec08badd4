"""Writes stain_normalisation.npz: Macenko and Reinhard by torchstain, factors by SPAMS.

    pip install torchstain==1.4.1 spams-bin==2.6.14 scikit-image==0.26.0 numpy==1.26.4
    python tests/reference/make_stain_normalisation.py

The dictionary is that of StainTools: natural optical density, a penalty of 0.1, both
factors not negative. SPAMS learns from random mini-batches: 4000 of them.
"""

from pathlib import Path

import numpy as np
import spams
from torchstain.numpy.normalizers import NumpyMacenkoNormalizer, NumpyReinhardNormalizer


def slide(rng: np.random.Generator, colours: np.ndarray, strength: float) -> np.ndarray:
    """Bytes of an image of two stains that mix a little, with some white and some noise."""
    colours = colours / np.linalg.norm(colours, axis=1, keepdims=True)
    kind = rng.integers(0, 4, (32, 32))
    amounts = np.array([[0.9, 0.15], [0.1, 0.7], [0.5, 0.5], [0.0, 0.0]])[kind]
    amounts = strength * amounts * rng.uniform(0.5, 1.2, (32, 32, 1))
    density = amounts @ colours + 0.01 * rng.standard_normal((32, 32, 3))
    return np.clip(np.round(255 * 10**-density), 0, 255).astype(np.uint8)


def factors(image: np.ndarray) -> np.ndarray:
    """Haematoxylin and eosin as rows; all pixels, none of which is left out as bright."""
    density = -np.log(np.maximum(image.reshape(-1, 3), 1) / 255)
    colours = spams.trainDL(
        np.asfortranarray(density.T), K=2, lambda1=0.1, mode=2, modeD=0, iter=4000,
        posAlpha=True, posD=True, verbose=False, numThreads=1,
    ).T  # fmt: skip
    colours = colours / np.linalg.norm(colours, axis=1, keepdims=True)
    return colours if colours[0, 0] > colours[1, 0] else colours[::-1]


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    target = slide(rng, np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]]), 1.0)
    source = slide(rng, np.array([[0.55, 0.75, 0.40], [0.20, 0.90, 0.25]]), 0.7)
    results = {}
    for name, method in (
        ("macenko", NumpyMacenkoNormalizer()), ("reinhard", NumpyReinhardNormalizer()),
    ):  # fmt: skip
        method.fit(target)
        out = method.normalize(source)
        results[name] = out[0] if name == "macenko" else out
    stained = source[source.mean(-1) < 200]
    np.savez_compressed(
        Path(__file__).with_name("stain_normalisation.npz"),
        target=target,
        source=source,
        stained=stained,
        factors=factors(stained),
        **results,
    )
