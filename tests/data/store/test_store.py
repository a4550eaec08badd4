"""Prepared stores: what goes in comes out, from any process, and damage is seen."""

import json
import pickle
import resource
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data.image import Header, Image
from medjax.data.store import Store, Writer, layout
from medjax.data.store.encoding import checksum, encode, encode_label

RNG = np.random.default_rng(0)
SHAPE = (40, 35, 9)
AFFINE = np.diag([2.0, 1.0, 3.0, 1.0])
INTEGERS = RNG.integers(-1000, 3000, SHAPE)
FLOATS = RNG.normal(size=(*SHAPE, 2)).astype(np.float32) * np.float32([1, 300])
FLOATS[:10] = 0
LABEL = np.zeros(SHAPE)
LABEL[10:14, 3:5, 2] = 3
LABEL[20] = 1


def entries():
    return {
        "image": Image(INTEGERS, AFFINE, modality="CT"),
        "maps": Image(FLOATS, AFFINE, ("a", "b"), interval=0.5),
        "label": Image(LABEL, AFFINE),
    }


def write(path, *ids, **options):
    writer = Writer(path, **options)
    for id in ids:
        header = Header((50, *SHAPE[1:]), np.dtype("int16"), np.eye(4))
        known = {"age": 3, "report": "né"}
        writer.write(id, entries(), subject=f"s{id}", original=header, attributes=known)
    writer.finish()
    return writer


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "store"
    write(path, "b", "a", settings={"spacing": [2, 1, 3]})
    return path


@pytest.fixture
def copy(made, tmp_path):
    for source in made.rglob("*"):
        if source.is_file():
            target = tmp_path / "copy" / source.relative_to(made)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return tmp_path / "copy"


def shards(path, case, entry):
    return sorted(p for p in (path / "data" / case / entry / "c").rglob("*") if p.is_file())


def test_what_is_read_is_what_was_written(made):
    store = Store(made)
    assert [case.id for case in store.cases] == ["a", "b"]
    assert store.settings == {"spacing": [2, 1, 3]}
    image, maps, label = (store.read("a", name) for name in ("image", "maps", "label"))
    np.testing.assert_array_equal(image, INTEGERS.astype(np.float32))
    assert (image.dtype, maps.dtype, label.dtype) == (np.float32, np.float32, np.uint8)
    np.testing.assert_array_equal(label, LABEL)
    ranges = np.ptp(FLOATS, axis=(0, 1, 2))
    assert (np.abs(maps - FLOATS).max(axis=(0, 1, 2)) <= ranges / 65535).all()
    np.testing.assert_array_equal(maps[:10], 0)
    case = store.case(1)
    assert (case.id, case.subject) == ("b", "sb")
    assert dict(case.attributes) == {"age": 3, "report": "né"}
    assert case.original is not None
    assert case.original.shape == (50, 35, 9)
    entry = case.entries["maps"]
    assert (entry.channels, entry.interval, entry.spacing) == (("a", "b"), 0.5, (2.0, 1.0, 3.0))
    assert case.entries["image"].dtype == np.int16
    assert case.entries["image"].modality == "CT"


@pytest.mark.parametrize("cache", [0, 10**7])
def test_a_region_is_a_slice_of_the_whole(made, tmp_path, cache):
    store = Store(made, cache=cache, cache_folder=tmp_path)
    whole = {name: store.read(0, name) for name in ("image", "maps", "label")}
    rng = np.random.default_rng(1)
    for _ in range(10):
        low = [int(rng.integers(n)) for n in SHAPE]
        high = [int(rng.integers(a + 1, n + 1)) for a, n in zip(low, SHAPE, strict=True)]
        region = tuple(map(slice, low, high))
        for name, array in whole.items():
            got = store.read("a", name, region)
            assert got.flags.c_contiguous
            np.testing.assert_array_equal(got, array[region])
    for region in ([slice(0, 41), slice(0, 1), slice(0, 1)], [slice(3, 2)] * 3, [slice(0, 1)]):
        with pytest.raises(InputError, match="region: expected slices start:stop within"):
            store.read(0, "image", region)
    store.close()


def test_statistics_are_those_of_the_values(made):
    record = Store(made).case("a")
    for name, array in (("image", INTEGERS[..., None]), ("maps", FLOATS)):
        for region, mask in (("whole", np.ones(SHAPE, bool)), ("foreground", LABEL > 0)):
            found = record.entries[name].statistics[region]
            for channel, values in enumerate(np.moveaxis(array, -1, 0)):
                values = values[mask].astype(np.float64)
                near = {"rtol": 1e-5, "atol": np.ptp(array[..., channel]) / 65535}
                expected = [values.mean(), values.std(), values.min(), values.max()]
                got = [found[key][channel] for key in ("mean", "sd", "min", "max")]
                np.testing.assert_allclose(got, expected, **near)
                percentiles = [0.5, 1, 50, 99, 99.5]
                got = [found[f"p{p:g}"][channel] for p in percentiles]
                np.testing.assert_allclose(got, np.percentile(values, percentiles), **near)


@pytest.mark.parametrize("cache", [0, 10**7])
def test_labels_are_counted_and_sampled(tmp_path, cache):
    write(tmp_path / "s", "a", samples=20)
    store = Store(tmp_path / "s", cache=cache, cache_folder=tmp_path)
    known = store.entry("a", "label")
    assert known.counts == {1: 35 * 9, 3: 8}
    assert known.samples == (20, 8)
    assert known.runs == (((10, 14), (20, 21)), ((0, 35),), ((0, 9),))
    ones = {store.sample("a", "label", 1, k) for k in range(20)}
    threes = {store.sample("a", "label", 3, k) for k in range(8)}
    assert len(ones) == 20
    assert {LABEL[v] for v in ones} == {1}
    assert threes == {tuple(v) for v in np.argwhere(LABEL == 3).tolist()}
    store.close()


@pytest.mark.parametrize("codec", layout.CODECS)
@pytest.mark.parametrize("shape", [(5, 300), (3, 2, 7)])
def test_shapes_codecs_and_channels(tmp_path, codec, shape):
    writer = Writer(tmp_path / "s", codec=codec, values="float32")
    array = RNG.normal(size=(*shape, 6)).astype(np.float64)
    names = tuple("abcdef")
    writer.write("x", {"image": Image(array, np.eye(4), names)}, subject="x")
    writer.finish()
    store = Store(tmp_path / "s")
    np.testing.assert_array_equal(store.read(0, "image"), array.astype(np.float32))
    assert store.check() == {}


def test_what_integers_are_stored_as():
    for values, dtype in (([0, 255], "uint8"), ([-1, 9], "int16"), ([0, 65535], "uint16")):
        for given in (np.int64, np.float32, np.float64):
            stored, slope, intercept = encode("x", np.array([values], given), 0, "int16")
            assert (stored.dtype, slope, intercept) == (dtype, (1.0,), (0.0,))
            np.testing.assert_array_equal(stored, [values])
    assert encode("x", np.array([[0, 2**20]]), 0, "int16")[0].dtype == np.int32
    assert encode("x", np.array([[True, False]]), 0, "int16")[0].dtype == np.uint8
    for high, dtype in ((1, "uint8"), (256, "uint16"), (65536, "uint32")):
        assert encode_label("x", np.array([[0.0, high]])).dtype == dtype


@pytest.mark.parametrize(
    "values", [[1e-3, 2e-3, 7.5], [-4.5, 0.0, 1e6], [3.5, 3.5, 3.5], [1000.5, 1001.0, 1000.75]]
)
def test_codes_are_as_near_as_they_say(values):
    array = np.array([values])
    stored, slope, intercept = encode("x", array, 0, "int16")
    assert stored.dtype == np.int16
    back = stored.astype(np.float32) * np.float32(slope[0]) + np.float32(intercept[0])
    assert np.abs(back - array).max() <= np.ptp(array) / 65535 + 1e-7 * np.abs(array).max()
    np.testing.assert_array_equal(back[array == 0], 0)


@pytest.mark.parametrize(
    ("array", "labels", "match"),
    [
        (np.array([[np.nan, 1]]), (), "case x, image: expected finite values, got 1 that are not"),
        (np.array([[1j, 1]]), (), "real numbers, got complex128"),
        (np.array([[1e300, 0.5]]), (), "float32 holds"),
        (np.array([[-1, 1]]), ("image",), "labels in 0 to"),
        (np.array([[0.5, 1]]), ("image",), "labels that are integers, got fractions"),
    ],
)
def test_arrays_that_cannot_be_stored_are_refused(tmp_path, array, labels, match):
    writer = Writer(tmp_path / "s")
    with pytest.raises(InputError, match=match):
        writer.write("x", {"image": Image(array, np.eye(4))}, subject="x", labels=labels)
    assert writer.complete() == frozenset()


@pytest.mark.parametrize("id", ["../x", "", "a b", ".x", "a/b"])
def test_ids_are_names(tmp_path, id):
    with pytest.raises(InputError, match="names of letters"):
        Writer(tmp_path / "s").write(id, entries(), subject="x")


def test_a_store_in_memory_by_its_url():
    url = f"memory://{uuid.uuid4().hex}/x"
    write(url, "a")
    np.testing.assert_array_equal(Store(url).read("a", "label"), LABEL)
    write(url, "b")
    assert [case.id for case in Store(url).cases] == ["a", "b"]
    with pytest.raises(InputError, match=r"nowhere: expected a folder or a URL"):
        Store("nosuch://nowhere")


def test_after_a_kill_the_rest_is_written(tmp_path):
    path = tmp_path / "s"
    # Killed while it writes the second case's arrays, after the first case's record.
    code = """
        import os, signal, sys
        import numpy as np
        from medjax.data.image import Image
        from medjax.data.store import Writer
        writer = Writer(sys.argv[1])
        image = {"image": Image(np.arange(24).reshape(2, 3, 4), np.eye(4))}
        writer.write("a", image, subject="a")
        write = writer._write_array
        def dying(*args):
            write(*args)
            os.kill(os.getpid(), signal.SIGKILL)
        writer._write_array = dying
        writer.write("b", image, subject="b")
    """
    command = [sys.executable, "-c", "\n".join(line[8:] for line in code.splitlines()), str(path)]
    assert subprocess.run(command, timeout=60).returncode == -9
    assert shards(path, "b", "image")
    with pytest.raises(InputError, match=r"expected a finished medjax store, got no index\.json"):
        Store(path)
    writer = Writer(path)
    assert writer.complete() == {"a"}
    writer.finish()
    assert [case.id for case in Store(path).cases] == ["a"]
    write(path, "b")
    store = Store(path)
    assert [case.id for case in store.cases] == ["a", "b"]
    np.testing.assert_array_equal(store.read("b", "label"), LABEL)
    assert store.check() == {}


def test_writers_at_once(tmp_path):
    path = tmp_path / "s"

    def one(number):
        image = Image(np.full((5, 6, 7), number), np.eye(4))
        Writer(path).write(f"c{number}", {"image": image}, subject="s")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(16)))
    writer = pickle.loads(pickle.dumps(Writer(path)))
    writer.finish()
    store = Store(path)
    assert len(store) == 16
    assert {int(store.read(f"c{n}", "image").max()) - n for n in range(16)} == {0}
    assert store.check() == {}


def test_other_settings_are_refused(made):
    Writer(made, settings={"spacing": (2, 1, 3)})
    with pytest.raises(InputError, match="begun with, or another place, got others for spacing"):
        Writer(made, settings={"spacing": [1, 1, 1]})
    with pytest.raises(InputError, match="others for values"):
        Writer(made, settings={"spacing": [2, 1, 3]}, values="float32")
    with pytest.raises(InputError, match="codec: expected one of zstd, lz4, none"):
        Writer(made, codec="jpeg")


@pytest.mark.parametrize("name", ["index.json", "settings.json"])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t[: len(t) // 2], "JSON in .*bytes that are not"),
        (lambda t: b"", "JSON in"),
        (lambda t: b"[1, 2]", "expected a medjax store, got JSON of something else"),
        (lambda t: t.replace(b'"version": 1', b'"version": 2', 1), "version 1 or older"),
    ],
)
def test_a_damaged_or_newer_store_is_refused(copy, name, change, match):
    (copy / name).write_bytes(change((copy / name).read_bytes()))
    kind = Store if name == "index.json" else Writer
    with pytest.raises(InputError, match=match) as caught:
        kind(copy)
    assert str(copy) in str(caught.value)


def test_a_damaged_record_is_named(copy):
    index = json.loads((copy / "index.json").read_text())
    for change in ({"shape": []}, {"shape": [4, "x"]}, {"slope": [1, 2]}, {"affine": 3}):
        changed = json.loads(json.dumps(index))
        changed["cases"][1]["entries"]["image"].update(change)
        (copy / "index.json").write_text(json.dumps(changed))
        with pytest.raises(InputError, match="case 1 of the index: expected a case's record"):
            Store(copy)


@pytest.mark.parametrize("cache", [0, 10**7])
def test_damage_is_seen_and_named(copy, tmp_path, cache):
    def refused():
        store = Store(copy, cache=cache, cache_folder=tmp_path)
        with pytest.raises(InputError, match=r"case a, image: expected an undamaged store") as e:
            store.read("a", "image", [slice(0, 5)] * 3)
        assert "\n" not in str(e.value)
        assert list(store.check()) == ["a"]
        np.testing.assert_array_equal(store.read("b", "label"), LABEL)
        store.close()

    (shard,) = shards(copy, "a", "image")
    whole = bytearray(shard.read_bytes())
    for place in (20, len(whole) - 3):
        whole[place] ^= 16
        shard.write_bytes(whole)
        refused()
        whole[place] ^= 16
    shard.write_bytes(whole[: len(whole) // 2])
    refused()
    shard.unlink()
    refused()
    shard.write_bytes(whole)
    assert Store(copy).check() == {}


def test_a_shard_of_another_case_is_found_by_check(copy):
    image = Image(INTEGERS[::-1], AFFINE)
    Writer(copy, settings={"spacing": [2, 1, 3]}).write("c", {"image": image}, subject="c")
    (theirs,), (ours,) = shards(copy, "c", "image"), shards(copy, "a", "image")
    ours.write_bytes(theirs.read_bytes())
    assert "another checksum" in Store(copy).check()["a"]


def test_damaged_samples_are_named(copy, tmp_path):
    path = copy / "data/a/label.samples"
    whole = path.read_bytes()
    for damaged in (None, b"", whole[:-4], b"\xff" * len(whole)):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        for cache in (0, 10**7):
            store = Store(copy, cache=cache, cache_folder=tmp_path)
            with pytest.raises(InputError, match="case a, samples of label"):
                store.sample("a", "label", 3, 7)
            assert list(store.check()) == ["a"]
            store.close()
        path.write_bytes(whole)
    path.write_bytes(whole[::-1])
    assert "samples of label" in Store(copy).check()["a"]


def test_a_disk_that_fills(tmp_path):
    writer = Writer(tmp_path / "s")
    large = Image(RNG.integers(0, 30000, (40, 40, 40)), np.eye(4))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(InputError, match=r"case x: expected a store that can be written"):
            writer.write("x", {"image": large}, subject="x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert writer.complete() == frozenset()
    writer.write("x", {"image": large}, subject="x")
    assert writer.complete() == {"x"}


def test_unknown_cases_and_entries_are_named(made):
    store = Store(made)
    with pytest.raises(InputError, match="case a: expected an entry 'pet', got image, maps, label"):
        store.read("a", "pet")
    with pytest.raises(InputError, match="the id of a case"):
        store.read("z", "image")


def test_threads_and_pickles_read_the_same(made):
    store = pickle.loads(pickle.dumps(Store(made)))
    wrong = []

    def work():
        for _ in range(20):
            if not np.array_equal(store.read(1, "label"), LABEL):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong


def test_the_number_of_open_arrays_is_limited(made, monkeypatch):
    monkeypatch.setattr("medjax.data.store.reader._OPEN", 2)
    store = Store(made)
    for case in ("a", "b"):
        for entry in ("image", "maps", "label"):
            store.read(case, entry)
    assert list(store._arrays) == [("b", "maps"), ("b", "label")]


def test_a_checksum_is_of_dtype_shape_and_values():
    array = np.arange(6, dtype=np.int16)
    others = [array.astype(np.uint16), array.reshape(2, 3), array[::-1]]
    assert len({checksum(a) for a in [array, *others]}) == 4
    assert checksum(array.astype(">i2")) == checksum(array)


def test_no_jax(made):
    code = f"""
import sys
sys.modules["jax"] = sys.modules["flax"] = None
import medjax.data.volumes as volumes
print(volumes.Patches({str(made)!r}, (8, 8, 4))[0]["image"].shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "(8, 8, 4, 1)", done.stderr
    assert Path(made, "index.json").exists()
