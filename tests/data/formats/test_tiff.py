import json
import logging
import struct
from pathlib import Path

import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data import Image
from medjax.data.formats import tiff

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("imagecodecs")

DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")
COLOURS = ("red", "green", "blue", "alpha")


def oblique(seed=0):
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * [0.7, 0.9, 2.1]
    affine[:3, 3] = rng.normal(size=3) * 50
    return affine


def numbers(shape, dtype="u2"):
    return np.random.default_rng(1).integers(0, 100, shape).astype(dtype)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.tif"
    tiff.write(path, Image(numbers((3, 4, 5)), oblique(), modality="OPT"))
    return path


def refuse(path, match):
    for function in (tiff.read, tiff.header):
        with pytest.raises(InputError, match=match) as caught:
            function(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def with_description(path, text, pages=1):
    planes = numbers((pages, 4, 3))
    tifffile.imwrite(path, planes, photometric="minisblack", metadata=None, description=text)
    return path


def ome(inner="<TiffData/>", head="", **attributes):
    known = {"DimensionOrder": "XYZCT", "Type": "uint16", "SizeX": 3, "SizeY": 4, "SizeZ": 1}
    known |= {"SizeC": 1, "SizeT": 1, **attributes}
    text = " ".join(f'{k}="{v}"' for k, v in known.items())
    pixels = f'<Image ID="Image:0"><Pixels {text}>{inner}</Pixels></Image>'
    return f"<?xml version='1.0'?>{head}<OME xmlns='urn:x'>{pixels}</OME>".encode()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 5)])
def test_round_trip(tmp_path, dtype, shape):
    path = tmp_path / "a.tif"
    for channels in ((), ("dapi", "b&<é>"), COLOURS[:3], COLOURS):
        array = numbers((*shape, len(channels)) if channels else shape, dtype)
        tiff.write(path, Image(array, oblique(), channels, "OPT"))
        image, known = tiff.read(path), tiff.header(path)
        assert image.array.dtype == known.dtype == dtype
        np.testing.assert_array_equal(image.array, array)
        np.testing.assert_array_equal(image.affine, oblique())
        np.testing.assert_array_equal(known.affine, oblique())
        assert known.shape == array.shape
        assert image.channels == known.channels == channels
        assert image.modality == known.modality == "OPT"


def test_times_bool_and_the_same_bytes(tmp_path):
    array = numbers((3, 4, 5, 3)) > 50
    image = Image(array, oblique(), COLOURS[:3], interval=2.5)
    for name in ("a.tif", "b.tif"):
        tiff.write(tmp_path / name, image)
    found = tiff.read(tmp_path / "a.tif")
    assert found.interval == 2.5
    assert found.channels == COLOURS[:3]
    np.testing.assert_array_equal(found.array, array)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_tifffile_sees_ome_axes_and_sizes(tmp_path):
    path, array = tmp_path / "a.tif", numbers((3, 4, 5, 2))
    tiff.write(path, Image(array, np.diag([0.5, 0.6, 0.7, 1]), ("dapi", "gfp")))
    with tifffile.TiffFile(path) as opened:
        assert opened.is_ome
        assert opened.series[0].axes == "CZYX"
        np.testing.assert_array_equal(opened.asarray(), array.transpose(3, 2, 1, 0))
        pixels = tifffile.xml2dict(opened.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeZ"]) == (0.5, 0.7)
    assert [channel["Name"] for channel in pixels["Channel"]] == ["dapi", "gfp"]


@pytest.mark.parametrize("axes", ["ZCYX", "CZYX", "TZYX", "ZTYX"])
def test_axes_of_others(tmp_path, axes):
    path, planes = tmp_path / "a.tif", numbers((3, 2, 5, 7))
    expected = np.moveaxis(planes, axes.index("Z"), 1).transpose(3, 2, 1, 0)
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 500, "PhysicalSizeYUnit": "nm"}
    sizes |= {"PhysicalSizeZ": 0.002, "PhysicalSizeZUnit": "mm"}
    names = ["p", "q", "r"][: planes.shape[axes.index("C")]] if "C" in axes else []
    channel = {"Channel": {"Name": names}} if names else {}
    times = {"TimeIncrement": 100, "TimeIncrementUnit": "ms"}
    metadata = {"axes": axes, **sizes, **channel, **times}
    tifffile.imwrite(path, planes, ome=True, tile=(16, 16), compression="lzw", metadata=metadata)
    image = tiff.read(path)
    np.testing.assert_array_equal(image.array, expected)
    np.testing.assert_allclose(image.spacing, (0.00025, 0.0005, 0.002))
    assert image.channels == (tuple(names) or tuple("012"[: len(image.channels)]))
    assert image.interval == (None if names else 0.1)
    tifffile.imwrite(path, planes, metadata={"axes": axes})
    np.testing.assert_array_equal(tiff.read(path).array, expected)
    if axes not in ("ZCYX", "TZYX"):
        return  # ImageJ has one order
    metadata = {"axes": axes, "spacing": 3, "unit": "um", "finterval": 0.5}
    tifffile.imwrite(path, planes, imagej=True, resolution=(4, 2), metadata=metadata)
    image = tiff.read(path)
    np.testing.assert_array_equal(image.array, expected)
    np.testing.assert_allclose(image.spacing, (0.00025, 0.0005, 0.003))
    assert image.interval == (0.5 if "T" in axes else None)


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits", "zstd", "jpeg"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_colours_tiles_and_compressions_of_others(tmp_path, compression, tile):
    path, rows = tmp_path / "a.tif", numbers((40, 24, 3), "u1")
    options = {"compression": compression, "tile": tile, "photometric": "rgb"}
    tifffile.imwrite(path, rows, resolution=(100, 200), resolutionunit="CENTIMETER", **options)
    image = tiff.read(path)
    assert image.channels == COLOURS[:3]
    assert image.spacing == (0.1, 0.05)
    np.testing.assert_array_equal(image.array.swapaxes(0, 1), tifffile.imread(path))
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    refuse(path, "a whole|beyond its end")


def test_numbers_of_other_widths(tmp_path):
    path = tmp_path / "a.tif"
    for dtype, kept in ((bool, "u1"), (np.float16, "f4")):
        array = np.eye(9, 4, dtype=dtype)
        tifffile.imwrite(path, array)
        assert tiff.read(path).array.dtype == tiff.header(path).dtype == kept
        np.testing.assert_array_equal(tiff.read(path).array.T, array)
    array = numbers((5, 4, 3), ">f4")
    tifffile.imwrite(path, array, bigtiff=True, byteorder=">", photometric="minisblack")
    np.testing.assert_array_equal(tiff.read(path).array.T, array)


def test_planes_in_the_order_that_tiff_data_says(tmp_path):
    planes = numbers((4, 4, 3))
    inner = "".join(
        f'<TiffData IFD="{ifd}" FirstC="{c}" FirstZ="{z}"/>'
        for ifd, (c, z) in enumerate([(1, 1), (0, 0), (1, 0), (0, 1)])
    )
    path = with_description(tmp_path / "a.tif", ome(inner, SizeZ=2, SizeC=2), 4)
    array = tiff.read(path).array
    for (c, z), plane in zip([(1, 1), (0, 0), (1, 0), (0, 1)], planes, strict=True):
        np.testing.assert_array_equal(array[:, :, z, c].T, plane)


def test_xml_expands_nothing_and_leads_nowhere(tmp_path):
    path = tmp_path / "a.tif"
    laughs = "".join(f"<!ENTITY l{i + 1} '{f'&l{i};' * 10}'>" for i in range(9))
    for head in (
        f"<!DOCTYPE OME [<!ENTITY l0 'ha'>{laughs}]>",
        f"<!DOCTYPE OME [<!ENTITY x SYSTEM '{tmp_path}/secret'>]>",
        "<!DOCTYPE OME SYSTEM 'http://localhost/a.dtd'>",
    ):
        for inner in ("<TiffData/>&l9;", "<TiffData/>&x;"):
            refuse(with_description(path, ome(inner, head)), "without a DOCTYPE")
    other = '<TiffData IFD="0"><UUID FileName="b.tif">urn:uuid:1</UUID></TiffData>'
    with_description(tmp_path / "b.tif", b"")
    refuse(with_description(path, ome(other)), "all planes in one file, got some in others")
    own = other.replace("b.tif", "a.tif")
    assert tiff.read(with_description(path, ome(own))).array.shape == (3, 4)


def test_descriptions_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "a.tif"

    def refused(match, pages=1, inner="<TiffData/>", **attributes):
        refuse(with_description(path, ome(inner, **attributes), pages), match)

    refused("as many planes as its description says", SizeZ=2)
    refused("as many planes as its description says", SizeZ=10**9, SizeC=10**9)
    refused("channels or times, got 2 and 2", 4, SizeC=2, SizeT=2)
    refused("SizeX and SizeY of its pages", SizeX=5)
    refused("metric unit", PhysicalSizeX=1, PhysicalSizeXUnit="furlong")
    refused("a positive PhysicalSizeX", PhysicalSizeX=-1)
    refused("a positive PhysicalSizeX", PhysicalSizeX="nan")
    refused("cannot be read", SizeZ="two")
    refused("cannot be read", DimensionOrder="XYZ")
    refused("planes among its 2 pages", 2, '<TiffData IFD="2"/>', SizeZ=2)
    refused("each plane once", 2, '<TiffData IFD="0"/><TiffData IFD="1"/>', SizeZ=2)
    refused("some without a page", 2, '<TiffData IFD="0"/>', SizeZ=2)
    refuse(with_description(path, b"<OME><unclosed></OME>"), "cannot be read")
    twice = ome().replace(b"</OME>", b"<Image/></OME>")
    refuse(with_description(path, twice), "an OME-TIFF of one image, got 2")
    text = b"ImageJ=1.54\nimages=6\nchannels=2\nslices=1\nframes=3\n"
    refuse(with_description(path, text, 6), "frames or channels")
    noted = b'<StructuredAnnotations><CommentAnnotation Namespace="medjax"><Value>'
    noted += json.dumps({"affine": np.zeros((4, 4)).tolist()}).encode()
    noted += b"</Value></CommentAnnotation></StructuredAnnotations></OME>"
    refuse(with_description(path, ome().replace(b"</OME>", noted)), "singular")


def test_missing_empty_and_foreign_files_are_named(tmp_path):
    path = tmp_path / "a.tif"
    refuse(path, "nothing at this path")
    refuse(tmp_path, "a folder")
    path.touch()
    refuse(path, "empty")
    for content in (b"not an image at all" * 40, b"II", b"II*\0"):
        path.write_bytes(content)
        refuse(path, "another format")
    path.write_bytes(b"II*\0" + bytes(20))
    refuse(path, "with a page, got none")


@pytest.mark.parametrize("keep", [12, 100, 400, -200, -9, -1])
def test_truncated_files_are_named(file, keep):
    file.write_bytes(file.read_bytes()[:keep])
    refuse(file, r"a\.tif: expected")


def test_a_chain_of_pages_that_loops_ends(file):
    content = bytearray(file.read_bytes())
    with tifffile.TiffFile(file) as opened:
        places = [page.offset for page in opened.pages]
    (tags,) = struct.unpack_from("<H", content, places[-1])
    struct.pack_into("<I", content, places[-1] + 2 + 12 * tags, places[1])
    file.write_bytes(content)
    refuse(file, "got a loop")


def changed(path, code, value, kind="I"):
    """The first page with another number in one of its tags."""
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as opened:
        place = opened.pages[0].tags[code].valueoffset
    struct.pack_into("<" + kind, content, place, value)
    path.write_bytes(content)
    return path


def test_a_page_that_promises_too_much_takes_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda *_, **__: pytest.fail("read"))
    path, rows = tmp_path / "a.tif", np.zeros((64, 64), np.uint8)
    width, length = 256, 257
    for compression in (None, "zlib"):
        tifffile.imwrite(path, rows, compression=compression, rowsperstrip=64)
        refuse(changed(path, width, 60_000), "3840000 bytes of pixels as a page says")
    refuse(changed(path, length, 60_000), "938 strips or tiles, got 1")
    tifffile.imwrite(path, rows, compression="zstd", tile=(64, 64))
    refuse(changed(path, width, 60_000), "938 strips or tiles, got 1")
    tifffile.imwrite(path, rows, compression="zstd", tile=(64, 64))
    refuse(changed(changed(path, 322, 65_536), 323, 65_536), "bytes of pixels as a page says")
    tifffile.imwrite(path, np.zeros((64, 64, 3), np.uint8), compression="jpeg", tile=(64, 64))
    content = bytearray(path.read_bytes())
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", 60_000, 60_000)
    path.write_bytes(content)
    refuse(path, "JPEG tiles as large as the page says")


def test_what_cannot_be_used_is_named_and_nothing_is_logged(tmp_path, caplog):
    path, rows = tmp_path / "a.tif", numbers((8, 8), "u1")
    with caplog.at_level(logging.DEBUG):
        tifffile.imwrite(path, rows)
        refuse(changed(path, 259, 34712, "H"), "LZW, Deflate, PackBits, Zstandard, JPEG or none")
        tifffile.imwrite(path, rows)
        refuse(changed(path, 273, 10**6), "one beyond its end|a whole")
        tifffile.imwrite(path, rows)
        refuse(changed(path, 262, 5, "H"), "grey or RGB pixels")
        tifffile.imwrite(path, rows.astype(np.complex64))
        refuse(path, "integer or float pixels")
        with tifffile.TiffWriter(path) as writer:
            writer.write(rows)
            writer.write(rows[:4])
        refuse(path, "pages of one shape and type, got 2")
        bad = rows.astype(np.float32)
        bad[0, :2] = np.nan, np.inf
        tifffile.imwrite(path, bad)
        with pytest.raises(InputError, match="got 2 that are NaN or infinite"):
            tiff.read(path)
    assert not caplog.records


def test_writing_refuses_and_leaves_what_was_there(file):
    before, array = file.read_bytes(), numbers((2, 2, 2))
    for bad, match in (
        (Image(array.astype(np.int64), np.eye(4)), "up to 32 bits"),
        (Image(array.astype(np.complex64), np.eye(4)), "integers"),
        (Image(array, np.zeros((4, 4))), "singular"),
    ):
        with pytest.raises(InputError, match=match):
            tiff.write(file, bad)
    with pytest.raises(InputError, match=r"\.tif or \.tiff"):
        tiff.write(file.with_name("a.png"), Image(array, np.eye(4)))
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_real_stacks_of_scikit_image():
    folder = Path(pytest.importorskip("skimage").__file__).parent / "data"
    image = tiff.read(folder / "multipage.tif")
    assert image.array.shape == (10, 15, 2)
    np.testing.assert_allclose(image.spacing, (25.4 / 72, 25.4 / 72, 1))
    image = tiff.read(folder / "multipage_rgb.tif")  # a plane for each colour
    assert (image.array.shape, image.array.dtype) == ((10, 10, 2, 3), np.float64)
    assert image.channels == COLOURS[:3]
    expected = tifffile.imread(folder / "multipage_rgb.tif")
    np.testing.assert_array_equal(image.array, expected.transpose(3, 2, 0, 1))


def test_real_nuclei_of_stardist():
    """Nuclei and their labels in 2D and 3D: bright where they are labelled."""
    import importlib.util

    found = importlib.util.find_spec("stardist")
    if found is None:
        pytest.skip("could not import 'stardist'")
    folder = Path(found.submodule_search_locations[0]) / "data" / "images"
    for dimensions, shape, count in (("2d", (512, 512), 125), ("3d", (57, 61, 31), 51)):
        image = tiff.read(folder / f"img{dimensions}.tif").array
        label = tiff.read(folder / f"mask{dimensions}.tif").array
        assert image.shape == label.shape == shape
        assert image.dtype == label.dtype == np.uint16
        assert len(np.unique(label)) == 1 + count

        def contrast(label, image=image):
            return image[label > 0].mean() / image[label == 0].mean()

        assert contrast(label) > 1.25
        for axis in range(label.ndim):
            assert contrast(np.flip(label, axis)) < 1.2
