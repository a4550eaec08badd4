"""Labelled samples: what is refused, features in batches, features from a loader, label parts."""

from __future__ import annotations

import numpy as np
import pytest

from medjax import data
from medjax.core.errors import InputError
from medjax.training import protocols
from medjax.training.protocols import Labelled, Sets, label_curve, label_subset


def labelled(labels, groups=()):
    labels = np.asarray(labels, int) if len(labels) == 0 else np.asarray(labels)
    return Labelled(np.eye(4, dtype=np.float32)[labels], labels, tuple(groups))


def test_refusals():
    good = labelled([0, 1], "ab")
    with pytest.raises(InputError, match="one a sample"):
        Labelled(np.zeros((2, 3), np.float32), np.zeros(3, int))
    with pytest.raises(InputError, match="labels: expected integers"):
        Labelled(np.zeros((2, 3), np.float32), np.zeros(2, np.float32))
    with pytest.raises(InputError, match="from 0, got -1"):
        labelled([0, -1])
    with pytest.raises(InputError, match="groups: expected 2"):
        labelled([0, 1], "a")
    with pytest.raises(InputError, match="test: expected labels below 2"):
        Sets(good, labelled([0], "c"), labelled([3], "d"), 2)
    with pytest.raises(InputError, match="validation: expected at least one"):
        Sets(good, labelled([]), labelled([1], "d"), 2)
    with pytest.raises(InputError, match="every subject on one side, got 1 on two sides"):
        Sets(good, labelled([0], "c"), labelled([0, 1], "bd"), 2)


def test_features_of_any_number_of_samples_come_from_batches_of_one_size():
    seen = []

    def double(batch):
        seen.append(batch.shape)
        return 2 * batch

    part = labelled([0, 1, 2, 1, 0])
    mapped = Sets(part, part, part, 3).map(protocols.in_batches(double, 2))
    np.testing.assert_array_equal(mapped.train.inputs, 2 * part.inputs)
    assert set(seen) == {(2, 4)}


def test_features_from_a_loader_leave_out_what_fills_a_batch():
    class Source:
        groups = tuple(f"subject{i // 2}" for i in range(5))

        def __len__(self):
            return 5

        def __getitem__(self, index):
            return {
                "image": np.full(3, index, np.float32),
                "label": np.asarray(index % 2),
                "index": np.asarray(index, np.int32),
            }

    source = Source()
    found = protocols.extract(
        lambda batch: batch["image"] + 1,
        data.evaluation(source, batch_size=2),
        groups=source.groups,
    )
    np.testing.assert_array_equal(found.inputs[:, 0], [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(found.labels, [0, 1, 0, 1, 0])
    assert found.groups == source.groups
    with pytest.raises(InputError, match="at least one valid sample"):
        protocols.extract(lambda batch: batch["image"], [])


def test_label_parts_are_of_whole_subjects_and_hold_each_class():
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 300, p=[0.7, 0.25, 0.05])
    groups = [f"s{i}" for i in rng.integers(0, 60, 300)]
    samples = labelled(labels, groups)
    before = set()
    for fraction in (0.01, 0.1, 0.5):
        part = label_subset(samples, fraction, seed=1)
        chosen = set(part.groups)
        assert before <= chosen
        before = chosen
        # Whole subjects: nobody chosen has a sample outside.
        assert len(part) == sum(g in chosen for g in groups)
        for c in range(3):
            wanted = max(1, round(fraction * (labels == c).sum()))
            assert (part.labels == c).sum() >= wanted
    assert len(label_subset(samples, 1.0)) == 300
    assert set(label_subset(samples, 0.1, seed=2).groups) != set(
        label_subset(samples, 0.1, seed=1).groups
    )


def test_label_parts_of_single_samples_are_exact():
    samples = labelled(np.repeat([0, 1, 2], [100, 50, 10]))
    part = label_subset(samples, 0.1)
    assert np.bincount(part.labels).tolist() == [10, 5, 1]
    with pytest.raises(InputError, match="fraction"):
        label_subset(samples, 0.0)


def test_a_curve_takes_fewer_labels_of_training_and_validation_and_tests_on_all():
    def part(count, seed):
        rng = np.random.default_rng(seed)
        labels = np.arange(count) % 3
        inputs = rng.normal(size=(count, 6)) + np.eye(6)[labels]
        return Labelled(inputs.astype(np.float32), labels)

    data = Sets(part(120, 0), part(30, 1), part(90, 2), 3)
    judge = protocols.NearestNeighbours(neighbours=(1, 5))
    curve = label_curve(judge, data, fractions=(0.1, 1.0), seeds=(0, 1))
    few, all_ = curve.outcomes[0.1], curve.outcomes[1.0]
    assert [o.samples for o in few] == [{"train": 12, "validation": 3, "test": 90}] * 2
    assert len(all_) == 1  # no seed would change it
    assert all_[0].samples == {"train": 120, "validation": 30, "test": 90}
    values = curve.values()
    assert values[0.1].shape == (2,)
    assert values[0.1].mean() < values[1.0].mean()
    text = str(curve)
    assert "10% of the labels (12), 2 seeds: accuracy" in text
    assert "100% of the labels (120), 1 seed: accuracy" in text
    assert "neighbours: 1, 5" in text
    assert curve.record()["outcomes"].keys() == {"0.1", "1"}
