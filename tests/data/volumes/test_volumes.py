"""Sources of a prepared store: shapes, positions, chance, order and subjects."""

import itertools
import pickle

import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.core.random import generator
from medjax.data import RandomSource, Source, Subset, by_group
from medjax.data.image import Image
from medjax.data.pipeline import evaluation, training
from medjax.data.sources import VolumeSlices
from medjax.data.store import Store, Writer
from medjax.data.volumes import (
    Described,
    GridPatches,
    Pairs,
    Patches,
    Series,
    Slices,
    Volumes,
)

SHAPES = {"a": (20, 16, 12), "b": (20, 16, 12), "c": (11, 30, 7)}


def volume(shape, offset):
    return np.arange(np.prod(shape)).reshape(shape) + 10_000 * offset


def label(shape, offset):
    """A large label, and a small one."""
    out = np.zeros(shape, int)
    out[:3] = 1
    out[8, 5, 4] = 2 + 300 * (offset == 2)  # the third case needs 16 bits
    return out


def made(path, ids, subjects="abc", **options):
    writer = Writer(path)
    for n, id in enumerate(ids):
        shape = SHAPES[id]
        image = volume(shape, n)
        entries = {
            "image": Image(image, np.eye(4)),
            "two": Image(np.stack([-image, image], -1), np.eye(4), ("m", "p")),
            "label": Image(label(shape, n), np.eye(4)),
        }
        writer.write(id, entries, subject=subjects[n], session=str(12 - n), **options)
    writer.finish()
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(made(tmp_path_factory.mktemp("s") / "abc", "abc"))


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        np.testing.assert_array_equal(a[name], b[name])


def test_sources_are_sources(store):
    sources = [
        Volumes(store, mixed=True),
        Slices(store, shape=(4, 4)),
        GridPatches(store, (8,) * 3),
    ]
    for source in (*sources, Patches(store, (8, 8, 8), per_volume=2)):
        assert isinstance(source, Source)
        assert isinstance(source, RandomSource) == isinstance(source, Patches)
        assert len(source.groups) == len(source)
        assert set(source.groups) == {"a", "b", "c"}
        same(pickle.loads(pickle.dumps(source))[1], source[1])
        assert source[1]["index"] == 1
        assert source[1]["image"].dtype == np.float32
        assert source[0]["label"].dtype == np.uint16
        with pytest.raises(IndexError):
            source[len(source)]


def test_volumes_as_they_are(store):
    sample = Volumes(store, mixed=True)[2]
    np.testing.assert_array_equal(sample["image"][..., 0], volume(SHAPES["c"], 2))
    np.testing.assert_array_equal(sample["label"], label(SHAPES["c"], 2))
    two = Volumes(store, cases=["a", "b"], image="two", label=None)[1]
    assert two.keys() == {"image", "index"}
    np.testing.assert_array_equal(two["image"][..., 1], volume(SHAPES["b"], 1))


def test_volumes_of_several_shapes_say_what_to_do(store):
    match = r"case c: expected the first case's shape \(20, 16, 12\).*give a shape.*\(11, 30, 7\)"
    with pytest.raises(InputError, match=match):
        Volumes(store)


def test_volumes_are_cropped_and_padded_about_the_centre(store):
    sample = Volumes(store, (11, 10, 9))[2]
    assert sample["image"].shape == (11, 10, 9, 1)
    inside = volume(SHAPES["c"], 2)[:, 10:20]
    np.testing.assert_array_equal(sample["image"][:, :, 1:8, 0], inside)
    least = volume(SHAPES["c"], 2).min()
    np.testing.assert_array_equal(sample["image"][:, :, [0, 8], 0], least)
    np.testing.assert_array_equal(sample["label"][:, :, [0, 8]], 0)
    padded = Volumes(store, (11, 10, 9), padding=-5.0, image="two")[2]["image"]
    np.testing.assert_array_equal(padded[:, :, [0, 8]], -5)
    least = Volumes(store, (11, 10, 9), image="two")[2]["image"][0, 0, 0]
    np.testing.assert_array_equal(least, [-volume(SHAPES["c"], 2).max(), least[1]])


def test_a_patch_depends_on_index_and_generator_alone(store):
    patches = Patches(store, (8, 9, 7), per_volume=3)
    assert len(patches) == 9
    assert patches.groups == tuple("aaabbbccc")
    other = Patches(store, (8, 9, 7), per_volume=3)
    for index in range(9):
        same(patches.draw(index, generator(4, index)), other.draw(index, generator(4, index)))
        same(patches[index], other[index])
    images = [patches.draw(0, generator(seed))["image"] for seed in range(8)]
    assert len({image.tobytes() for image in images}) > 4


def test_a_patch_is_a_part_of_its_volume(store):
    patches = Patches(store, (8, 9, 7), per_volume=20)
    seen = set()
    for index in range(40, 60):
        sample = patches.draw(index, generator(index))
        corner = np.unravel_index(int(sample["image"][0, 0, 0, 0]) - 20_000, SHAPES["c"])
        box = tuple(slice(c, c + n) for c, n in zip(corner, (8, 9, 7), strict=True))
        np.testing.assert_array_equal(sample["image"][..., 0], volume(SHAPES["c"], 2)[box])
        np.testing.assert_array_equal(sample["label"], label(SHAPES["c"], 2)[box])
        seen.add(tuple(int(c) for c in corner))
    assert {c[0] for c in seen} == {0, 1, 2, 3}


def test_volumes_smaller_than_a_patch_are_padded(store):
    sample = Patches(store, (16, 16, 16), cases=["c"])[0]
    assert sample["image"].shape == (16, 16, 16, 1)
    inside = np.zeros((16, 16, 16), bool)
    inside[3:14, :, 5:12] = True  # 8 - 11 // 2 and 8 - 7 // 2 before
    np.testing.assert_array_equal(sample["image"][~inside], 20_000)
    assert np.ptp(sample["image"][inside]) == 10 * 30 * 7 + 15 * 7 + 6


@pytest.mark.parametrize(("foreground", "both"), [(0.0, 0.0), (0.33, 0.165), (1.0, 0.5)])
def test_foreground_is_as_frequent_as_asked(tmp_path, foreground, both):
    """One voxel of label 2, half of the foreground's patches, in a large empty volume."""
    shape = (100, 40, 40)
    array = np.zeros(shape, int)
    array[:20] = 1
    array[70, 20, 20] = 2
    writer = Writer(tmp_path / "s")
    images = {"image": Image(array, np.eye(4)), "label": Image(array, np.eye(4))}
    writer.write("x", images, subject="x")
    writer.finish()
    patches = Patches(tmp_path / "s", (4, 4, 4), foreground=foreground)
    found = [np.unique(patches.draw(0, generator(0, n))["label"]) for n in range(600)]
    two = np.mean([2 in f for f in found])
    uniform = 4**3 / (97 * 37 * 37)
    assert abs(two - (both + (1 - foreground) * uniform)) < 0.045
    one = np.mean([1 in f for f in found])
    assert abs(one - (foreground / 2 + (1 - foreground) * 20 / 97)) < 0.05


def test_a_case_without_labels_is_drawn_from_anywhere(tmp_path):
    writer = Writer(tmp_path / "s")
    image = np.arange(1000).reshape(10, 10, 10)
    empty = {"image": Image(image, np.eye(4)), "label": Image(0 * image, np.eye(4))}
    writer.write("x", empty, subject="x")
    writer.finish()
    patches = Patches(tmp_path / "s", (2, 2, 2), foreground=1)
    assert len({patches.draw(0, generator(n))["image"].tobytes() for n in range(9)}) > 5


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("size", [(8, 8, 8), (20, 5, 12), (32, 3, 1)])
def test_a_grid_covers_every_voxel_and_says_where(store, overlap, size):
    grid = GridPatches(store, size, overlap=overlap, label=None)
    cases = [0, 2] if np.prod(size) > 500 else [2]
    for number in cases:
        case = store.cases[number]
        starts = grid.starts(case)
        places = [i for i in range(len(grid)) if grid.place(i)[0] == number]
        assert len(places) == len(starts)
        out = np.full(SHAPES[case.id], -1.0)
        for index, start in list(zip(places, starts, strict=True)):
            sample = grid[index]
            assert (int(sample["case"]), tuple(sample["start"])) == (number, start)
            box = [slice(max(s, 0), s + n) for s, n in zip(start, size, strict=True)]
            view = out[tuple(box)]
            cut = [
                slice(max(-s, 0), max(-s, 0) + n) for s, n in zip(start, view.shape, strict=True)
            ]
            view[...] = sample["image"][(*cut, 0)]
        np.testing.assert_array_equal(out, volume(SHAPES[case.id], number))


def test_the_overlap_of_a_grid_is_kept(store):
    for n, m, overlap in itertools.product((20,), (3, 8, 19), (0.0, 0.25, 0.5)):
        axes = sorted(
            {s[0] for s in GridPatches(store, (m, 99, 99), overlap=overlap).starts(store.cases[0])}
        )
        assert axes[0] == 0
        assert axes[-1] == n - m
        assert max(np.diff(axes)) <= max(1, m * (1 - overlap))


@pytest.mark.parametrize("axis", ["sagittal", "coronal", "axial"])
@pytest.mark.parametrize("neighbours", [0, 2])
def test_slices_lie_as_those_of_volumes_in_memory(store, axis, neighbours):
    slices = Slices(store, axis=axis, shape=(18, 10), neighbours=neighbours, padding=0)
    memory = VolumeSlices(volume(SHAPES["a"], 0).astype(np.float32), axis=axis, shape=(18, 10))
    marks = VolumeSlices(label(SHAPES["a"], 0).astype(np.float32), axis=axis, shape=(18, 10))
    last = len(memory) - 1
    assert slices.groups[: last + 1] == ("a",) * len(memory)
    assert slices.groups[last + 1] == "b"
    for index in (0, 1, 5, last):
        sample = slices[index]
        near = range(index - neighbours, index + neighbours + 1)
        stack = [memory[min(max(i, 0), last)]["image"] for i in near]
        np.testing.assert_array_equal(sample["image"], np.stack(stack, -1))
        np.testing.assert_array_equal(sample["label"], marks[index]["image"])


def test_neighbours_of_several_channels(store):
    sample = Slices(store, cases=["a"], image="two", neighbours=1)[3]
    whole = np.moveaxis(volume(SHAPES["a"], 0), 2, 0).swapaxes(1, 2)
    expected = np.stack([s * whole[i] for i in (2, 3, 4) for s in (-1, 1)], -1)
    np.testing.assert_array_equal(sample["image"], expected)


def test_slices_with_foreground_only(store):
    slices = Slices(store, axis="sagittal", shape=(8, 8), foreground=True)
    assert len(slices) == 3 * 4
    assert [slices.place(i) for i in range(3, 6)] == [(0, 8), (1, 0), (1, 1)]
    with pytest.raises(InputError, match="foreground: expected a label"):
        Slices(store, shape=(8, 8), foreground=True, label=None)


def test_slices_of_other_shapes_or_axes_are_refused(store, tmp_path):
    with pytest.raises(InputError, match=r"case c: expected slices of the first case's shape"):
        Slices(store)
    assert len(Slices(store, cases=["a", "b"])) == 24
    writer = Writer(tmp_path / "s")
    image = Image(np.arange(8).reshape(2, 2, 2), np.diag([-1.0, 1, 1, 1]))
    writer.write("x", {"image": image}, subject="x")
    writer.finish()
    with pytest.raises(InputError, match="axes to the right, front and top"):
        Slices(tmp_path / "s", label=None)


def test_series_of_sessions_are_in_order(tmp_path):
    store = Store(made(tmp_path / "s", "ab", subjects="pp"))
    series = Series(store, 2)
    assert len(series) == 1
    assert series.groups == ("p",)
    sample = series[0]  # session 11 is of b, session 12 of a
    assert sample["image"].shape == (2, 20, 16, 12, 1)
    np.testing.assert_array_equal(sample["image"][0, ..., 0], volume(SHAPES["b"], 1))
    np.testing.assert_array_equal(sample["label"][1], label(SHAPES["a"], 0))
    with pytest.raises(InputError, match="at least 3 sessions of one subject"):
        Series(store, 3)


def test_sessions_are_ordered_as_numbers(tmp_path):
    writer = Writer(tmp_path / "s")
    for n, session in enumerate(["ses-2", "ses-10", "ses-1"]):
        image = Image(np.full((2, 2, 2), n), np.eye(4))
        writer.write(f"c{n}", {"image": image}, subject="p", session=session)
    writer.finish()
    series = Series(tmp_path / "s", 2, label=None)
    assert [series[i]["image"][:, 0, 0, 0, 0].tolist() for i in range(2)] == [[2, 0], [0, 1]]


def test_series_of_frames(tmp_path):
    writer = Writer(tmp_path / "s")
    cine = np.arange(4 * 3 * 2 * 5).reshape(4, 3, 2, 5)
    image = Image(cine, np.eye(4), tuple("12345"), interval=0.04)
    entries = {"image": image, "label": Image(cine[..., 0], np.eye(4))}
    writer.write("x", entries, subject="x")
    writer.finish()
    series = Series(tmp_path / "s", 3)
    assert len(series) == 3
    sample = series[1]
    np.testing.assert_array_equal(sample["image"][..., 0], np.moveaxis(cine, -1, 0)[1:4])
    np.testing.assert_array_equal(sample["label"], cine[..., 0])


def test_pairs_of_entries_are_cropped_alike(store):
    first, second = (Patches(store, (4, 4, 4), image=n) for n in ("image", "two"))
    pairs = Pairs(first, second)
    sample = pairs.draw(1, generator(3))
    assert sample.keys() == {"fixed", "moving", "fixed_label", "moving_label", "index"}
    np.testing.assert_array_equal(sample["fixed"][..., 0], sample["moving"][..., 1])
    same(pairs.draw(1, generator(3)), sample)
    assert pairs.groups == ("a", "b", "c")


def test_pairs_of_sessions(tmp_path):
    store = Store(made(tmp_path / "s", "abc", subjects="pqp"))
    volumes = Volumes(store, (6, 6, 6))
    pairs = Pairs(volumes, between="sessions")
    assert len(pairs) == 2
    assert pairs.groups == ("p", "p")
    for index, (fixed, moving) in enumerate([(0, 2), (2, 0)]):
        sample = pairs[index]
        np.testing.assert_array_equal(sample["fixed"], volumes[fixed]["image"])
        np.testing.assert_array_equal(sample["moving_label"], volumes[moving]["label"])


def test_pairs_of_subjects_have_two(store):
    volumes = Volumes(store, (4, 4, 4))
    pairs = Pairs(volumes, between="subjects")
    mean = {float(volumes[i]["image"].mean()): i for i in range(3)}
    found = set()
    for index, seed in itertools.product(range(3), range(12)):
        sample = pairs.draw(index, generator(seed))
        found.add((index, mean[float(sample["moving"].mean())]))
        assert mean[float(sample["fixed"].mean())] == index
    assert found == {(a, b) for a in range(3) for b in range(3) if a != b}
    with pytest.raises(InputError, match="two subjects to pair"):
        Pairs(Subset(volumes, [0]), between="subjects")


def test_pairs_that_cannot_be(store):
    volumes = Volumes(store, (4, 4, 4))
    for other, between in ((None, "entries"), (volumes, "subjects"), (None, "places")):
        with pytest.raises(InputError, match=r"other|between"):
            Pairs(volumes, other, between=between)
    with pytest.raises(InputError, match="the same subjects in the same order"):
        Pairs(volumes, Subset(volumes, [1, 0, 2]))
    with pytest.raises(InputError, match="two sessions to pair, got fewer"):
        Pairs(volumes, between="sessions")


def test_words_and_numbers(tmp_path):
    known = {"report": "Größe 3", "age": 61, "site": "x"}
    store = Store(made(tmp_path / "s", "ab", attributes=known))
    source = Described(Patches(store, (4, 4, 4)), text="report", length=4, numbers=["age"])
    sample = source.draw(0, generator(0))
    assert sample["text"].tobytes() == "Grö".encode()
    assert sample["attributes"].tolist() == [61]
    assert Described(source.source, text="report", length=9)[1]["text"].tobytes()[-1:] == b"3"
    with pytest.raises(InputError, match="case a: expected a number as 'site', got text"):
        Described(source.source, numbers=["site"])
    with pytest.raises(InputError, match="an attribute 'sex'"):
        Described(source.source, numbers=["sex"])


def test_entries_that_do_not_fit_are_named(tmp_path):
    writer = Writer(tmp_path / "s")
    array = np.arange(24).reshape(2, 3, 4)
    for id, other in (("a", array), ("b", array[:1])):
        entries = {"image": Image(array, np.eye(4)), "label": Image(other, np.eye(4))}
        writer.write(id, entries, subject=id)
    writer.write("c", {"image": Image(array, np.eye(4), tuple("abcd"))}, subject="c")
    writer.finish()
    store = Store(tmp_path / "s")
    with pytest.raises(InputError, match=r"case b: expected a label of shape \(2, 3, 4\)"):
        Volumes(store, cases=["a", "b"])
    with pytest.raises(InputError, match=r"case c: expected 3 axes in space"):
        Volumes(store, label=None)
    with pytest.raises(InputError, match=r"case c: expected an entry 'label', got image"):
        Patches(store, (1, 1, 1), cases=["c"])
    with pytest.raises(InputError, match="size: expected 3 positive sizes"):
        Patches(store, (1, 1), cases=["a"])


def test_two_axes(tmp_path):
    writer = Writer(tmp_path / "s")
    flat = np.arange(30 * 20 * 3).reshape(30, 20, 3) % 256
    entries = {
        "image": Image(flat, np.eye(4), tuple("rgb")),
        "label": Image(flat[..., 0], np.eye(4)),
    }
    writer.write("x", entries, subject="x")
    writer.finish()
    assert Patches(tmp_path / "s", (8, 9))[0]["image"].shape == (8, 9, 3)
    np.testing.assert_array_equal(Volumes(tmp_path / "s")[0]["image"], flat)
    with pytest.raises(InputError, match="volumes, got images of 2 axes"):
        Slices(tmp_path / "s")


def test_they_form_batches(store):
    patches = Patches(store, (8, 8, 7), per_volume=2)
    batch = next(iter(training(patches, batch_size=3, seed=1)))
    assert batch["image"].shape == (3, 8, 8, 7, 1)
    again = next(iter(training(patches, batch_size=3, seed=1)))
    np.testing.assert_array_equal(batch["image"], again["image"])
    other = next(iter(training(patches, batch_size=3, seed=2)))
    assert not np.array_equal(batch["image"], other["image"])
    indices = [b["index"].tolist() for b in evaluation(patches, batch_size=4)]
    assert indices == [[0, 1, 2, 3], [4, 5, 5, 5]]
    splits = by_group(patches, (0.4, 0.3, 0.3))
    assert {len(s) for s in splits} == {2}
