"""Small scans as files."""

import numpy as np
import pytest

from medjax.data import write_image
from medjax.data.image import Image


@pytest.fixture
def scan(tmp_path):
    """Writes a scan (or, of integers, a label map) below the test's folder; returns its path."""

    def write(name, array=None, *, affine=None, seed=0, shape=(9, 8, 7)):
        if array is None:
            array = np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        array = np.asarray(array)
        channels = tuple(map(str, range(array.shape[3]))) if array.ndim == 4 else ()
        write_image(path, Image(array, np.eye(4) if affine is None else affine, channels))
        return path

    return write


@pytest.fixture
def labels():
    """A label map of the shape that `scan` has by itself."""
    array = np.zeros((9, 8, 7), np.uint8)
    array[2:6, 2:5, 2:5] = 1
    array[6, 3, 3] = 7
    return array
