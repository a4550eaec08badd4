"""Slides made into stores."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("tifffile")

import slide_files as made

from medjax.core.errors import InputError
from medjax.data.formats.slide import open_slide
from medjax.data.slides import find_tissue, prepare_slide

OPTIONS = {"chunk": 128, "shard": 256}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    return made.write_tiff(folder / "a.tif", made.pyramid(made.stained(1100, 900)), spacing=1.0)


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_pixels_levels_and_mask(path, tmp_path):
    seen = []
    found = prepare_slide(
        path, tmp_path / "a.zarr", **OPTIONS, update=lambda done, total: seen.append((done, total))
    )
    image = made.stained(1100, 900)
    levels = made.pyramid(image, 5)
    assert found.levels == 5  # to 69 x 57
    assert found.shards == 5 * 4 + 3 * 2 + 2 * 1 + 1 + 1
    assert seen[-1] == (found.shards, found.shards)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    with open_slide(tmp_path / "a.zarr") as slide, open_slide(path) as source:
        assert slide.spacing == (1.0, 1.0)
        for i, (level, expected) in enumerate(zip(slide.levels, levels, strict=True)):
            assert level.downsample == (2.0**i, 2.0**i)
            np.testing.assert_array_equal(slide.read(i, 0, 0, *level[:2]), expected)
        mask, downsample = slide.stored_tissue()
        wanted = find_tissue(source)
        np.testing.assert_array_equal(mask, wanted.mask)
        assert downsample == wanted.downsample
        assert found.tissue == pytest.approx(mask.mean())


def test_the_tile_index_names_the_squares_with_tissue(path, tmp_path):
    import tensorstore as ts

    found = prepare_slide(path, tmp_path / "a.zarr", **OPTIONS)

    def array(name):
        kvstore = {"driver": "file", "path": str(tmp_path / "a.zarr" / name)}
        return ts.open({"driver": "zarr3", "kvstore": kvstore}).result().read().result()

    position, fraction = array("tile_position"), array("tile_tissue")
    assert len(position) == len(fraction) == found.tiles
    with open_slide(path) as slide:
        tissue = find_tissue(slide)
    for (x, y), share in zip(position.tolist(), fraction.tolist(), strict=True):
        assert (x % 128, y % 128) == (0, 0)
        exact = tissue.fractions(np.array([x]), np.array([y]), 128, 128)[0, 0]
        assert share == pytest.approx(exact)
        assert share > 0


def test_only_tissue_is_stored_if_asked(path, tmp_path):
    everything = prepare_slide(path, tmp_path / "all.zarr", **OPTIONS)
    found = prepare_slide(path, tmp_path / "a.zarr", **OPTIONS, tissue_only=True)
    assert found.shards < everything.shards
    with open_slide(tmp_path / "a.zarr") as part, open_slide(tmp_path / "all.zarr") as whole:
        grid = np.arange(0, 1100, 256), np.arange(0, 900, 256)
        kept = find_tissue(whole).fractions(*grid, 256, 256) > 0
        assert 0 < kept.sum() < kept.size
        for i, y in enumerate(grid[1]):
            for j, x in enumerate(grid[0]):
                stored = part.read(0, int(x), int(y), 256, 256)
                expected = whole.read(0, int(x), int(y), 256, 256)
                np.testing.assert_array_equal(stored, expected if kept[i, j] else 255)


def test_a_coarser_store_is_averaged(path, tmp_path):
    prepare_slide(path, tmp_path / "a.zarr", **OPTIONS, spacing=3.0)
    with open_slide(tmp_path / "a.zarr") as slide, open_slide(path) as source:
        assert slide.spacing == (3.0, 3.0)
        assert slide.levels[0][:2] == (367, 300)
        expected = source.read_scaled((3.0, 3.0), 0, 0, 367, 300)
        np.testing.assert_array_equal(slide.read(0, 0, 0, 367, 300), expected)
        mask, downsample = slide.stored_tissue()
        np.testing.assert_allclose(downsample, 8 / 3)
        wanted = find_tissue(source)
        np.testing.assert_array_equal(mask, wanted.mask)


def test_metadata_is_ome_zarr(path, tmp_path):
    """The words that its version 0.5 demands, for whoever else reads it."""
    prepare_slide(path, tmp_path / "a.zarr", **OPTIONS)
    group = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())
    assert (group["zarr_format"], group["node_type"]) == (3, "group")
    ome = group["attributes"]["ome"]
    assert ome["version"] == "0.5"
    (image,) = ome["multiscales"]
    assert [a["name"] for a in image["axes"]] == ["c", "y", "x"]
    assert [a["type"] for a in image["axes"]] == ["channel", "space", "space"]
    for i, entry in enumerate(image["datasets"]):
        scale, shift = entry["coordinateTransformations"]
        assert scale == {"type": "scale", "scale": [1.0, 2.0**i, 2.0**i]}
        assert shift["translation"] == [0.0, (2**i - 1) / 2, (2**i - 1) / 2]
        array = json.loads((tmp_path / "a.zarr" / entry["path"] / "zarr.json").read_text())
        assert array["dimension_names"] == ["c", "y", "x"]
        assert array["codecs"][0]["name"] == "sharding_indexed"


def test_a_second_call_changes_nothing(path, tmp_path, monkeypatch):
    first = prepare_slide(path, tmp_path / "a.zarr", **OPTIONS)
    before = files(tmp_path / "a.zarr")
    monkeypatch.setattr("medjax.data.slides.prepare.find_tissue", None)
    assert prepare_slide(path, tmp_path / "a.zarr", **OPTIONS) == first
    assert files(tmp_path / "a.zarr") == before


def test_it_goes_on_where_it_failed(path, tmp_path, monkeypatch):
    whole = prepare_slide(path, tmp_path / "whole.zarr", **OPTIONS)
    module = sys.modules["medjax.data.slides.prepare"]
    make, made_ = module._Job._make, []

    def failing(self, array, above, place):
        if len(made_) == 9:
            raise OSError("No space left on device")
        made_.append(place)
        make(self, array, above, place)

    monkeypatch.setattr(module._Job, "_make", failing)
    with pytest.raises(InputError, match=r"a\.zarr: .* got no space left"):
        prepare_slide(path, tmp_path / "a.zarr", **OPTIONS, workers=1)
    with pytest.raises(InputError, match=r"a\.zarr.*an unfinished one"):
        open_slide(tmp_path / "a.zarr")
    left = []
    monkeypatch.setattr(
        module._Job, "_make", lambda self, *a: (left.append(a[-1]), make(self, *a))[1]
    )
    assert prepare_slide(path, tmp_path / "a.zarr", **OPTIONS) == whole
    assert len(left) == whole.shards - 9
    assert files(tmp_path / "a.zarr") == files(tmp_path / "whole.zarr")


KILLED = """
import sys
from medjax.data.slides import prepare_slide
def update(done, total):
    print(done, flush=True)
prepare_slide(sys.argv[1], sys.argv[2], chunk=128, shard=256, update=update)
"""


def test_it_goes_on_after_a_kill(path, tmp_path):
    whole = prepare_slide(path, tmp_path / "whole.zarr", **OPTIONS)
    command = [sys.executable, "-c", KILLED, str(path), str(tmp_path / "a.zarr")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) >= 5:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert prepare_slide(path, tmp_path / "a.zarr", **OPTIONS) == whole
    found, expected = files(tmp_path / "a.zarr"), files(tmp_path / "whole.zarr")
    assert {k: v for k, v in found.items() if "lock" not in k.name} == expected


def test_what_a_target_may_not_be(path, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("important")
    (tmp_path / "full" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(InputError, match=r"full: .*other contents"):
        prepare_slide(path, tmp_path / "full", **OPTIONS)
    assert (tmp_path / "full" / "thesis.txt").read_text() == "important"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"store\.zarr"):
        prepare_slide(path, tmp_path / "file" / "store.zarr", **OPTIONS)
    prepare_slide(path, tmp_path / "a.zarr", **OPTIONS)
    with pytest.raises(InputError, match="another tissue_only"):
        prepare_slide(path, tmp_path / "a.zarr", **OPTIONS, tissue_only=True)
    plan = tmp_path / "a.zarr" / "zarr.json"
    plan.write_text(plan.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(InputError, match="update medjax"):
        prepare_slide(path, tmp_path / "a.zarr", **OPTIONS)


def test_bad_arguments(path, tmp_path):
    for options, match in (
        ({"chunk": 100, "shard": 256}, "shard"),
        ({"workers": 0}, "workers"),
        ({"spacing": 0.1}, "1 at its finest"),
    ):
        with pytest.raises(InputError, match=match):
            prepare_slide(path, tmp_path / "a.zarr", **options)
    assert not (tmp_path / "a.zarr").exists()


def test_a_store_by_url(path, tmp_path):
    """As gs:// and s3:// are reached, by TensorStore's drivers."""
    url = f"file://{tmp_path}/a.zarr"
    prepare_slide(path, url, **OPTIONS)
    with open_slide(url) as there, open_slide(tmp_path / "a.zarr") as here:
        assert there.levels == here.levels
        np.testing.assert_array_equal(there.read(1, 3, 5, 200, 210), here.read(1, 3, 5, 200, 210))
    with pytest.raises(InputError, match="nothing-like-this"):
        prepare_slide(path, "nothing-like-this://a.zarr", **OPTIONS)
