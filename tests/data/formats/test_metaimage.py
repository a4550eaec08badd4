import zlib

import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data import Image
from medjax.data.formats import metaimage

DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
CHANNELS = ("t1", 't2\n"é\\=')


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
    path = tmp_path / "a.mha"
    metaimage.write(path, Image(numbers((3, 4, 5)), oblique(), modality="MR"))
    return path


def raw(path, data=b"", shape=(3, 4, 5), file="LOCAL", **fields):
    """A file of others."""
    known = {
        "ObjectType": "Image",
        "NDims": len(shape),
        "BinaryData": "True",
        "DimSize": " ".join(map(str, shape)),
        "ElementType": "MET_SHORT",
        **fields,
        "ElementDataFile": file,
    }
    text = "".join(f"{k} = {v}\n" for k, v in known.items() if v is not None)
    path.write_bytes(text.encode() + (data or numbers(shape).tobytes(order="F")))
    return path


def refuse(path, match):
    for function in (metaimage.read, metaimage.header):
        with pytest.raises(InputError, match=match) as caught:
            function(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 5)])
def test_round_trip(tmp_path, dtype, shape):
    path = tmp_path / "a.mha"
    for channels, modality in (((), "CT"), (CHANNELS, "PT"), (("0", "1"), "")):
        array = numbers((*shape, len(channels)) if channels else shape, dtype)
        metaimage.write(path, Image(array, oblique(), channels, modality))
        image, known = metaimage.read(path), metaimage.header(path)
        assert image.array.dtype == known.dtype == dtype
        np.testing.assert_array_equal(image.array, array)
        # A matrix times a spacing: two roundings.
        np.testing.assert_allclose(image.affine, oblique(), rtol=1e-15)
        np.testing.assert_array_equal(known.affine, image.affine)
        assert known.shape == array.shape
        assert image.channels == known.channels == channels
        assert image.modality == known.modality == modality


def test_times_and_the_same_bytes(tmp_path):
    image = Image(numbers((3, 4, 5, 2)), oblique(), ("0", "1"), interval=2.5)
    for name in ("a.mha", "b.mha"):
        metaimage.write(tmp_path / name, image)
    assert metaimage.read(tmp_path / "a.mha").interval == 2.5
    assert (tmp_path / "a.mha").read_bytes() == (tmp_path / "b.mha").read_bytes()


@pytest.mark.parametrize("name", ["a.mha", "a.mhd"])
def test_itk_and_medjax_put_a_voxel_at_the_same_place(tmp_path, name):
    itk = pytest.importorskip("SimpleITK")
    path, affine = tmp_path / name, oblique()
    lps = np.diag([-1, -1, 1, 1]) @ affine
    theirs = itk.GetImageFromArray(numbers((5, 4, 3), "f8"))
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    theirs.SetSpacing(spacing)
    theirs.SetDirection((lps[:3, :3] / spacing).ravel())
    theirs.SetOrigin(lps[:3, 3])
    for compressed in (False, True):
        itk.WriteImage(theirs, str(path), useCompression=compressed)
        ours = metaimage.read(path)
        np.testing.assert_array_equal(ours.array, numbers((5, 4, 3), "f8").T)
        np.testing.assert_allclose(ours.affine, affine, atol=1e-12)


def test_itk_reads_what_is_written(file):
    itk = pytest.importorskip("SimpleITK")
    theirs = itk.ReadImage(str(file))
    np.testing.assert_array_equal(itk.GetArrayFromImage(theirs).T, numbers((3, 4, 5)))
    point = theirs.TransformIndexToPhysicalPoint((2, 3, 1))
    np.testing.assert_allclose(np.multiply(point, [-1, -1, 1]), (oblique() @ [2, 3, 1, 1])[:3])
    assert theirs.GetMetaData("Modality") == "MET_MOD_MR"
    text = file.read_bytes()
    itk.WriteImage(theirs, str(file))
    name = b"AnatomicalOrientation = "
    ours, others = (t.partition(name)[2][:3] for t in (text, file.read_bytes()))
    assert ours == others == b"SAR"
    metaimage.write(file, Image(numbers((3, 4, 5, 2)), oblique(), CHANNELS))
    theirs = itk.ReadImage(str(file))
    assert theirs.GetNumberOfComponentsPerPixel() == 2
    volume = itk.GetArrayFromImage(theirs).transpose(2, 1, 0, 3)
    np.testing.assert_array_equal(volume, numbers((3, 4, 5, 2)))


def test_four_axes_text_and_orders_of_others(tmp_path):
    path, shape = tmp_path / "a.mha", (2, 2, 2, 3)
    image = metaimage.read(raw(path, shape=shape))
    assert image.channels == ("0", "1", "2")
    np.testing.assert_array_equal(image.array, numbers(shape))
    np.testing.assert_array_equal(image.affine, np.diag([-1, -1, 1, 1]))
    image = metaimage.read(raw(path, shape=(3, 4), Offset="1 2", ElementSpacing="0.5 2"))
    np.testing.assert_array_equal(image.affine[:2], [[-0.5, 0, 0, -1], [0, -2, 0, -2]])
    array = numbers((3, 4, 5))
    text = " ".join(map(str, array.ravel(order="F"))).encode()
    raw(path, text, BinaryData="False")
    np.testing.assert_array_equal(metaimage.read(path).array, array)
    raw(path, array.astype(">i2").tobytes(order="F"), ElementByteOrderMSB="True")
    np.testing.assert_array_equal(metaimage.read(path).array, array)
    (tmp_path / "a.raw").write_bytes(b"before" + array.tobytes(order="F"))
    for skip in (6, -1):
        head = raw(tmp_path / "a.mhd", b"\n", file="a.raw", HeaderSize=skip)
        np.testing.assert_array_equal(metaimage.read(head).array, array)


def test_an_orientation_without_a_matrix_is_not_guessed(tmp_path):
    path = tmp_path / "a.mha"
    assert metaimage.read(raw(path, AnatomicalOrientation="RAI")).affine[0, 0] == -1
    refuse(raw(path, AnatomicalOrientation="LPS"), "a TransformMatrix")
    matrix = "0 1 0 1 0 0 0 0 1"
    raw(path, AnatomicalOrientation="LPS", TransformMatrix=matrix, ElementSpacing="2 3 4")
    expected = [[0, -3, 0], [-2, 0, 0], [0, 0, 4]]
    np.testing.assert_array_equal(metaimage.read(path).affine[:3, :3], expected)


def test_data_outside_the_folder_is_not_touched(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "a.raw").write_bytes(numbers((3, 4, 5)).tobytes())
    head = tmp_path / "in" / "a.mhd"
    (tmp_path / "in" / "link.raw").symlink_to(tmp_path / "a.raw")
    for name in ("../a.raw", str(tmp_path / "a.raw"), "link.raw", "sub/../../a.raw"):
        refuse(raw(head, b"\n", file=name), "in its own folder, got one outside it")
    refuse(raw(head, b"\n", file="none.raw"), "no file that can be read")
    for name in ("LIST", "a%03d.raw 1 3 1"):
        refuse(raw(head, b"\n", file=name), "one data file, got a list")


def test_missing_empty_and_foreign_files_are_named(tmp_path):
    path = tmp_path / "a.mha"
    refuse(path, "nothing at this path")
    path.touch()
    refuse(path, "empty")
    path.write_bytes(b"not an image at all" * 40)
    refuse(path, "a MetaImage header")
    path.write_bytes(b"Comment = " + b"x" * (2 << 20))
    refuse(path, "a header of at most")


@pytest.mark.parametrize("keep", [5, 60, 200, -60, -9, -1])
def test_truncated_files_are_named(file, keep):
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"a\.mha: expected"):
        metaimage.read(file)


def test_damage_and_surplus_are_named(file):
    content = bytearray(file.read_bytes())
    content[-2] ^= 1  # of the check sum
    file.write_bytes(content)
    with pytest.raises(InputError, match="truncated or damaged"):
        metaimage.read(file)
    voxels = numbers((3, 4, 5)).tobytes(order="F")
    for packed, data in (("False", voxels + b"\0"), ("True", zlib.compress(voxels * 9))):
        raw(file, data, CompressedData=packed)
        with pytest.raises(InputError, match="120 bytes of voxels as its header says, got more"):
            metaimage.read(file)


def test_a_header_that_promises_too_much_takes_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(metaimage, "load", lambda *_: pytest.fail("read"))
    path = tmp_path / "a.mha"
    for packed, data in (("False", b""), ("True", zlib.compress(bytes(1 << 20)))):
        raw(path, data, CompressedData=packed, DimSize="32000 32000 32000")
        refuse(path, "as its header says, got at most")


def test_what_cannot_be_used_is_named(tmp_path):
    path = tmp_path / "a.mha"
    refuse(raw(path, TransformMatrix="1 0 0 0 1 0 0 2 0"), "singular")
    refuse(raw(path, TransformMatrix="1 0 0 0 1 0 0 0 nan"), "finite numbers")
    refuse(raw(path, TransformMatrix="1 0 0 1"), "9 numbers in TransformMatrix, got 4")
    refuse(raw(path, ElementSpacing="1 1 -1"), "positive numbers")
    refuse(raw(path, ElementType="MET_FLOAT_ARRAY"), "unknown ElementType")
    refuse(raw(path, ElementToIntensityFunctionSlope="2"), "without a scaling")
    refuse(raw(path, ObjectType="Mesh"), "another object")
    refuse(raw(path, DimSize=None), "got one without DimSize")
    refuse(raw(path, DimSize="3 4"), "3 numbers in DimSize, got 2")
    refuse(raw(path, DimSize="3 4 0"), "at least one voxel")
    refuse(raw(path, BinaryData="Perhaps"), "cannot be understood")
    refuse(raw(path, Rotation="1", Orientation="1"), "one that is repeated")
    refuse(raw(path, HeaderSize=-7), "a place before it")
    bad = numbers((3, 4, 5), "f4")
    bad.ravel()[:2] = np.nan, np.inf
    raw(path, bad.tobytes(order="F"), ElementType="MET_FLOAT")
    with pytest.raises(InputError, match="got 2 that are NaN or infinite"):
        metaimage.read(path)


def test_writing_refuses_and_leaves_what_was_there(file):
    before = file.read_bytes()
    array = numbers((2, 2, 2))
    for bad, match in (
        (Image(array.astype(np.float16), np.eye(4)), "integers"),
        (Image(array, np.zeros((4, 4))), "singular"),
    ):
        with pytest.raises(InputError, match=match):
            metaimage.write(file, bad)
    with pytest.raises(InputError, match=r"\.mha, as one file"):
        metaimage.write(file.with_name("a.mhd"), Image(array, np.eye(4)))
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]
