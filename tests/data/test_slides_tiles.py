"""Tissue, and tiles from where it is."""

import pickle

import numpy as np
import pytest

pytest.importorskip("tifffile")

import slide_files as made

from medjax.core.errors import InputError
from medjax.data.formats.slide import open_slide
from medjax.data.slides import Tiles, Tissue, find_tissue, prepare_slide, tissue_mask
from medjax.data.slides.polygons import inside
from medjax.data.slides.tissue import otsu
from medjax.data.sources import RandomSource, Source

SPACING = 0.5


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    image = made.stained()
    path = tmp_path_factory.mktemp("slides") / "sub-07_a.tif"
    return made.write_tiff(path, made.pyramid(image), spacing=SPACING)


def truth(mask, downsample):
    """Where the disk is on a grid of pixel centres."""
    y, x = np.indices(mask.shape)
    return np.hypot((x + 0.5) * downsample - 800, (y + 0.5) * downsample - 700) < 500


def test_tissue_is_the_disk_without_hole_speck_ink_or_border(path):
    with open_slide(path) as slide:
        found = find_tissue(slide, 4.0)
    assert found.mask.shape == (192, 256)
    assert found.downsample == (8.0, 8.0)
    disk = truth(found.mask, 8)
    # The rim is a pixel wide; the hole is 20 micrometres across, the speck 24.
    assert (found.mask != disk).mean() < 0.005
    assert found.mask[87, 100]
    assert not found.mask[:, :10].any()
    assert not found.mask[130:, 180:].any()
    assert not found.mask[30:45, 205:220].any()


def test_an_empty_slide_has_no_tissue_and_a_full_one_no_glass(tmp_path):
    rng = np.random.default_rng(0)
    for colour, whole in ((made.GLASS, False), (made.PINK, True)):
        image = np.clip(rng.normal(colour, 3, (512, 512, 3)), 0, 255).astype(np.uint8)
        made.write_tiff(tmp_path / "a.tif", [image], spacing=1.0)
        with open_slide(tmp_path / "a.tif") as slide:
            assert tissue_mask(slide).mean() == float(whole)


def test_the_mask_needs_a_spacing_only_if_asked_for_one(tmp_path):
    made.write_tiff(tmp_path / "a.tif", made.pyramid(made.stained()))
    with open_slide(tmp_path / "a.tif") as slide:
        found = find_tissue(slide)
        assert found.downsample == (32.0, 32.0)
        assert 0.2 < found.mask.mean() < 0.3
        with pytest.raises(InputError, match=r"a\.tif.*does not say"):
            find_tissue(slide, 8.0)


def test_otsu_maximises_the_variance_between_classes():
    values = np.concatenate(
        [np.random.default_rng(0).normal(m, 8, n) for m, n in [(40, 900), (150, 300)]]
    )
    values = np.clip(values, 0, 255).astype(int)

    def between(threshold):
        low, high = values[values <= threshold], values[values > threshold]
        return (
            len(low) * len(high) * (low.mean() - high.mean()) ** 2 if len(low) and len(high) else 0
        )

    scores = [between(t) for t in range(256)]
    assert scores[otsu(np.bincount(values, minlength=256))] == pytest.approx(max(scores))
    assert otsu(np.zeros(256, int)) == 0


def test_fractions_are_exact_areas():
    mask = np.random.default_rng(0).random((9, 11)) > 0.5
    found = Tissue(mask, (4.0, 5.0)).fractions(np.array([0.0, 6, 30]), np.array([3.0, 20]), 14, 8)
    fine = np.repeat(np.repeat(mask, 5, axis=0), 4, axis=1).astype(float)
    fine = np.pad(fine, [(0, 20), (0, 20)])
    for i, y in enumerate((3, 20)):
        for j, x in enumerate((0, 6, 30)):
            assert found[i, j] == pytest.approx(fine[y : y + 8, x : x + 14].mean())


def test_tiles_are_where_tissue_is(path):
    tiles = Tiles([path], size=64, spacing=1.0, tissue=0.5)
    assert isinstance(tiles, Source)
    assert isinstance(tiles, RandomSource)
    image = made.stained()
    places = set()
    for i in range(len(tiles)):
        sample = tiles[i]
        x, y = sample["position"].tolist()
        assert (sample["index"], sample["slide"]) == (i, 0)
        assert (x % 128, y % 128) == (0, 0)
        places.add((x, y))
        tile = image[y : y + 128, x : x + 128].reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
        assert np.abs(sample["image"] - tile).max() <= 1
    # All of those, and no others, that the disk fills by half; its rim leaves some in doubt.
    disk = np.hypot(*(np.mgrid[:1536, :2048] + 0.5 - np.array([700, 800])[:, None, None])) < 500
    shares = disk.reshape(12, 128, 16, 128).mean(axis=(1, 3))
    assert {(j * 128, i * 128) for i, j in np.argwhere(shares > 0.6)} <= places
    assert places <= {(j * 128, i * 128) for i, j in np.argwhere(shares > 0.4)}
    assert len(places) == len(tiles) > 30
    assert tiles.groups == ("sub-07",) * len(tiles)
    with pytest.raises(IndexError):
        tiles[len(tiles)]


def test_stride_overlap_and_all_tiles(path):
    every = Tiles([path], size=100, level=0, stride=80, tissue=0)
    assert len(every) == 26 * 20
    last = every[len(every) - 1]
    assert last["position"].tolist() == [2000, 1520]
    assert (last["image"][16:] == 255).all()
    assert (last["image"][:, 48:] == 255).all()
    assert len(Tiles([path], size=64, spacing=1.0, tissue=1.0)) < len(
        Tiles([path], size=64, spacing=1.0, tissue=0.01)
    )


def test_several_resolutions_share_a_centre(path):
    tiles = Tiles([path], size=64, spacing=(0.5, 2.0, 4.0), tissue=0.9)
    sample = tiles[len(tiles) // 2]
    assert sample["image"].shape == (3, 64, 64, 3)
    x, y = sample["position"].tolist()
    image = made.stained()
    np.testing.assert_array_equal(sample["image"][0], image[y : y + 64, x : x + 64])
    wide = image[y - 96 : y + 160, x - 96 : x + 160].reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    assert np.abs(sample["image"][1] - wide).max() <= 1.5
    wider = image[y - 224 : y + 288, x - 224 : x + 288].reshape(64, 8, 64, 8, 3).mean(axis=(1, 3))
    assert np.abs(sample["image"][2] - wider).max() <= 2  # of level 2, itself rounded
    levels = Tiles([path], size=64, level=(0, 2), tissue=0.9)
    np.testing.assert_array_equal(levels[3]["image"], tiles[3]["image"][:2])


def test_draw_moves_by_half_a_stride_and_by_the_generator_alone(path):
    tiles = Tiles([path], size=64, spacing=1.0)
    image = made.stained()
    offsets = []
    for seed in range(60):
        one = tiles.draw(20, np.random.default_rng(seed))
        two = tiles.draw(20, np.random.default_rng(seed))
        np.testing.assert_array_equal(one["image"], two["image"])
        offsets.append(one["position"] - tiles[20]["position"])
        x, y = one["position"] // 2 * 2
        tile = image[y : y + 130, x : x + 130]
        assert one["index"] == 20
        assert abs(float(one["image"].mean()) - float(tile.mean())) < 2
    offsets = np.array(offsets)
    assert np.abs(offsets).max() <= 64
    assert (offsets.min(axis=0) < -40).all()
    assert (offsets.max(axis=0) > 40).all()
    edge = Tiles([path], size=64, spacing=1.0, tissue=0)
    drawn = [edge.draw(0, np.random.default_rng(s))["position"] for s in range(20)]
    assert np.min(drawn) == 0


def test_polygons_are_filled_by_pixel_centres():
    triangle = np.array([[1.0, 1], [9, 1], [1, 9]])
    y, x = np.mgrid[:10, :12] + 0.5
    np.testing.assert_array_equal(inside(triangle, 12, 10), (x > 1) & (y > 1) & (x + y < 10))
    box = np.array([[-5.0, 2], [50, 2], [50, 4], [-5, 4]])
    np.testing.assert_array_equal(inside(box, 12, 10), (y > 2) & (y < 4))
    np.testing.assert_array_equal(inside(box + [0, 100], 12, 10), np.zeros((10, 12), bool))
    star = 6 + 5 * np.stack([np.cos(a := np.arange(5) * 4 * np.pi / 5), np.sin(a)], axis=1)
    assert not inside(star, 12, 12)[6, 6]  # wound twice, so outside by the even-odd rule


def test_labels_of_polygons_and_of_masks_agree(path, tmp_path):
    tumour = np.array([[600.0, 500], [900, 520], [880, 900], [560, 860]])
    spared = np.array([[700.0, 600], [800, 600], [800, 700], [700, 700]])
    mask = np.where(inside(tumour, 2048, 1536), np.uint8(1), np.uint8(0))
    mask[inside(spared, 2048, 1536)] = 0
    small = [mask, mask[::2, ::2], mask[::4, ::4]]
    labels = made.write_tiff(tmp_path / "mask.tif", small)
    options = {"size": 64, "level": 0, "tissue": 0.5}
    drawn = Tiles([path], **options, annotations=[{1: [tumour], 0: [spared]}])
    read = Tiles([path], **options, annotations=[labels])
    seen = 0
    for i in range(0, len(drawn), 3):
        label = drawn[i]["label"]
        assert label.dtype == np.uint8
        assert label.shape == (64, 64)
        x, y = drawn[i]["position"]
        np.testing.assert_array_equal(label, mask[y : y + 64, x : x + 64])
        np.testing.assert_array_equal(label, read[i]["label"])
        seen += int(label.sum())
    assert seen > 1000
    coarse = Tiles([path], size=64, spacing=1.3, annotations=[labels], tissue=0)
    assert set(np.unique(coarse[len(coarse) - 1]["label"])) == {0}  # beyond the mask's end
    assert set(np.unique(coarse[(len(coarse)) // 2 - 6]["label"])) <= {0, 1}
    assert Tiles([path], **options, annotations=[[tumour]])[0]["label"].max() <= 1
    assert Tiles([path], **options, annotations=[None])[0]["label"].max() == 0


def test_many_slides_few_of_them_open(path, tmp_path):
    other = made.write_tiff(
        tmp_path / "b.x.tif", made.pyramid(made.stained()[:, ::-1]), spacing=0.5
    )
    tiles = Tiles([path, other, path], size=128, spacing=1.0, recent=1, subjects=["a", "b", "c"])
    part = len(tiles.groups) // 3
    assert tiles.groups[0] == "a"
    assert tiles.groups[-1] == "c"
    for i in (0, part, len(tiles) - 1, 1):
        assert tiles[i]["slide"] == "abc".index(tiles.groups[i])
        assert len(tiles._slides._kept) == 1
    again = pickle.loads(pickle.dumps(tiles))
    for i in (0, len(tiles) - 1):
        for name, value in tiles[i].items():
            np.testing.assert_array_equal(again[i][name], value)
    assert Tiles([other], size=128, level=0).groups[0] == "b"


def test_a_prepared_slide_gives_the_same_tiles(path, tmp_path):
    prepare_slide(path, tmp_path / "a.zarr", chunk=128, shard=512)
    raw = Tiles([path], size=64, spacing=1.0)
    stored = Tiles([tmp_path / "a.zarr"], size=64, spacing=1.0)
    assert len(raw) == len(stored)
    for i in range(0, len(raw), 7):
        np.testing.assert_array_equal(raw[i]["position"], stored[i]["position"])
        np.testing.assert_array_equal(raw[i]["image"], stored[i]["image"])


def test_bad_arguments(path, tmp_path):
    plain = made.write_tiff(tmp_path / "plain.tif", made.pyramid(made.stained()))
    for options, match in (
        ({}, "one of the two, got none"),
        ({"spacing": 1.0, "level": 0}, "one of the two, got both"),
        ({"level": 3}, "level 3, got 3 levels"),
        ({"level": -1}, "level"),
        ({"spacing": 0.2}, "0.5 at its finest"),
        ({"level": 0, "size": 0}, "size"),
        ({"level": 0, "stride": 0}, "stride"),
        ({"level": 0, "tissue": 1.5}, "fraction"),
        ({"level": 0, "subjects": ["a", "b"]}, "one for each of 1"),
        ({"level": 0, "annotations": []}, "one for each of 1"),
        ({"level": 0, "annotations": [[np.zeros((2, 2))]]}, "polygons"),
        ({"level": 0, "annotations": [{256: []}]}, "labels 0 to 255"),
    ):
        with pytest.raises(InputError, match=match):
            Tiles([path], **options)
    with pytest.raises(InputError, match=r"plain\.tif.*does not say"):
        Tiles([plain], spacing=1.0)
    with pytest.raises(InputError, match="at least one slide"):
        Tiles([], level=0)
    small = made.write_tiff(tmp_path / "small.tif", [np.zeros((64, 64), np.uint8)])
    with pytest.raises(InputError, match=r"small\.tif.*2048 x 1536"):
        Tiles([path], level=0, annotations=[small])[0]
