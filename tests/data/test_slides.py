"""Whole slides, opened by whatever library reads them."""

import json
import pickle
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("openslide")
pytest.importorskip("tifffile")

import slide_files as made

from medjax.core.errors import InputError, MissingExtraError
from medjax.data.formats.slide import header, open_slide, read, scanner, tiled
from medjax.data.slides import prepare_slide

IMAGES = made.pyramid(made.noise(600, 448))


def aperio(path, **options):
    text = "Aperio Image Library v1\n600x448 [0,0 600x448] |AppMag = 40|MPP = 0.2520|Left = 1"
    return made.write_tiff(path, IMAGES, description=text, **options)


def written(kind, folder):
    if kind == "tiff":
        return made.write_tiff(folder / "a.tif", IMAGES, spacing=0.25)
    if kind == "subifds":
        return made.write_tiff(folder / "a.tif", IMAGES, spacing=0.25, subifds=True)
    if kind == "ome-tiff":
        return made.write_ome_tiff(folder / "a.ome.tif", IMAGES, 0.25)
    if kind == "dicom":
        return made.write_dicom(folder / "d", IMAGES, 0.25)
    if kind == "zarr":
        tiff = made.write_tiff(folder / "a.tif", IMAGES, spacing=0.25)
        prepare_slide(tiff, folder / "a.zarr", chunk=64, shard=256)
        return folder / "a.zarr"
    return aperio(folder / "a.svs")


@pytest.mark.parametrize("kind", ["tiff", "subifds", "ome-tiff", "svs", "dicom", "zarr"])
def test_every_format_gives_the_same_pixels(tmp_path, kind):
    with open_slide(written(kind, tmp_path)) as slide:
        expected = 0.252 if kind == "svs" else 0.25
        np.testing.assert_allclose(slide.spacing, (expected, expected))
        for level, (image, found) in enumerate(zip(IMAGES, slide.levels, strict=False)):
            assert found[:2] == image.shape[1::-1]
            assert found.downsample == (2.0**level, 2.0**level)
            width, height = found[:2]
            np.testing.assert_array_equal(slide.read(level, 0, 0, width, height), image)
            np.testing.assert_array_equal(slide.read(level, 37, 21, 90, 77), image[21:98, 37:127])
        assert len(slide.levels) >= 3


@pytest.mark.parametrize("kind", ["tiff", "svs", "zarr"])
def test_outside_the_slide_it_is_white(tmp_path, kind):
    with open_slide(written(kind, tmp_path)) as slide:
        padded = np.pad(IMAGES[1], [(20, 30), (10, 40), (0, 0)], constant_values=255)
        np.testing.assert_array_equal(slide.read(1, -10, -20, 350, 274), padded)
        assert (slide.read(0, 5000, -700, 8, 9) == 255).all()


def test_gaps_of_a_sparse_slide_are_white(tmp_path):
    folder = made.write_dicom(tmp_path / "d", IMAGES, 0.25, sparse=True, missing={(1, 2)})
    with open_slide(folder) as slide:
        expected = IMAGES[0].copy()
        expected[128:256, 256:384] = 255
        np.testing.assert_array_equal(slide.read(0, 0, 0, 600, 448), expected)


def test_tiles_left_out_of_a_tiff_are_white(tmp_path):
    blocks = (None if i == 1 else np.full((128, 128, 3), i, np.uint8) for i in range(4))
    import tifffile

    tifffile.imwrite(
        tmp_path / "a.tif", blocks, shape=(256, 256, 3), dtype=np.uint8, tile=(128, 128),
        compression="jpeg", compressionargs={"level": 100}, photometric="rgb",
    )  # fmt: skip
    with open_slide(tmp_path / "a.tif") as slide:
        found = slide.read(0, 100, 100, 56, 56)
    assert (found[:28, 28:] == 255).all()
    np.testing.assert_allclose(found[28:, 28:], 3, atol=2)


def test_jpeg_tiles_and_grey_ones(tmp_path):
    """Colours as they went in, up to what JPEG loses, with its tables beside the tiles."""
    smooth = np.mgrid[:300, :400].sum(axis=0)[..., None] // np.array([3, 4, 5])
    smooth = smooth.astype(np.uint8)
    made.write_tiff(tmp_path / "a.tif", [smooth], compression="jpeg")
    with open_slide(tmp_path / "a.tif") as slide:
        found = slide.read(0, 0, 0, 400, 300).astype(int)
    # Inside the whole tiles: at the slide's edges JPEG also codes what fills the last ones.
    assert np.abs(found - smooth)[:256, :384].max() < 12
    made.write_tiff(tmp_path / "b.tif", [smooth[..., 0]])
    with open_slide(tmp_path / "b.tif") as slide:
        assert slide.spacing is None
        expected = np.repeat(smooth[..., :1], 3, axis=2)
        np.testing.assert_array_equal(slide.read(0, 0, 0, 400, 300), expected)


def test_read_scaled_averages_over_areas(tmp_path):
    with open_slide(written("tiff", tmp_path)) as slide:
        found = slide.read_scaled((3, 2.5), 31.0, 40.0, 20, 30)
        # From level 1, with 1.5 x 1.25 of its pixels to one; the weights by repeating each.
        many = np.repeat(np.repeat(IMAGES[1].astype(float), 4, axis=0), 4, axis=1)
        expected = many[80:230, 62:182].reshape(30, 5, 20, 6, 3).mean(axis=(1, 3))
        assert np.abs(found - expected).max() < 0.51
        np.testing.assert_array_equal(slide.read_scaled((2, 2), 8, 6, 9, 7), IMAGES[1][3:10, 4:13])
        constant = slide.read_scaled((1.7, 1.3), -9e3, -9e3, 31, 17)
        assert (constant == 255).all()
        with pytest.raises(InputError, match="at least 1"):
            slide.read_scaled((0.5, 0.5), 0, 0, 4, 4)


def test_blocks_of_a_large_average_meet_without_a_seam(tmp_path, monkeypatch):
    import importlib

    module = importlib.import_module("medjax.data.formats.slide.slide")
    with open_slide(written("tiff", tmp_path)) as slide:
        whole = slide.read_scaled((1.9, 1.6), 3.3, 2.2, 250, 240)
        monkeypatch.setattr(module, "_BLOCK", 64)
        np.testing.assert_array_equal(slide.read_scaled((1.9, 1.6), 3.3, 2.2, 250, 240), whole)


def test_thumbnail_is_the_mean(tmp_path):
    with open_slide(written("tiff", tmp_path)) as slide:
        small = slide.thumbnail(60)
        assert small.shape == (45, 60, 3)
        expected = IMAGES[2][:110].reshape(11, 10, 150, 3)  # 2.5 pixels of level 2 to one
        assert abs(float(small.mean()) - float(expected.mean())) < 2
        assert slide.thumbnail(10_000).shape == (448, 600, 3)


def test_spacing_and_downsample(tmp_path):
    with open_slide(aperio(tmp_path / "a.svs")) as slide:
        assert slide.downsample(0.5) == (2.0, 2.0)  # 0.504 is near enough
        np.testing.assert_allclose(slide.downsample(0.6), 0.6 / 0.252)
        with pytest.raises(InputError, match=r"a\.svs: expected 0.1 micro.* 0.252 at its finest"):
            slide.downsample(0.1)
    path = made.write_tiff(tmp_path / "b.tif", IMAGES)
    with open_slide(path) as slide, pytest.raises(InputError, match=r"b\.tif.*does not say"):
        slide.downsample(0.5)
    with open_slide(path, spacing=0.25) as slide:
        assert slide.downsample(1.0) == (4.0, 4.0)


def test_a_screen_s_resolution_is_no_spacing(tmp_path):
    path = tmp_path / "a.tif"
    made.write_tiff(path, IMAGES, resolution=(72, 72), resolutionunit="INCH")
    with open_slide(path) as slide:
        assert slide.spacing is None


@pytest.mark.parametrize("kind", ["tiff", "svs", "zarr"])
def test_threads_and_pickles(tmp_path, kind):
    with open_slide(written(kind, tmp_path)) as slide:
        places = np.random.default_rng(1).integers(0, 400, (60, 2)).tolist()
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(lambda p: slide.read(0, *p, 50, 50), places))
        for (x, y), tile in zip(places, found, strict=True):
            expected = np.full((50, 50, 3), 255, np.uint8)
            part = IMAGES[0][y : y + 50, x : x + 50]
            expected[: part.shape[0], : part.shape[1]] = part
            np.testing.assert_array_equal(tile, expected)
        with pickle.loads(pickle.dumps(slide)) as again:
            np.testing.assert_array_equal(again.read(2, 0, 0, 150, 112), IMAGES[2])
            assert again.spacing == slide.spacing


def test_a_fork_opens_the_file_anew(tmp_path, monkeypatch):
    with open_slide(written("tiff", tmp_path)) as slide:
        first = slide._here()
        monkeypatch.setattr("os.getpid", lambda: -1)
        assert slide._here() is not first
        np.testing.assert_array_equal(slide.read(2, 0, 0, 150, 112), IMAGES[2])


def test_image_and_header(tmp_path):
    path = written("tiff", tmp_path)
    image, head = read(path, 1), header(path, 1)
    np.testing.assert_array_equal(image.array, IMAGES[1].transpose(1, 0, 2))
    assert (image.channels, image.modality) == (("red", "green", "blue"), "SM")
    assert head.shape == image.array.shape
    np.testing.assert_allclose(image.spacing, (0.0005, 0.0005))
    np.testing.assert_allclose(head.affine, image.affine)
    # The centre of a pixel of level 1 is between those of two of level 0.
    np.testing.assert_allclose(image.affine[:2, 3], 0.000125)


def test_a_level_too_large_for_memory_is_refused_with_the_levels(tmp_path, monkeypatch):
    monkeypatch.setattr("medjax.data.formats.slide.image.LARGEST", 300_000)
    path = written("tiff", tmp_path)
    with pytest.raises(InputError, match=r"level 0 of 0: 600 x 448, 1: 300 x 224, 2: 150 x 112"):
        read(path)
    assert read(path, 1).array.shape == (300, 224, 3)
    assert header(path).shape == (600, 448, 3)


def test_bad_regions(tmp_path):
    with open_slide(written("tiff", tmp_path)) as slide:
        with pytest.raises(InputError, match="level: expected 0 to 2"):
            slide.read(3, 0, 0, 1, 1)
        for size in ((0, 5), (100_000, 100_000)):
            with pytest.raises(InputError, match="region"):
                slide.read(0, 0, 0, *size)
    with pytest.raises(InputError, match="a closed one"):
        slide.read(0, 0, 0, 1, 1)


def test_what_is_no_slide(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.svs").touch()
    (tmp_path / "other.svs").write_bytes(b"name: Doe" * 50)
    (tmp_path / "cut.tif").write_bytes(b"II*\0\xff\xff\xff\x7f")
    for name in ("missing.svs", "folder", "empty.svs", "other.svs", "cut.tif"):
        with pytest.raises(InputError, match=name) as caught:
            open_slide(tmp_path / name)
        assert "Doe" not in str(caught.value)


def test_a_strip_s_picture_is_no_slide(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", IMAGES[0], photometric="rgb")
    with pytest.raises(InputError, match=r"a\.tif"):
        open_slide(tmp_path / "a.tif")


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    plain, scanned = written("tiff", tmp_path), written("svs", tmp_path)
    monkeypatch.setattr(scanner, "installed", lambda: False)
    with open_slide(scanned) as slide:  # tifffile reads what OpenSlide would
        assert slide.spacing == (0.252, 0.252)
        np.testing.assert_array_equal(slide.read(1, 0, 0, 300, 224), IMAGES[1])
    monkeypatch.setattr(tiled, "installed", lambda: False)
    with pytest.raises(MissingExtraError, match=r"openslide.*medjax\[slide\]"):
        open_slide(plain)
    monkeypatch.undo()
    monkeypatch.setattr(tiled, "installed", lambda: False)
    with open_slide(plain) as slide:  # and the other way round
        np.testing.assert_array_equal(slide.read(1, 0, 0, 300, 224), IMAGES[1])


def rewritten_tag(path, number, value):
    """Change a value held in the first directory of a little-endian BigTIFF."""
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<Q", data, 8)
    (count,) = struct.unpack_from("<Q", data, at)
    for entry in range(at + 8, at + 8 + 20 * count, 20):
        if struct.unpack_from("<H", data, entry)[0] == number:
            struct.pack_into("<I", data, entry + 12, value)
            path.write_bytes(data)
            return
    raise AssertionError(number)


@pytest.mark.parametrize(
    ("tag", "value"), [(256, 60_000_000), (257, 2**31), (322, 1 << 20), (258, 16), (277, 250)]
)
def test_a_header_that_promises_more_than_the_file_holds(tmp_path, monkeypatch, tag, value):
    monkeypatch.setattr(scanner, "installed", lambda: False)
    path = written("tiff", tmp_path)
    rewritten_tag(path, tag, value)
    with pytest.raises(InputError, match=r"a\.tif"):
        open_slide(path)


def test_what_would_end_the_process_is_refused_before_openslide_sees_it(tmp_path, monkeypatch):
    monkeypatch.setattr(scanner, "vendor", lambda path: pytest.fail("asked"))
    path = aperio(tmp_path / "a.svs")
    rewritten_tag(path, 322, 1 << 20)  # tiles of 2**20 x 128 pixels
    with pytest.raises(InputError, match=r"a\.svs"):
        open_slide(path)


def test_pages_that_lead_back_to_the_first(tmp_path):
    path = made.write_tiff(tmp_path / "a.tif", IMAGES, spacing=0.25)
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<Q", data, 8)
    (count,) = struct.unpack_from("<Q", data, at)
    struct.pack_into("<Q", data, at + 8 + 20 * count, at)
    path.write_bytes(data)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 0, 600, 448), IMAGES[0])


def test_a_truncated_file(tmp_path):
    path = made.write_tiff(tmp_path / "a.tif", IMAGES[:1])
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"a\.tif"):
        open_slide(path)


@pytest.mark.parametrize("compression", ["deflate", "jpeg"])
def test_mutated_tiffs_raise_one_kind_of_error(tmp_path, monkeypatch, capfd, compression):
    """Without OpenSlide, whose own code is not ours to test."""
    monkeypatch.setattr(scanner, "installed", lambda: False)
    small = made.write_tiff(tmp_path / "a.tif", made.pyramid(made.noise(60, 50), 2), tile=32,
                            compression=compression)  # fmt: skip
    good, rng, refused = small.read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        data = bytearray(good)
        for place in rng.integers(0, len(data), 6):
            data[place] = rng.integers(0, 256)
        small.write_bytes(data)
        try:
            with open_slide(small) as slide:
                slide.read(0, 0, 0, 60, 50)
        except InputError:
            refused += 1
    assert refused > 5
    assert capfd.readouterr() == ("", "")


def test_a_jpeg_larger_than_its_tile_is_refused_before_it_is_decoded(tmp_path):
    path = made.write_tiff(tmp_path / "a.tif", [made.noise(128, 128)], compression="jpeg")
    data = bytearray(path.read_bytes())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with open_slide(path) as slide, pytest.raises(InputError, match="damaged"):
        slide.read(0, 0, 0, 10, 10)


def test_ome_zarr_that_cannot_be(tmp_path):
    store = written("zarr", tmp_path)
    whole = json.loads((store / "zarr.json").read_text())

    def refuse(change, match=r"a\.zarr"):
        metadata = json.loads(json.dumps(whole))
        change(metadata["attributes"])
        (store / "zarr.json").write_text(json.dumps(metadata))
        with pytest.raises(InputError, match=match):
            open_slide(store)

    refuse(lambda a: a["medjax"].update(version=2), "version 1 at most: update medjax")
    refuse(lambda a: a["ome"].pop("multiscales"))
    refuse(lambda a: a["ome"]["multiscales"][0]["axes"].pop())
    refuse(lambda a: a["ome"]["multiscales"][0]["datasets"][0].update(path="../a.zarr/0"))
    refuse(lambda a: a["ome"]["multiscales"][0]["datasets"][0].update(path="nothing"))
    (store / "zarr.json").write_text("{")
    with pytest.raises(InputError, match=r"a\.zarr"):
        open_slide(store)


def test_ome_zarr_of_others(tmp_path):
    """Version 0.4 in zarr v2, with axes that are one long and nanometres."""
    import tensorstore as ts

    store = tmp_path / "other.zarr"
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(store / "s0")},
            "metadata": {"shape": [1, 3, 1, 448, 600], "dtype": "|u1",
                         "chunks": [1, 1, 1, 100, 100]}}  # fmt: skip
    array = ts.open(spec, create=True).result()
    array[0, :, 0].write(IMAGES[0].transpose(2, 0, 1)).result()
    axes = [{"name": n} for n in "tcz"]
    axes += [{"name": n, "type": "space", "unit": "nanometer"} for n in "yx"]
    scale = [{"type": "scale", "scale": [1, 1, 1, 500.0, 250.0]}]
    image = {"version": "0.4", "axes": axes,
             "datasets": [{"path": "s0", "coordinateTransformations": scale}]}  # fmt: skip
    (store / ".zattrs").write_text(json.dumps({"multiscales": [image]}))
    with open_slide(store) as slide:
        assert slide.spacing == (0.25, 0.5)
        np.testing.assert_array_equal(slide.read(0, 5, 9, 300, 200), IMAGES[0][9:209, 5:305])
