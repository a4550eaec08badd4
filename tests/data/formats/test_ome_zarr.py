import json
import os
import shutil

import numpy as np
import pytest
import tensorstore as ts

from medjax.core.errors import InputError
from medjax.data import Image
from medjax.data.formats import ome_zarr

DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


def oblique(seed=0):
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * [0.7, 0.9, 2.1]
    affine[:3, 3] = rng.normal(size=3) * 50
    return affine


def numbers(shape, dtype="i2"):
    return np.random.default_rng(1).integers(0, 100, shape).astype(dtype)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "a.zarr"
    ome_zarr.write(path, Image(numbers((3, 4, 5)), oblique(), modality="MR"))
    return path


def edit(path, change, name="zarr.json"):
    file = path / name
    found = json.loads(file.read_text())
    change(found)
    file.write_text(json.dumps(found))


def scales(found):
    return found["attributes"]["ome"]["multiscales"][0]


def refuse(path, match, level=0):
    for function in (ome_zarr.read, ome_zarr.open_level):
        with pytest.raises(InputError, match=match) as caught:
            function(path, level)
        assert str(path) in str(caught.value) or level
        assert "\n" not in str(caught.value)


@pytest.fixture
def pyramid(tmp_path):
    """Another writer's: version 0.4 on zarr v2, two levels, (t, c, z, y, x)."""
    path = tmp_path / "b.zarr"
    path.mkdir()
    fine = numbers((1, 2, 3, 8, 10), "u2")
    sets = []
    for level, array in enumerate((fine, fine[..., ::2, ::2])):
        metadata = {"shape": array.shape, "chunks": [1, 1, 2, 4, 4], "dtype": ">u2"}
        spec = {
            "driver": "zarr",
            "kvstore": {"driver": "file", "path": f"{path}/{level}/"},
            "metadata": metadata | {"compressor": {"id": "zlib", "level": 1}},
        }
        ts.open(spec, create=True).result().write(array).result()
        side = 0.25 * 2**level
        steps = [{"type": "scale", "scale": [1, 1, 0.5, side, side]}]
        if level:
            steps.append({"type": "translation", "translation": [0, 0, 0, 0.125, 0.25]})
        sets.append({"path": str(level), "coordinateTransformations": steps})
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    text = {
        "multiscales": [{"version": "0.4", "axes": axes, "datasets": sets}],
        "omero": {"channels": [{"label": "dapi"}, {"label": "gfp"}]},
    }
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    (path / ".zattrs").write_text(json.dumps(text))
    return path, fine[0].transpose(3, 2, 1, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 5)])
def test_round_trip(tmp_path, dtype, shape):
    path, channels = tmp_path / "a.zarr", ("t1", "t2é")
    array = numbers((*shape, 2), dtype)
    for given, names in ((array[..., 0], ()), (array, channels)):
        ome_zarr.write(path, Image(given, oblique(), names, "MR"))
        image, known = ome_zarr.read(path), ome_zarr.header(path)
        assert image.array.dtype == known.dtype == dtype
        np.testing.assert_array_equal(image.array, given)
        np.testing.assert_array_equal(image.affine, oblique())
        np.testing.assert_array_equal(known.affine, oblique())
        assert known.shape == given.shape
        assert image.channels == known.channels == names
        assert image.modality == known.modality == "MR"
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_times_zeros_and_the_metadata_that_others_read(tmp_path):
    path = tmp_path / "a.zarr"
    affine = np.diag([0.5, 0.6, 0.7, 1.0])
    affine[:3, 3] = 1, 2, 3
    array = np.zeros((3, 4, 5, 2), np.float32)
    ome_zarr.write(path, Image(array, affine, ("0", "1"), interval=2.5))
    assert ome_zarr.read(path).interval == 2.5
    np.testing.assert_array_equal(ome_zarr.read(path).array, array)
    found = json.loads((path / "zarr.json").read_text())["attributes"]
    assert found["ome"]["version"] == "0.5"
    image = found["ome"]["multiscales"][0]
    assert [(a["name"], a["type"], a["unit"]) for a in image["axes"]] == [
        ("t", "time", "second"),
        *((name, "space", "millimeter") for name in "zyx"),
    ]
    assert image["datasets"][0]["coordinateTransformations"] == [
        {"type": "scale", "scale": [2.5, 0.7, 0.6, 0.5]},
        {"type": "translation", "translation": [0.0, 3.0, 2.0, 1.0]},
    ]
    # Without what other programs do not write, the place is the same.
    edit(path, lambda found: found["attributes"].pop("medjax_image"))
    image = ome_zarr.read(path)
    np.testing.assert_array_equal(image.affine, affine)
    assert image.interval == 2.5


def test_a_level_is_read_by_the_patch(tmp_path):
    path, array = tmp_path / "a.zarr", numbers((70, 65, 300))
    ome_zarr.write(path, Image(array, oblique()))
    metadata = json.loads((path / "0" / "zarr.json").read_text())
    assert metadata["chunk_grid"]["configuration"]["chunk_shape"] == [256, 128, 128]
    assert metadata["codecs"][0]["configuration"]["chunk_shape"] == [64, 64, 64]
    level = ome_zarr.open_level(path)
    assert level.known.shape == level.array.shape == array.shape
    patch = level.array[60:70, 3:9, 250:260].read().result()
    np.testing.assert_array_equal(patch, array[60:70, 3:9, 250:260])
    # Only the shard that the patch touches is needed.
    shards = sorted(p for p in (path / "0" / "c").rglob("*") if p.is_file())
    assert len(shards) == 2
    shards[0].write_bytes(b"damaged")
    level = ome_zarr.open_level(path)
    np.testing.assert_array_equal(level.array[:9, :9, 256:].read().result(), array[:9, :9, 256:])


def test_levels_of_others_with_names_and_units(pyramid):
    path, array = pyramid
    for level, expected in enumerate((array, array[::2, ::2])):
        image = ome_zarr.read(path, level)
        np.testing.assert_array_equal(image.array, expected)
        assert image.array.dtype == np.uint16
        assert image.channels == ("dapi", "gfp")
        side = 0.00025 * 2**level
        np.testing.assert_allclose(image.spacing, (side, side, 0.0005))
        np.testing.assert_allclose(image.affine[:3, 3], np.array([0.25, 0.125, 0]) * level / 1000)
    with pytest.raises(InputError, match=r"level: expected 0 to 1, got 2"):
        ome_zarr.read(path, 2)


def test_missing_and_foreign_folders_are_named(tmp_path, folder):
    refuse(tmp_path / "none.zarr", "nothing at this path")
    (tmp_path / "f.zarr").write_bytes(b"x")
    refuse(tmp_path / "f.zarr", "got a file")
    (tmp_path / "e.zarr").mkdir()
    refuse(tmp_path / "e.zarr", r"zarr\.json or \.zattrs, got another folder")
    refuse(folder / "0", "damaged|another zarr group")
    text = (folder / "zarr.json").read_text()
    for bad in ("", "{", text[:200], "[" * 100_000, "7", '{"attributes": {}}'):
        (folder / "zarr.json").write_text(bad)
        refuse(folder, "a whole OME-Zarr|multiscales")


def test_metadata_that_cannot_be_used_is_named(folder):
    text = (folder / "zarr.json").read_text()

    def changed(change):
        (folder / "zarr.json").write_text(text)
        edit(folder, change)
        return folder

    def transforms(*steps):
        def change(found):
            found["attributes"].pop("medjax_image")
            scales(found)["datasets"][0]["coordinateTransformations"] = list(steps)

        return changed(change)

    refuse(transforms({"type": "scale", "scale": [1, 0, 1]}), "singular")
    refuse(transforms({"type": "scale", "scale": [1, float("nan"), 1]}), "finite")
    refuse(transforms({"type": "scale", "scale": [1, 1]}), "a damaged one")
    refuse(transforms({"type": "affine"}), "a damaged one")
    refuse(changed(lambda f: f["attributes"]["ome"].update(version="0.6")), "0.4 or 0.5")
    refuse(changed(lambda f: scales(f)["axes"].pop()), "a damaged one")
    refuse(changed(lambda f: scales(f)["axes"][2].update(name="q")), "axes x, y, perhaps z")


def test_what_leads_outside_the_folder_is_not_touched(tmp_path, folder):
    secret = tmp_path / "secret.zarr"
    shutil.copytree(folder, secret)
    for name in ("../secret.zarr/0", str(secret / "0")):
        edit(folder, lambda f, name=name: scales(f)["datasets"][0].update(path=name))
        refuse(folder, "stays within the folder, got a way out")
    edit(folder, lambda f: scales(f)["datasets"][0].update(path="0"))
    shard = next(p for p in (folder / "0" / "c").rglob("*") if p.is_file())
    shard.unlink()
    shard.symlink_to(next(p for p in (secret / "0" / "c").rglob("*") if p.is_file()))
    with pytest.raises(InputError, match="a way out"):
        ome_zarr.read(folder)
    shutil.rmtree(folder / "0")
    (folder / "0").symlink_to(secret / "0")
    refuse(folder, "a way out")


@pytest.mark.parametrize("keep", [0, 10, -30, -1])
def test_truncated_damaged_and_missing_chunks_are_named(folder, keep):
    shard = next(p for p in (folder / "0" / "c").rglob("*") if p.is_file())
    content = shard.read_bytes()
    shard.write_bytes(content[:keep])
    with pytest.raises(InputError, match="a whole OME-Zarr"):
        ome_zarr.read(folder)
    broken = bytearray(content)
    broken[keep] ^= 1
    shard.write_bytes(broken)
    with pytest.raises(InputError, match="a whole OME-Zarr"):
        ome_zarr.read(folder)
    shard.unlink()
    with pytest.raises(InputError, match="1 files of voxels, got 0"):
        ome_zarr.read(folder)
    os.remove(folder / "0" / "zarr.json")
    refuse(folder, "a whole OME-Zarr")


def test_promises_and_chunks_too_large_take_no_memory(folder, pyramid):
    edit(folder, lambda found: found.update(shape=[10**5] * 3), "0/zarr.json")
    assert ome_zarr.header(folder).shape == (10**5,) * 3
    with pytest.raises(InputError, match="2000000000000000 bytes of voxels as it says"):
        ome_zarr.read(folder)
    path, _ = pyramid
    edit(path, lambda found: found.update(chunks=[1, 1, 1000, 1000, 1000]), "0/.zarray")
    refuse(path, "chunks of at most")


def test_voxels_that_are_not_finite_are_counted(tmp_path):
    array = numbers((3, 4, 5), "f4")
    array[0, 0, :2] = np.nan, np.inf
    ome_zarr.write(tmp_path / "a.zarr", Image(array, np.eye(4)))
    with pytest.raises(InputError, match="got 2 that are NaN or infinite"):
        ome_zarr.read(tmp_path / "a.zarr")


def test_writing_replaces_a_zarr_and_nothing_else(tmp_path, folder, monkeypatch):
    array = numbers((2, 2, 2))
    ome_zarr.write(folder, Image(array, np.eye(4)))
    np.testing.assert_array_equal(ome_zarr.read(folder).array, array)
    (tmp_path / "thesis").mkdir()
    with pytest.raises(InputError, match="something else"):
        ome_zarr.write(tmp_path / "thesis", Image(array, np.eye(4)))
    with pytest.raises(InputError, match="output folder"):
        ome_zarr.write(tmp_path / "none" / "a.zarr", Image(array, np.eye(4)))
    with pytest.raises(InputError, match="singular"):
        ome_zarr.write(folder, Image(array, np.zeros((4, 4))))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="no space left"):
        ome_zarr.write(folder, Image(numbers((5, 5, 5)), np.eye(4)))
    np.testing.assert_array_equal(ome_zarr.read(folder).array, array)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zarr", "thesis"]
