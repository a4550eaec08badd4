import gzip
import os

import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data import Image
from medjax.data.formats import nrrd

DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
CHANNELS = ("t1", 't2\n"é\\')


def oblique(seed=0):
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * [0.7, 0.9, 2.1]
    affine[:3, 3] = rng.normal(size=3) * 50
    return affine


def numbers(shape, dtype="i2"):
    return np.random.default_rng(1).integers(0, 100, shape).astype(dtype)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.nrrd"
    nrrd.write(path, Image(numbers((3, 4, 5)), oblique(), modality="MR"))
    return path


def raw(path, *lines, data=b"", shape=(3, 4, 5), dtype="<i2", **fields):
    """A file of others: a header of these fields and raw voxels."""
    known = {
        "type": "short",
        "dimension": len(shape),
        "sizes": " ".join(map(str, shape)),
        "endian": "little",
        "encoding": "raw",
    } | {name.replace("_", " "): value for name, value in fields.items()}
    text = ["NRRD0004", *(f"{k}: {v}" for k, v in known.items() if v is not None), *lines, "", ""]
    data = data or numbers(shape, dtype).tobytes(order="F")
    path.write_bytes("\n".join(text).encode() + data)
    return path


def refuse(path, match):
    for function in (nrrd.read, nrrd.header):
        with pytest.raises(InputError, match=match) as caught:
            function(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 5)])
def test_round_trip(tmp_path, dtype, shape):
    path = tmp_path / "a.nrrd"
    for channels in ((), CHANNELS, ("0", "1")):
        array = numbers((*shape, len(channels)) if channels else shape, dtype)
        nrrd.write(path, Image(array, oblique(), channels, "PT"))
        image, known = nrrd.read(path), nrrd.header(path)
        assert image.array.dtype == known.dtype == dtype
        np.testing.assert_array_equal(image.array, array)
        np.testing.assert_array_equal(image.affine, oblique())
        np.testing.assert_array_equal(known.affine, oblique())
        assert known.shape == array.shape
        assert image.channels == known.channels == channels
        assert image.modality == known.modality == "PT"
        assert image.interval is None


def test_times_bool_and_the_same_bytes(tmp_path):
    array = numbers((3, 4, 5, 2)) > 50
    image = Image(array, oblique(), ("0", "1"), interval=2.5)
    for name in ("a.nrrd", "b.nrrd"):
        nrrd.write(tmp_path / name, image)
    found = nrrd.read(tmp_path / "a.nrrd")
    assert found.interval == 2.5
    assert found.array.dtype == np.uint8
    np.testing.assert_array_equal(found.array, array)
    assert (tmp_path / "a.nrrd").read_bytes() == (tmp_path / "b.nrrd").read_bytes()


def test_itk_and_medjax_put_a_voxel_at_the_same_place(tmp_path):
    itk = pytest.importorskip("SimpleITK")
    path, affine = tmp_path / "a.nrrd", oblique()
    lps = np.diag([-1, -1, 1, 1]) @ affine
    theirs = itk.GetImageFromArray(numbers((5, 4, 3)))
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    theirs.SetSpacing(spacing)
    theirs.SetDirection((lps[:3, :3] / spacing).ravel())
    theirs.SetOrigin(lps[:3, 3])
    itk.WriteImage(theirs, str(path), useCompression=True)
    ours = nrrd.read(path)
    np.testing.assert_array_equal(ours.array, numbers((5, 4, 3)).T)
    np.testing.assert_allclose(ours.affine, affine, atol=1e-12)
    for channels in ((), CHANNELS):
        array = numbers((3, 4, 5, 2) if channels else (3, 4, 5))
        nrrd.write(path, Image(array, affine, channels))
        theirs = itk.ReadImage(str(path))
        np.testing.assert_array_equal(
            itk.GetArrayFromImage(theirs), array.transpose(2, 1, 0, *range(3, array.ndim))
        )
        point = theirs.TransformIndexToPhysicalPoint((2, 3, 1))
        np.testing.assert_allclose(np.multiply(point, [-1, -1, 1]), (affine @ [2, 3, 1, 1])[:3])
    itk.WriteImage(itk.GetImageFromArray(numbers((4, 3))), str(path))
    assert nrrd.read(path).array.shape == (3, 4)


def test_pynrrd_reads_what_is_written(file):
    pynrrd = pytest.importorskip("nrrd")
    array, head = pynrrd.read(str(file))
    np.testing.assert_array_equal(array, numbers((3, 4, 5)))
    assert head["modality"] == "MR"
    np.testing.assert_array_equal(head["space origin"], oblique()[:3, 3] * [-1, -1, 1])


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("right-anterior-superior", (1, 1, 1)),
        ("RAS", (1, 1, 1)),
        ("left-anterior-superior", (-1, 1, 1)),
        ("left-posterior-superior", (-1, -1, 1)),
    ],
)
def test_spaces_and_units_of_others(tmp_path, space, signs):
    path = raw(
        tmp_path / "a.nrrd",
        space=space,
        space_directions="(2,0,0) (0,0,3) (0,4,0)",
        space_origin="(10,20,30)",
        space_units='"cm" "cm" "cm"',
    )
    affine = nrrd.read(path).affine
    expected = np.array([[2, 0, 0, 10], [0, 0, 4, 20], [0, 3, 0, 30]]) * 10.0
    np.testing.assert_allclose(affine[:3], expected * np.array(signs)[:, None])


def test_kinds_say_which_axis_is_not_in_space(tmp_path):
    path = tmp_path / "a.nrrd"
    directions = "(1,0,0) (0,1,0) (0,0,1)"
    shape = (3, 2, 2, 2)
    raw(path, space="LPS", shape=shape, kinds="RGB-color domain domain domain",
        space_directions=f"none {directions}")  # fmt: skip
    image = nrrd.read(path)
    assert image.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(image.array, np.moveaxis(numbers(shape), 0, -1))
    raw(path, space="LPS", shape=(2, 2, 2, 3), kinds="domain domain domain time",
        space_directions=f"{directions} none", spacings="nan nan nan 250",
        units='"" "" "" "ms"')  # fmt: skip
    image = nrrd.read(path)
    assert image.interval == 0.25
    assert image.array.shape == (2, 2, 2, 3)
    raw(path, shape=(3, 4), spacings="0.5 2")
    assert nrrd.read(path).spacing == (0.5, 2.0)
    raw(path, shape=(2, 2, 2, 3))
    refuse(path, "two or three axes in space")


def test_encodings_orders_and_detached_data(tmp_path):
    array, path = numbers((3, 4, 5)), tmp_path / "a.nrrd"
    raw(path, endian="big", data=array.astype(">i2").tobytes(order="F"))
    np.testing.assert_array_equal(nrrd.read(path).array, array)
    text = " ".join(str(n) for n in array.ravel(order="F")).encode()
    raw(path, encoding="text", endian=None, data=text)
    np.testing.assert_array_equal(nrrd.read(path).array, array)
    raw(path, encoding="ascii", type="float", data=text.replace(b"7 ", b"7.5 "))
    assert nrrd.read(path).array.dtype == np.float32
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.raw").write_bytes(b"line\nxyz" + array.tobytes(order="F"))
    head = raw(tmp_path / "a.nhdr", data_file="sub/a.raw", line_skip=1, byte_skip=3, data=b"\n")
    np.testing.assert_array_equal(nrrd.read(head).array, array)
    head = raw(tmp_path / "a.nhdr", datafile="sub/a.raw", byteskip=-1, data=b"\n")
    np.testing.assert_array_equal(nrrd.read(head).array, array)


def test_data_outside_the_folder_is_not_touched(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "a.raw").write_bytes(numbers((3, 4, 5)).tobytes())
    head = tmp_path / "in" / "a.nhdr"
    (tmp_path / "in" / "link.raw").symlink_to(tmp_path / "a.raw")
    (tmp_path / "in" / "loop.raw").symlink_to("loop.raw")
    for name in ("../a.raw", str(tmp_path / "a.raw"), "link.raw"):
        refuse(raw(head, data_file=name), "in its own folder, got one outside it")
    for name in ("none.raw", "loop.raw", "a\0b", "x" * 300, "."):
        refuse(raw(head, data_file=name), "in its own folder, got")
    os.mkfifo(tmp_path / "in" / "pipe")
    refuse(raw(head, data_file="pipe"), "no file that can be read")
    for name in ("LIST", "a%03d.raw 1 3 1"):
        refuse(raw(head, data_file=name), "one data file, got a list")


def test_missing_empty_and_foreign_files_are_named(tmp_path):
    path = tmp_path / "a.nrrd"
    refuse(path, "nothing at this path")
    path.touch()
    refuse(path, "empty")
    path.write_bytes(b"not an image at all" * 40)
    refuse(path, "another format")
    path.write_bytes(b"NRRD0004\n" + b"# " + b"x" * (2 << 20))
    refuse(path, "a header of at most")
    path.write_bytes(b"NRRD0004\n" * 3)
    refuse(path, "the field 'type'")


@pytest.mark.parametrize("keep", [5, 60, 200, -60, -9, -1])
def test_truncated_files_are_named(file, keep):
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"a\.nrrd: expected"):
        nrrd.read(file)


def test_damage_and_surplus_are_named(file, tmp_path):
    content = bytearray(file.read_bytes())
    content[-6] ^= 1  # of the check sum
    file.write_bytes(content)
    with pytest.raises(InputError, match="truncated or damaged"):
        nrrd.read(file)
    voxels = numbers((3, 4, 5)).tobytes(order="F")
    for encoding, data in (("raw", voxels + b"\0"), ("gzip", gzip.compress(voxels * 9))):
        raw(file, encoding=encoding, data=data)
        with pytest.raises(InputError, match="120 bytes of voxels as its header says, got more"):
            nrrd.read(file)


def test_a_header_that_promises_too_much_takes_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(nrrd, "load", lambda *_: pytest.fail("read"))
    path = tmp_path / "a.nrrd"
    bomb = gzip.compress(bytes(1 << 20))
    for encoding, data in (("raw", b""), ("gzip", bomb), ("ascii", b"1 2 3")):
        raw(path, encoding=encoding, data=data, sizes="32000 32000 32000")
        refuse(path, "as its header says, got at most")


def test_what_cannot_be_used_is_named(tmp_path):
    path = tmp_path / "a.nrrd"
    directions = {"space": "LPS", "space_directions": "(1,0,0) (0,1,0) (0,2,0)"}
    refuse(raw(path, **directions), "singular")
    directions["space_directions"] = "(1,0,0) (0,1,0) (0,0,nan)"
    refuse(raw(path, **directions), "finite numbers")
    directions["space_directions"] = "(1e200,0,0) (0,1e200,0) (0,0,1e200)"
    refuse(raw(path, **directions), "affine")
    refuse(raw(path, space="scanner-xyz"), "a space: RAS, LAS or LPS")
    refuse(raw(path, space_units='"furlong"'), "space units")
    refuse(raw(path, type="block"), "unknown type")
    refuse(raw(path, encoding="hex"), "encoding raw, gzip, bzip2 or ascii")
    refuse(raw(path, endian=None), "endian little or big")
    refuse(raw(path, sizes="3 four 5"), "cannot be understood")
    refuse(raw(path, sizes="3 -4 5"), "at least one voxel")
    refuse(raw(path, "sizes: 3 4 5"), "one that is repeated")
    refuse(raw(path, "sizes"), "a line without a colon")
    refuse(raw(path, byte_skip=-7), "a place before it")
    bad = numbers((3, 4, 5), "f4")
    bad.ravel()[:2] = np.nan, np.inf
    raw(path, type="float", data=bad.tobytes(order="F"))
    with pytest.raises(InputError, match="got 2 that are NaN or infinite"):
        nrrd.read(path)
    raw(path, encoding="ascii", data=b"999999 " * 60)
    with pytest.raises(InputError, match="beyond its range"):
        nrrd.read(path)


def test_writing_refuses_and_leaves_what_was_there(file):
    before = file.read_bytes()
    array = numbers((2, 2, 2))
    for bad, match in (
        (Image(array.astype(np.complex64), np.eye(4)), "integers"),
        (Image(array[:0], np.eye(4)), "empty axes"),
        (Image(array, np.zeros((4, 4))), "singular"),
    ):
        with pytest.raises(InputError, match=match):
            nrrd.write(file, bad)
    for name, match in (("a.nhdr", r"\.nrrd, as one file"), ("none/a.nrrd", "output folder")):
        with pytest.raises(InputError, match=match):
            nrrd.write(file.parent / name, Image(array, np.eye(4)))
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]
