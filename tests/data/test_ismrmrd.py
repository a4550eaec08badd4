import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data import read_cartesian, read_scan, read_trajectory

REFERENCE = Path(__file__).parents[1] / "reference"
TRUTH = np.load(REFERENCE / "ismrmrd.npz")
CARTESIAN, RADIAL = REFERENCE / "ismrmrd_cartesian.h5", REFERENCE / "ismrmrd_radial.h5"


def edited(path, edit, source=CARTESIAN):
    """A copy with another table of acquisitions: what ``edit`` makes of its rows."""
    shutil.copy(source, path)
    with h5py.File(path, "r+") as file:
        rows = file["dataset/data"][()]
        kind = file["dataset/data"].dtype
        new = edit(rows)
        rows = rows if new is None else new
        del file["dataset/data"]
        file["dataset"].create_dataset("data", data=rows, dtype=kind)
    return path


def with_header(path, text):
    shutil.copy(CARTESIAN, path)
    with h5py.File(path, "r+") as file:
        old = file["dataset/xml"][0].decode()
        del file["dataset/xml"]
        file["dataset/xml"] = text(old)
    return path


def refuse(read, path, match):
    with pytest.raises(InputError, match=match) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_readouts_find_their_place():
    """Noise is left out, averages are averaged, and a partial echo lies at its end."""
    scan = read_cartesian(CARTESIAN, oversampling=True)
    assert scan.kspace.shape == (1, 1, 1, 1, 2, 2, 1, 6, 16)
    assert scan.kspace.dtype == np.complex64
    found = scan.kspace.reshape(2, 2, 6, 16)
    np.testing.assert_allclose(found, TRUTH["kspace"], atol=1e-6)
    np.testing.assert_array_equal(scan.mask.reshape(2, 6, 16), (TRUTH["kspace"] != 0).all(1))
    assert scan.spacing == (5.0, 20.0, 20.0)


def test_readout_oversampling_is_cut_in_the_image():
    scan = read_cartesian(CARTESIAN)
    axis = {"axes": -1}
    full = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(TRUTH["kspace"], **axis)), **axis)
    image = np.fft.fftshift(
        np.fft.ifft(np.fft.ifftshift(scan.kspace[0, 0, 0, 0, :, :, 0], **axis)), **axis
    )
    # Orthonormal on both grids: numpy's inverse divides by the size instead.
    np.testing.assert_allclose(image * 8**0.5, full[..., 4:12] * 16**0.5, atol=1e-6)
    lines = scan.mask[0, 0, 0, 0, :, 0]
    np.testing.assert_array_equal(lines, np.broadcast_to(np.arange(6)[:, None] != 4, (2, 6, 8)))
    assert scan.spacing == (5.0, 20.0, 20.0)


def test_a_reversed_readout_is_turned(tmp_path):
    def turn(rows):
        for row in rows[1:2]:  # the first line, after the noise
            samples = row["data"].reshape(2, 16, 2)
            row["data"][:] = samples[:, ::-1].reshape(-1)
            row["head"]["center_sample"] = 16 - 1 - 8
            row["head"]["flags"] |= 1 << 21

    found = read_cartesian(edited(tmp_path / "a.h5", turn), oversampling=True)
    np.testing.assert_allclose(found.kspace.reshape(2, 2, 6, 16), TRUTH["kspace"], atol=1e-6)

    def discard(rows):
        rows["head"]["discard_pre"], rows["head"]["discard_post"] = 3, 2

    found = read_cartesian(edited(tmp_path / "b.h5", discard), oversampling=True)
    first = found.kspace.reshape(2, 2, 6, 16)[0]
    np.testing.assert_allclose(first[..., 3:14], TRUTH["kspace"][0, ..., 3:14], atol=1e-6)
    assert not first[..., :3].any()
    assert not first[..., 14:].any()


def test_counters_become_axes(tmp_path):
    def count(rows):
        rows["head"]["idx"]["repetition"] = np.arange(len(rows)) % 2
        rows["head"]["idx"]["contrast"] = 1

    scan = read_cartesian(edited(tmp_path / "a.h5", count))
    assert scan.kspace.shape == (2, 1, 1, 2, 2, 2, 1, 6, 8)
    assert not scan.mask[:, :, :, 0].any()
    refuse(read_scan, tmp_path / "a.h5", "2D slices, each acquired once")


def test_a_trajectory_comes_with_its_samples():
    scan = read_trajectory(RADIAL)
    assert scan.kspace.shape == (2, 1, 1, 1, 1, 2, 3, 10)
    np.testing.assert_array_equal(scan.kspace[:, 0, 0, 0, 0], TRUTH["shots"])
    np.testing.assert_array_equal(scan.trajectory[:, 0, 0, 0, 0], TRUTH["trajectory"])
    refuse(read_cartesian, RADIAL, "a Cartesian trajectory, got 'radial'")
    refuse(read_trajectory, CARTESIAN, "a trajectory, got one without")


def test_a_ragged_trajectory_is_refused(tmp_path):
    path = edited(tmp_path / "a.h5", lambda rows: rows[:-1], RADIAL)
    refuse(read_trajectory, path, "as many readouts for each")

    def shorten(rows):
        rows["head"]["discard_pre"][0] = 1

    path = edited(tmp_path / "b.h5", shorten, RADIAL)
    refuse(read_trajectory, path, "readouts of one length")


def test_slices_lie_as_in_fastmri():
    scan, raw = read_scan(CARTESIAN), read_cartesian(CARTESIAN)
    assert scan.kspace.shape == (2, 2, 8, 6)
    np.testing.assert_array_equal(scan.kspace, raw.kspace[0, 0, 0, 0, :, :, 0].swapaxes(-1, -2))
    np.testing.assert_array_equal(scan.mask, np.arange(6) != 4)
    assert scan.spacing == (5.0, 20.0, 20.0)


def test_files_that_cannot_be_used_are_named(tmp_path):
    path = tmp_path / "a.h5"

    def change(field, value, rows=slice(1, None)):
        def edit(found):
            found["head"][field][rows] = value

        return edited(path, edit)

    refuse(read_cartesian, change("flags", 1 << 18), "imaging readouts, got none")
    refuse(read_cartesian, change("active_channels", 1, 2), r"the same coils, got \[1, 2\]")
    refuse(read_cartesian, change("number_of_samples", 9, 2), "as many samples as a readout's")
    refuse(read_cartesian, change("discard_pre", 16), "samples that are kept")

    def far(name, value):
        def edit(found):
            found["head"]["idx"][name][2] = value

        return edited(path, edit)

    refuse(read_cartesian, far("kspace_encode_step_1", 6), "lines within the encoded 6, got one")
    refuse(read_cartesian, far("repetition", 60000), "a grid of at most 256 times its")

    def poison(found):
        found["data"][3][0] = np.nan

    refuse(read_cartesian, edited(path, poison), "finite k-space")
    refuse(read_cartesian, with_header(path, lambda x: "<a/>"), "an encoding in its ISMRMRD")
    refuse(read_cartesian, with_header(path, lambda x: "<!DOCTYPE a>" + x), "without a DOCTYPE")
    refuse(read_cartesian, with_header(path, lambda x: x.replace("<x>16<", "<x>0<")), "be read")
    with h5py.File(path, "w") as file:
        file["dataset/data"] = np.zeros(3)
    refuse(read_cartesian, path, "dataset/xml, got one without")
    with h5py.File(path, "w") as file:
        file["dataset"] = h5py.ExternalLink(str(CARTESIAN), "dataset")
    refuse(read_cartesian, path, "dataset/xml, got one without")
    with_header(path, lambda x: x)
    with h5py.File(path, "r+") as file:
        del file["dataset/data"]
        file["dataset/data"] = np.zeros(3)
    refuse(read_cartesian, path, "a table of acquisitions")
    refuse(read_cartesian, tmp_path / "none.h5", "nothing at this path")
    refuse(read_scan, tmp_path / "scan.dat", r"a file in \.h5, .*got '\.dat'")


def test_a_heap_without_an_end_is_refused_before_it_is_read(tmp_path):
    # HDF5 itself would look for the header's text for ever: were it asked, so would this test.
    content = bytearray(CARTESIAN.read_bytes())
    start = content.find(b"GCOL")
    while start >= 0:
        content[start + 16 : start + 32] = bytes(16)  # an object 0 of no size
        start = content.find(b"GCOL", start + 4)
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(InputError, match="a whole HDF5 file, got a damaged one"):
        read_scan(path)
