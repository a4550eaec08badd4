import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data import (
    Splits,
    Subset,
    VolumeSlices,
    by_group,
    k_fold,
    leave_out,
    official,
    slabs,
)


class People:
    """Samples of several subjects, some with more than others."""

    def __init__(self, groups):
        self.groups = tuple(groups)

    def __len__(self):
        return len(self.groups)

    def __getitem__(self, index):
        return {"index": np.asarray(index, np.int32)}


def volume(count=40):
    return VolumeSlices(np.ones((2, 2, count), np.float32), axis="axial", shape=(2, 2))


@pytest.mark.parametrize("seed", range(5))
def test_no_subject_is_on_two_sides_and_no_sample_is_lost(seed):
    source = People(f"s{i % 20}" for i in range(73))
    parts = list(by_group(source, seed=seed))
    groups = [set(p.groups) for p in parts]
    assert [len(g) for g in groups] == [16, 2, 2]
    assert len(set.union(*groups)) == 20
    assert sorted(i for p in parts for i in p.indices) == list(range(73))


def test_the_split_follows_the_subjects_not_their_order():
    groups = [f"s{i % 10}" for i in range(30)]
    a, b = by_group(People(groups), seed=3), by_group(People(groups[::-1]), seed=3)
    assert set(a.test.groups) == set(b.test.groups)
    others = [set(by_group(People(groups), seed=s).test.groups) for s in range(8)]
    assert any(o != others[0] for o in others)


def test_every_side_gets_a_subject():
    assert [len(p) for p in by_group(People("abc"))] == [1, 1, 1]
    with pytest.raises(InputError, match=r"more than 2 subjects .* got 2 subjects"):
        by_group(People("aabb"))
    for bad in ((0.9, 0.1, 0.0), (0.5, 0.1, 0.1)):
        with pytest.raises(InputError, match="of sum one"):
            by_group(People("abc"), bad)


def test_a_leak_cannot_be_built_and_nobody_is_named():
    source = People(["anna", "anna", "bert", "carl"])
    train, held, test = Subset(source, [0, 2]), Subset(source, [1]), Subset(source, [3])
    with pytest.raises(InputError, match="1 of 2 subjects on two sides") as caught:
        Splits(train, held, test)
    assert "anna" not in str(caught.value)
    with pytest.raises(InputError, match="subjects on two sides"):
        Splits(Subset(source, [2]), Subset(source, [3]), Subset(source, [3]))
    with pytest.raises(InputError, match="test: expected at least one sample"):
        Splits(train, test, Subset(source, []))


@pytest.mark.parametrize("gap", [1, 2, 5])
def test_held_out_slabs_are_farther_than_the_gap_from_training(gap):
    splits = slabs(volume(), validation=(8, 12), test=(20, 25), gap=gap)
    train, validation, test = (np.array(p.indices) for p in splits)
    np.testing.assert_array_equal(validation, np.arange(8, 12))
    np.testing.assert_array_equal(test, np.arange(20, 25))
    held = np.concatenate([validation, test])
    distance = np.abs(train[:, None] - held).min()
    assert distance == gap + 1
    assert set(train) == {i for i in range(40) if np.abs(held - i).min() > gap}


def test_slabs_that_do_not_hold_are_refused():
    for validation, test, gap, match in (
        ((8, 12), (14, 16), 3, "more than 3 places between sides, got samples 3 apart"),
        ((8, 12), (10, 16), 3, "got samples 0 apart"),
        ((8, 12), (38, 41), 3, "test: expected a slab within 0 to 40"),
        ((8, 12), (20, 24), 0, "gap: expected at least one"),
        ((8, 12), (20, 24), 30, "train: expected at least one sample"),
    ):
        with pytest.raises(InputError, match=match):
            slabs(volume(), validation=validation, test=test, gap=gap)


def test_a_gap_is_checked_by_the_constructor():
    source = volume(10)
    parts = [Subset(source, i) for i in ([0, 1, 9], [4], [6])]
    with pytest.raises(InputError, match="got samples 2 apart"):
        Splits(*parts, gap=2)
    assert len(Splits(*parts, gap=1).train) == 3
    with pytest.raises(InputError, match="two sides"):
        Splits(*parts)
    with pytest.raises(InputError, match="subsets of one source"):
        Splits(volume(10), *parts[1:], gap=1)


def test_strata_have_their_share_on_every_side_and_sites_stay_whole():
    source = People(f"s{i // 2}" for i in range(80))  # 40 subjects of two samples each
    ill = [i // 2 % 4 == 0 for i in range(80)]  # a quarter of them
    for seed in range(3):
        parts = by_group(source, (0.6, 0.2, 0.2), seed, strata=ill)
        assert [np.mean([ill[i] for i in p.indices]) for p in parts] == [0.25] * 3
    sites = [i // 8 for i in range(80)]  # ten, of four subjects
    parts = by_group(source, (0.6, 0.2, 0.2), together=sites)
    there = [{sites[i] for i in p.indices} for p in parts]
    assert [len(t) for t in there] == [6, 2, 2]
    assert len(set.union(*there)) == 10
    # A subject at two sites ties them to each other.
    tied = by_group(People("aabbccdd"), (0.5, 0.25, 0.25), together=[0, 1, 1, 1, 2, 2, 3, 3])
    assert {"a", "b"} in [set(p.groups) for p in tied]
    with pytest.raises(InputError, match="strata: expected one for each of 80"):
        by_group(source, strata=[0])


def test_folds_test_every_subject_once():
    source = People(f"s{i % 20}" for i in range(60))
    ill = [i % 20 < 8 for i in range(60)]
    tested = []
    for fold in range(4):
        splits = k_fold(source, folds=4, fold=fold, strata=ill)
        tested += sorted(set(splits.test.groups))
        assert sum(ill[i] for i in splits.test.indices) == 6
        assert len(set(splits.validation.groups)) == 2
    assert sorted(tested) == sorted(f"s{i}" for i in range(20))
    with pytest.raises(InputError, match="0 to folds - 1"):
        k_fold(source, folds=4, fold=4)
    with pytest.raises(InputError, match="at least 4 subjects for 4 folds, got 3"):
        k_fold(People("abc"), folds=4, fold=0)


def test_a_site_is_left_out_whole_and_official_sides_are_kept():
    source = People(f"s{i // 2}" for i in range(20))
    sites = ["north" if i < 6 else "south" for i in range(20)]
    splits = leave_out(source, sites, "north")
    assert splits.test.indices == tuple(range(6))
    assert len(splits.train) + len(splits.validation) == 14
    with pytest.raises(InputError, match=r"one of \['north', 'south'\], got 'west'"):
        leave_out(source, sites, "west")
    with pytest.raises(InputError, match="1 at several sites"):
        leave_out(source, [*["north"] * 5, *["south"] * 15], "north")
    sides = ["train"] * 10 + ["validation"] * 4 + ["test"] * 4 + [""] * 2
    assert [len(p) for p in official(source, sides)] == [10, 4, 4]
    with pytest.raises(InputError, match="two sides"):
        official(source, ["train"] * 11 + ["validation"] * 4 + ["test"] * 5)


def test_a_record_tells_sides_and_no_names():
    record = by_group(People("abcabc")).record()
    assert [record[side]["samples"] for side in ("train", "validation", "test")] == [2, 2, 2]
    digests = [d for side in record.values() for d in side["subjects"]]
    assert len(set(digests)) == 3
    assert all(len(d) == 16 for d in digests)
