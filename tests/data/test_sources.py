import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data import (
    SOURCES,
    FastMRISlices,
    Image,
    ImageSlices,
    ScanSlices,
    Source,
    Subset,
    VolumeSlices,
    discover,
    subject,
    write_cfl,
    write_image,
    write_kspace,
)
from medjax.physics.fft import fftc

VOLUME = np.arange(1, 61, dtype=np.float32).reshape(3, 4, 5)


@pytest.fixture
def paths(tmp_path):
    """Two subjects; the second is stored with x flipped and y, z exchanged."""
    write_image(tmp_path / "sub-A1_T1w.nii", Image(VOLUME, np.eye(4)))
    affine = np.array([[-1.0, 0, 0, 2], [0, 0, 1.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]])
    other = 10 * VOLUME[::-1].swapaxes(1, 2)
    write_image(tmp_path / "scan.nii.gz", Image(other, affine))
    return [tmp_path / "sub-A1_T1w.nii", tmp_path / "scan.nii.gz"]


@pytest.mark.parametrize(
    ("axis", "count", "shape", "pick"),
    [
        ("axial", 5, (4, 3), lambda v, i: v[:, :, i]),
        ("coronal", 4, (5, 3), lambda v, i: v[:, i, :]),
        ("sagittal", 3, (5, 4), lambda v, i: v[i, :, :]),
    ],
)
def test_slices_are_the_transposed_planes_of_the_ras_volume(paths, axis, count, shape, pick):
    memory = VolumeSlices(VOLUME, axis=axis, shape=shape)
    files = ImageSlices(paths, axis=axis, shape=shape)
    assert isinstance(files, Source)
    assert (len(memory), len(files)) == (count, 2 * count)
    assert files.groups == ("sub-A1",) * count + ("scan",) * count
    scale = np.percentile(VOLUME, 99.9)
    for i in range(count):
        plane = pick(VOLUME, i).T
        np.testing.assert_array_equal(memory[i]["image"], plane)
        for j in (i, count + i):
            np.testing.assert_allclose(files[j]["image"], plane / scale, rtol=1e-6)
            assert files[j]["index"] == j
            assert files[j]["index"].dtype == np.int32
            assert files[j]["image"].dtype == np.float32
    for source in (memory, files):
        for place in (-1, len(source)):
            with pytest.raises(IndexError):
                source[place]


def test_slices_are_cropped_and_padded_about_the_centre():
    image = VolumeSlices(VOLUME, axis="axial", shape=(2, 5))[0]["image"]
    expected = np.pad(VOLUME[:, 1:3, 0].T, ((0, 0), (1, 1)))
    np.testing.assert_array_equal(image, expected)


def test_a_source_survives_pickling_without_its_volumes(paths):
    source = ImageSlices(paths, shape=(4, 3))
    expected = source[7]["image"]
    copy = pickle.loads(pickle.dumps(source))
    assert not copy._volumes._kept
    np.testing.assert_array_equal(copy[7]["image"], expected)


def test_a_subset_keeps_places_and_groups(paths):
    source = ImageSlices(paths, shape=(4, 3))
    part = Subset(source, [8, 2])
    assert [int(part[i]["index"]) for i in range(len(part))] == [8, 2]
    assert part.groups == ("scan", "sub-A1")
    assert part[-1]["index"] == 2
    with pytest.raises(InputError, match="places in 0 to 9, got 2 to 10"):
        Subset(source, [10, 2])


def test_faults_of_sources_name_the_file_or_parameter(tmp_path, paths):
    with pytest.raises(InputError, match="axis: expected one of sagittal, coronal, axial"):
        VolumeSlices(VOLUME, axis="oblique", shape=(4, 3))
    with pytest.raises(InputError, match="two positive sizes"):
        VolumeSlices(VOLUME, axis="axial", shape=(0, 3))
    with pytest.raises(InputError, match="float32 or complex64, got int64"):
        VolumeSlices(VOLUME.astype(np.int64), axis="axial", shape=(4, 3))
    with pytest.raises(InputError, match="without empty axes"):
        VolumeSlices(VOLUME[0], axis="axial", shape=(4, 3))
    with pytest.raises(InputError, match="at least one file"):
        ImageSlices([], shape=(4, 3))
    with pytest.raises(InputError, match="nothing at this path"):
        ImageSlices([*paths, tmp_path / "none.nii"], shape=(4, 3))
    write_image(tmp_path / "zero.nii", Image(np.zeros((3, 4, 5), np.uint8), np.eye(4)))
    with pytest.raises(InputError, match=r"zero\.nii.*zero everywhere"):
        ImageSlices([tmp_path / "zero.nii"], shape=(4, 3))[0]


def test_fastmri_images(tmp_path):
    y, x = np.meshgrid(np.arange(-16, 16), np.arange(-20, 20), indexing="ij")
    disc = (y**2 + x**2 < 81).astype(np.complex64)
    images = np.stack([disc * s for s in (1, 2, 3)])
    maps = np.stack([np.full_like(disc, 0.6), np.full_like(disc, 0.8j)])
    write_kspace(tmp_path / "one.h5", np.asarray(fftc(jnp.asarray(images))))
    write_kspace(
        tmp_path / "many.h5",
        np.asarray(fftc(jnp.asarray(images[:, None] * maps))),
        np.ones(40, bool),
    )
    source = FastMRISlices([tmp_path / "one.h5", tmp_path / "many.h5"], shape=(24, 48))
    assert len(source) == 6
    assert source.groups == ("one",) * 3 + ("many",) * 3
    expected = np.pad(images[:, 4:28], ((0, 0), (0, 0), (4, 4))) / 2
    for i in range(3):
        assert source[i]["image"].dtype == np.complex64
        np.testing.assert_allclose(source[i]["image"], expected[i], atol=1e-5)
        got = np.abs(source[3 + i]["image"])
        # Where there is signal; one scale holds for all slices of a volume.
        np.testing.assert_allclose(got[expected[i] != 0], (i + 1) / 2, atol=1e-3)


def test_undersampled_files_are_no_reference(tmp_path):
    write_kspace(tmp_path / "a.h5", np.ones((1, 4, 6), np.complex64), np.arange(6) < 2)
    with pytest.raises(InputError, match="fully sampled k-space, got 2 of 6 columns"):
        FastMRISlices([tmp_path / "a.h5"], shape=(4, 6))


def test_scans_of_any_format_are_the_same_images(tmp_path):
    rng = np.random.default_rng(0)
    kspace = (rng.normal(size=(3, 2, 8, 6)) + 1j * rng.normal(size=(3, 2, 8, 6))).astype(
        np.complex64
    )
    write_kspace(tmp_path / "a.h5", kspace)
    # BART: readout, phase encoding, one partition, coils, ..., slices.
    theirs = kspace.transpose(2, 3, 1, 0).reshape(8, 6, 1, 2, *(1,) * 9, 3)
    write_cfl(tmp_path / "a.cfl", theirs)
    source = ScanSlices([tmp_path / "a.cfl", tmp_path / "a.h5"], shape=(8, 6))
    fastmri = FastMRISlices([tmp_path / "a.h5"], shape=(8, 6))
    assert source.groups == ("a",) * 6
    for place in range(6):
        np.testing.assert_allclose(
            source[place]["image"], fastmri[place % 3]["image"], rtol=1e-5, atol=1e-6
        )
    copy = pickle.loads(pickle.dumps(source))
    assert not copy._scans._kept
    np.testing.assert_array_equal(copy[4]["image"], source[4]["image"])
    theirs[:, 2] = 0
    write_cfl(tmp_path / "b.cfl", theirs)
    with pytest.raises(InputError, match="fully sampled k-space, got 5 of 6 columns"):
        ScanSlices([tmp_path / "b.cfl"], shape=(8, 6))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/d/sub-07/anat/sub-07_T1w.nii.gz", "sub-07"),
        ("/d/sub-07/anat/scan.nii", "sub-07"),
        ("/d/file1000001.h5", "file1000001"),
        ("/d/scan.3.nii.gz", "scan"),
    ],
)
def test_subject(path, expected):
    assert subject(path) == expected


def test_discover(tmp_path):
    for name in ("b.nii", "a/c.nii.gz", "d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = discover(tmp_path, (".nii", ".nii.gz"))
    assert found == [tmp_path / "a" / "c.nii.gz", tmp_path / "b.nii"]
    with pytest.raises(InputError, match=r"files ending in \.h5, got none"):
        discover(tmp_path, (".h5",))
    with pytest.raises(InputError, match="nothing there"):
        discover(tmp_path / "none", (".h5",))


def test_every_registered_data_set_exists():
    for name in SOURCES:
        assert SOURCES.summary(name)
