import gzip
import struct

import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data import Image, read_header, read_image, to_ras, write_image
from medjax.data.geometry import oriented_shape

AFFINE = np.array([[2.0, 0, 0, -10], [0, 3.0, 0, 4], [0, 0, 4.0, 7], [0, 0, 0, 1]])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sub-1.nii"
    write_image(path, Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), AFFINE))
    return path


def patched(path, offset, form, *values):
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, offset, *values)
    path.write_bytes(content)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 5)])
def test_round_trip(tmp_path, dtype, suffix, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    write_image(tmp_path / f"a{suffix}", Image(array, AFFINE))
    image = read_image(tmp_path / f"a{suffix}")
    assert image.array.dtype == dtype
    np.testing.assert_array_equal(image.array, array)
    np.testing.assert_allclose(image.affine, AFFINE)


def test_nibabel_reads_what_is_written_and_the_other_way_round(tmp_path):
    import nibabel

    rng = np.random.default_rng(0)
    array = rng.normal(size=(3, 4, 5)).astype(np.float32)
    write_image(tmp_path / "a.nii.gz", Image(array, AFFINE))
    theirs = nibabel.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(theirs.get_fdata(dtype=np.float32), array)
    np.testing.assert_array_equal(theirs.affine, AFFINE)
    # nibabel stores floats as int16 by a slope and an intercept; here also big-endian.
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        header = kind.header_class(endianness=">")
        header.set_data_dtype(np.int16)
        nibabel.save(kind(array, AFFINE, header), tmp_path / "b.nii")
        ours = read_image(tmp_path / "b.nii")
        expected = nibabel.load(tmp_path / "b.nii").get_fdata(dtype=np.float32)
        assert ours.array.dtype == np.float32
        np.testing.assert_allclose(ours.array, expected, atol=1e-6)


def test_channels_times_and_modality_come_back(tmp_path):
    path, flat = tmp_path / "a.nii.gz", np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    for array, channels, interval in (
        (flat, ("t1", "t2"), None),
        (flat[..., None, :], ("0", "1"), 2.5),
        (flat[..., None], ("only",), None),
    ):
        write_image(path, Image(array, AFFINE, channels, "MR", interval))
        found, known = read_image(path), read_header(path)
        np.testing.assert_array_equal(found.array, array)
        assert (found.channels, found.modality, found.interval) == (channels, "MR", interval)
        assert (known.shape, known.dtype, known.channels) == (array.shape, np.float32, channels)
        assert known.spacing == (2, 3, 4)[: known.ndim]


def test_times_vectors_and_colours_of_others_become_channels(tmp_path):
    import nibabel

    path = tmp_path / "a.nii"
    array = np.arange(48, dtype=np.int16).reshape(2, 3, 4, 2)
    theirs = nibabel.Nifti1Image(array, AFFINE)
    theirs.header.set_xyzt_units("mm", "msec")
    theirs.header["pixdim"][4] = 1500
    nibabel.save(theirs, path)
    found = read_image(path)
    np.testing.assert_array_equal(found.array, array)
    assert (found.channels, found.interval) == (("0", "1"), 1.5)
    nibabel.save(nibabel.Nifti1Image(array[:, :, :, None], AFFINE), path)
    found = read_image(path)
    np.testing.assert_array_equal(found.array, array)
    assert found.interval is None
    rgb = np.zeros((2, 3, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    rgb["G"] = 7
    nibabel.save(nibabel.Nifti1Image(rgb, AFFINE), path)
    found = read_image(path)
    assert found.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(found.array[1, 2, 3], [0, 7, 0])
    assert read_header(path).shape == found.array.shape == (2, 3, 4, 3)


def test_the_same_image_gives_the_same_bytes(tmp_path):
    array = np.ones((3, 4), bool)
    for name in ("a.nii.gz", "b.nii.gz"):
        write_image(tmp_path / name, Image(array, AFFINE))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_to_ras_keeps_every_voxel_at_its_place_and_undoes_exactly(tmp_path, signs, order):
    rng = np.random.default_rng(1)
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, order] * np.array([2.0, 3.0, 4.0]) * signs
    affine[:3, :3] += 0.1 * rng.normal(size=(3, 3))  # oblique
    affine[:3, 3] = 5, -6, 7
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    ras, undo = to_ras(Image(array, affine))
    voxels = np.stack(np.unravel_index([0, 17, 42], array.shape) + (np.ones(3, int),))
    world = affine @ voxels
    there = np.rint(np.linalg.inv(ras.affine) @ world).astype(int)
    np.testing.assert_array_equal(ras.array[tuple(there[:3])], [0, 17, 42])
    assert (np.abs(np.diag(ras.affine))[:3] > 1).all()
    assert (np.diag(ras.affine) > 0).all()
    np.testing.assert_array_equal(undo(ras.array), array)
    np.testing.assert_array_equal(undo(np.stack([ras.array] * 2, -1))[..., 1], array)
    with pytest.raises(InputError, match="RAS"):
        undo(ras.array[:-1])
    write_image(tmp_path / "a.nii", Image(array, affine))
    known = read_header(tmp_path / "a.nii")
    assert oriented_shape(known.shape, known.affine) == ras.array.shape


def test_a_coronal_2d_image_becomes_a_volume_and_comes_back():
    affine = np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]])
    array = np.arange(12).reshape(3, 4)
    ras, undo = to_ras(Image(array, affine))
    assert ras.array.shape == (3, 1, 4)
    np.testing.assert_array_equal(undo(ras.array), array)


def refuse(path, match):
    with pytest.raises(InputError, match=match) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_folder_empty_and_foreign_files_are_named(tmp_path, file):
    refuse(tmp_path / "none.nii", "nothing at this path")
    refuse(tmp_path, "DICOM files, got none")
    (tmp_path / "e.nii").touch()
    refuse(tmp_path / "e.nii", "empty")
    for name in ("f.nii", "f.nii.gz"):
        (tmp_path / name).write_bytes(b"not an image at all" * 40)
        refuse(tmp_path / name, "another format|not gzip")
    patched(file, 344, "4s", b"ni1\0")
    refuse(file, "header alone")


def test_unreadable_files_are_named(file, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    refuse(file, "no permission")


@pytest.mark.parametrize("keep", [3, 100, 360, 471])
def test_truncated_files_are_named(file, keep):
    content = file.read_bytes()
    file.write_bytes(content[:keep])
    refuse(file, "truncated|at most|another format")
    # A whole gzip stream of a truncated image, and a truncated gzip stream.
    packed = file.with_name("a.nii.gz")
    packed.write_bytes(gzip.compress(content[:keep]))
    refuse(packed, "truncated|another format")
    whole = gzip.compress(content)
    packed.write_bytes(whole[: len(whole) * keep // 472])
    refuse(packed, "truncated|damaged")
    with pytest.raises(InputError):
        read_header(packed.with_name("none.nii.gz"))


def test_a_damaged_gzip_stream_is_named(file):
    packed = file.with_name("a.nii.gz")
    whole = bytearray(gzip.compress(file.read_bytes()))
    whole[-6] ^= 1  # of the check sum
    packed.write_bytes(whole)
    refuse(packed, "gzip")
    # The sum is at the end, after bytes that are not voxels.
    whole = bytearray(gzip.compress(file.read_bytes() + bytes(100)))
    packed.write_bytes(whole)
    assert read_image(packed).array.shape == (3, 4, 5)
    whole[-6] ^= 1
    packed.write_bytes(whole)
    refuse(packed, "gzip")
    packed.write_bytes(gzip.compress(file.read_bytes() + bytes(1 << 25)))
    refuse(packed, "further ones")


def test_a_header_that_promises_too_much_takes_no_memory(file, monkeypatch):
    patched(file, 42, "<3h", 32000, 32000, 32000)
    packed = file.with_name("a.nii.gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))
    monkeypatch.setattr("medjax.data.formats.nifti._voxels", lambda *_: pytest.fail("read"))
    refuse(file, "as its header says, got at most 472")
    refuse(packed, "as its header says")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_voxels_that_are_not_finite_are_counted(tmp_path, bad):
    array = np.zeros((3, 4, 5), np.float32)
    array[0, 0, :2] = bad
    write_image(tmp_path / "a.nii", Image(array, AFFINE))
    refuse(tmp_path / "a.nii", "got 2 that are NaN or infinite")


def test_other_voxels_axes_and_affines_are_refused(tmp_path):
    import nibabel

    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.complex64), AFFINE), path)
    refuse(path, "complex64 voxels")
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, 3, 2), np.float32), AFFINE), path)
    refuse(path, r"shape \(2, 2, 2, 3, 2\)")
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 0, 2), np.float32), AFFINE), path)
    refuse(path, r"at least one voxel, got shape \(2, 0, 2\)")
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 3, 4, 1), np.int16), AFFINE), path)
    assert read_image(path).array.shape == (2, 3, 4)
    patched(path, 280, "<12f", *np.ones(12))
    refuse(path, "singular")
    patched(path, 280, "<f", np.nan)
    refuse(path, "finite numbers")


def test_writing_refuses_and_leaves_what_was_there(tmp_path, file, monkeypatch):
    array = np.zeros((2, 2, 2), np.float32)
    for bad, match in ((array.astype(np.complex64), "integers"), (array[:0], "empty axes")):
        with pytest.raises(InputError, match=match):
            write_image(file, Image(bad, AFFINE))
    with pytest.raises(InputError, match="singular"):
        write_image(file, Image(array, np.zeros((4, 4))))
    with pytest.raises(InputError, match="existing output folder"):
        write_image(tmp_path / "none" / "a.nii", Image(array, AFFINE))
    with pytest.raises(InputError, match=r"\.nii, \.nii\.gz, .*got '\.xyz'"):
        write_image(tmp_path / "a.xyz", Image(array, AFFINE))
    before = file.read_bytes()

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", denied)
    with pytest.raises(InputError, match="permission denied"):
        write_image(file, Image(array, AFFINE))
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [file.name]
