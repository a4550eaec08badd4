import numpy as np
import pytest
from scipy import ndimage

from medjax.core.errors import InputError
from medjax.data import Image
from medjax.data.prepare.deface import GRID, average_head, deface


def scan(turn=0.0, scale=1.0, contrast=80.0):
    """The average head itself, turned about its crown: values, and the face's voxels."""
    head = average_head()
    c, s = np.cos(turn), np.sin(turn)
    matrix = scale * np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    shape = (56, 70, 66)
    place = np.stack(np.meshgrid(*(np.arange(n) * 5.0 for n in shape), indexing="ij"), -1)
    there = (place - [140, 170, 300]) @ matrix.T + head.crown  # millimetres in the average head
    inside = ndimage.map_coordinates(
        head.distance, np.moveaxis(there / GRID, -1, 0), order=1, cval=30
    )
    noise = np.random.default_rng(0).normal(0, 5, shape)
    values = (np.where(inside < 0, contrast, 0) + np.abs(noise)).astype(np.float32)
    # Stored with y and z exchanged and x to the left, as a sagittal scan may be.
    affine = np.array([[-5.0, 0, 0, 275], [0, 0, 5.0, 0], [0, 5.0, 0, 0], [0, 0, 0, 1]])
    face = (there @ head.normal > head.offset) & (inside < 0)
    return [a[::-1].swapaxes(1, 2) for a in (values, face, inside < 0)] + [affine]


@pytest.mark.parametrize(("turn", "scale"), [(0.0, 1.0), (0.3, 0.93)])
def test_the_face_goes_wherever_the_head_looks(turn, scale):
    values, face, inside, affine = scan(turn, scale)
    channels = np.stack([values, 2 * values], -1)
    done = deface(Image(channels, affine, ("a", "b")))
    gone = (done.array == done.array.min()).all(-1)
    assert face.sum() > 2000
    assert gone[face].mean() > 0.98
    assert gone[inside & ~face].mean() < 0.02
    np.testing.assert_array_equal(done.array[~gone], channels[~gone])
    assert done.provenance["defaced"] == "yes"
    assert done.channels == ("a", "b")


def test_what_is_no_head_is_refused():
    grid = np.stack(np.meshgrid(*3 * [np.arange(60.0)], indexing="ij")) - 30
    thin = (np.hypot(grid[0], grid[1]) < 9).astype(np.float32)  # an arm
    with pytest.raises(InputError, match="within 6 mm of the average one"):
        deface(Image(thin * 100, np.diag([4, 4, 4, 1.0])))
    with pytest.raises(InputError, match="one value"):
        deface(Image(np.zeros((60, 60, 60), np.float32), np.eye(4)))
    with pytest.raises(InputError, match="outline too small"):
        deface(Image((np.abs(grid).max(0) < 8).astype(np.float32), np.eye(4)))
    with pytest.raises(InputError, match="a volume of a head"):
        deface(Image(np.zeros((60, 60), np.float32), np.eye(4)))
