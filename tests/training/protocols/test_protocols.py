"""Laws of every protocol on frozen features: it learns, chooses on validation, says how."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.training import protocols
from medjax.training.protocols import heads, linear, protocol
from medjax.training.protocols.attentive import passes

CLASSES = 3

# name: (protocol as small as it can be, whether it takes patches)
CASES = {
    "nearest_neighbours": (protocols.NearestNeighbours(neighbours=(1, 5)), False),
    "linear_probe": (protocols.LinearProbe(penalties=(1.0, 1e-2)), False),
    "attentive_probe": (protocols.AttentiveProbe(rates=(1e-2,), steps=60, heads=2), True),
    "logistic_head": (protocols.LogisticHead(strengths=(1e-2, 1.0)), False),
    "svm_head": (protocols.SVMHead(strengths=(1e-2, 1.0)), False),
    "forest_head": (protocols.ForestHead(shares=(0.5,), trees=20), False),
}


def labelled(count, seed, patches=False, classes=CLASSES):
    """Classes that differ in one channel each; of patches, in one place of five."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    signal = 4 * np.eye(8)[labels]
    if patches:
        inputs = rng.normal(size=(count, 5, 8))
        inputs[np.arange(count), rng.integers(0, 5, count)] += 3 * signal
    else:
        inputs = rng.normal(size=(count, 8)) + signal
    return protocols.Labelled(inputs.astype(np.float32), labels)


def sets(patches=False, classes=CLASSES):
    parts = (labelled(n, seed, patches, classes) for seed, n in enumerate((60, 30, 45)))
    return protocols.Sets(*parts, classes)


@pytest.fixture(autouse=True)
def without_scikit_learn_skip(request):
    if "_head" in request.node.name:
        pytest.importorskip("sklearn")


def test_every_protocol_is_registered_and_has_a_case():
    assert {*CASES, "fine_tuning"} == set(protocols.PROTOCOLS)
    for name, (case, _) in CASES.items():
        assert type(case) is protocols.PROTOCOLS[name]
        assert protocols.PROTOCOLS.summary(name)


@pytest.mark.parametrize("name", CASES)
def test_learns_what_there_is_and_nothing_where_there_is_nothing(name):
    judge, patches = CASES[name]
    data = sets(patches)
    outcome = judge(data)
    assert outcome.test["balanced_accuracy"] > 0.85
    assert outcome.test["auc"] > 0.9
    rng = np.random.default_rng(5)
    shuffled = dataclasses.replace(
        data, train=dataclasses.replace(data.train, labels=rng.permutation(data.train.labels))
    )
    assert judge(shuffled).test["balanced_accuracy"] < 0.7


@pytest.mark.parametrize("name", CASES)
def test_prints_every_choice_with_the_result(name):
    judge, patches = CASES[name]
    outcome = judge(sets(patches), seed=3)
    text = str(outcome)
    for field in dataclasses.fields(judge):
        assert field.name.replace("_", " ") in text
    for words in (*judge.fixed, "60 train, 30 validation, 45 test", "3 classes", "chosen"):
        assert words in text
    assert f"{outcome.test['balanced_accuracy']:.3f}" in text
    record = outcome.record()
    assert record["protocol"] == protocols.describe(judge).splitlines()
    assert record["test"] == outcome.test


@pytest.mark.parametrize("name", CASES)
def test_one_seed_is_one_result_and_only_seeded_protocols_have_more(name):
    judge, patches = CASES[name]
    data = sets(patches)
    classifiers = [
        judge.fit(data.train, CLASSES, judge.candidates()[-1], seed) for seed in (0, 0, 1)
    ]
    first, again, other = (c(data.test.inputs) for c in classifiers)
    np.testing.assert_array_equal(first, again)
    assert (np.abs(first - other).max() > 0) == judge.seeded


@pytest.mark.parametrize("name", CASES)
def test_a_class_without_training_samples_is_never_predicted(name):
    judge, patches = CASES[name]
    train = labelled(40, 0, patches, classes=2)
    scores = judge.fit(train, CLASSES, judge.candidates()[-1], 0)(sets(patches).test.inputs)
    assert scores.shape == (45, CLASSES)
    assert np.isfinite(scores).all()
    assert set(scores.argmax(-1)) <= {0, 1}
    single = train.take(np.flatnonzero(train.labels == 1))
    scores = judge.fit(single, CLASSES, judge.candidates()[0], 0)(train.inputs)
    assert set(scores.argmax(-1)) == {1}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fixed(protocol.Protocol):
    """Scores that are written down: right for so many samples of each side."""

    title = "fixed"

    right: tuple[tuple[int, int], ...]

    def candidates(self):
        return [{"number": i} for i in range(len(self.right))]

    def fit(self, train, classes, setting, seed):
        def classifier(inputs):
            count = self.right[setting["number"]][int(inputs[0, 0])]
            truth = inputs[:, 1].astype(int)
            given = np.where(np.arange(len(inputs)) < count, truth, 1 - truth)
            return np.eye(2, dtype=np.float32)[given]

        return classifier


def test_validation_chooses_and_test_does_not():
    def part(side):
        labels = np.arange(10) % 2
        inputs = np.stack([np.full(10, side), labels], axis=1).astype(np.float32)
        return protocols.Labelled(inputs, labels)

    data = protocols.Sets(part(0), part(0), part(1), 2)
    outcome = Fixed(right=((4, 10), (8, 6), (8, 10)))(data)
    assert outcome.chosen == {"number": 1}  # the first of the best on validation
    assert outcome.validation["accuracy"] == pytest.approx(0.8)
    assert outcome.test["accuracy"] == pytest.approx(0.6)


def test_linear_probe_finds_the_optimum():
    data = labelled(50, 0)
    x = linear.standardiser(data.inputs)(data.inputs)
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(0), 1, rtol=1e-5)
    probe = protocols.LinearProbe(tolerance=1e-5)
    logits = probe.fit(data, CLASSES, {"penalty": 0.1}, 0)
    kernel = logits(np.eye(8, dtype=np.float32)) - logits(np.zeros((1, 8), np.float32))
    kernel = kernel * data.inputs.std(0)[:, None]  # of standardised features
    p = np.asarray(jax.nn.softmax(jnp.asarray(logits(data.inputs))))
    error = p - np.eye(CLASSES)[data.labels]
    np.testing.assert_allclose(x.T @ error / len(x) + 0.1 * kernel, 0, atol=1e-4)
    np.testing.assert_allclose(error.mean(0), 0, atol=1e-4)


def test_linear_probe_and_scikit_learn_are_one_model():
    pytest.importorskip("sklearn")
    data = sets()
    ours = protocols.LinearProbe(tolerance=1e-5).fit(data.train, CLASSES, {"penalty": 0.05}, 0)
    strength = 1 / (0.05 * len(data.train))
    theirs = protocols.LogisticHead().fit(data.train, CLASSES, {"strength": strength}, 0)
    p = jax.nn.softmax(jnp.asarray(ours(data.test.inputs)))
    np.testing.assert_allclose(p, theirs(data.test.inputs), atol=2e-3)


def test_a_channel_that_does_not_vary_is_not_blown_up():
    train = np.asarray([[1.0, 5.0], [3.0, 5.0]], np.float32)
    standard = linear.standardiser(train)
    np.testing.assert_allclose(standard(np.asarray([[2.0, 6.0]], np.float32)), [[0, 1]])


def test_more_neighbours_than_samples_are_left_out():
    judge = protocols.NearestNeighbours(neighbours=(5, 20))
    few = labelled(6, 0)
    assert judge.usable(few) == [{"neighbours": 5}]
    assert judge.usable(few.take(np.arange(3))) == [{"neighbours": 3}]


def test_every_pass_sees_every_sample_once():
    order = passes(10, 4, 6, seed=0)
    assert order.shape == (6, 4)
    for i in (0, 10):
        assert sorted(order.reshape(-1)[i : i + 10]) == list(range(10))
    assert passes(3, 8, 5, seed=0).shape == (5, 3)
    np.testing.assert_array_equal(passes(10, 4, 6, seed=0), order)
    assert (passes(10, 4, 6, seed=1) != order).any()


def test_attentive_probe_refuses_pooled_features():
    with pytest.raises(InputError, match=r"inputs: expected patches \(sample, token, channel\)"):
        CASES["attentive_probe"][0](sets())


def test_a_missing_scikit_learn_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(heads.importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"pip install 'medjax\[probes\]'"):
        protocols.LogisticHead()(sets())
