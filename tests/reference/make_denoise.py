"""Writes denoise.npz: bilateral and total-variation denoising by scikit-image.

    pip install scikit-image==0.26.0 numpy==2.4.6
    python tests/reference/make_denoise.py

The bilateral filter's table of distances in space is off its centre there, so it is made flat:
the reference is of the weights by value. Values are not negative, which its table of them needs.
"""

from pathlib import Path

import numpy as np
from skimage import data, restoration

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    picture = data.camera()[100:114, 180:196] / 255
    picture = np.abs(picture + 0.1 * rng.standard_normal(picture.shape))
    volume = rng.random((5, 6, 7))
    flat = {"sigma_spatial": 1e4, "bins": 1_000_000, "mode": "edge"}
    exact = {"eps": 1e-12, "max_num_iter": 20_000}
    np.savez_compressed(
        Path(__file__).with_name("denoise.npz"),
        picture=picture.astype(np.float32),
        volume=volume.astype(np.float32),
        bilateral=restoration.denoise_bilateral(picture, 5, 0.2, **flat).astype(np.float32),
        variation=restoration.denoise_tv_chambolle(picture, 0.1, **exact).astype(np.float32),
        variation3=restoration.denoise_tv_chambolle(volume, 0.1, **exact).astype(np.float32),
    )
