"""Collapse, copies and membership: seen where they are, and not where they are not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.metrics import generative as metrics
from medjax.metrics.generative import FeatureSet, Score
from medjax.metrics.generative.memorisation import standardised_ranks

REFERENCE = np.load(Path(__file__).parents[2] / "reference" / "generative.npz")
NAME = "a network, 8 x 8"
MODES = 6 * np.eye(5)


def features(values) -> FeatureSet:
    return FeatureSet(np.asarray(values, np.float64), NAME)


def drawn(seed, count=80, modes=5, scale=1.0, shift=0.0):
    """Samples of the first so many of five modes."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, 5))
    return features(MODES[np.arange(count) % modes] + scale * noise + shift)


REAL = drawn(0, 160)


def collapse(generated, **options):
    return metrics.mode_collapse(REAL, generated, repeats=5, **options)


def test_a_generator_as_varied_as_the_data_has_not_collapsed():
    got = collapse(drawn(1))
    assert not got.collapsed
    for share in (got.spread, got.rank, got.recall, got.coverage):
        assert share.low <= share.value <= share.high
        assert 0.75 < share.value < 1.25
    assert NAME in str(got)
    assert "below 0.5" in str(got)
    assert "5 repeats of 80 of each kind" in str(got)
    assert json.loads(json.dumps(got.record()))["collapsed"] is False


def test_missing_modes_are_a_collapse_though_each_image_is_good():
    got = collapse(drawn(1, modes=2))
    assert got.collapsed
    assert "coverage" in got.reasons
    assert got.precision.value > 0.9


def test_one_image_with_a_little_noise_is_a_collapse_wherever_it_is():
    for shift in (0.0, 100.0):
        got = collapse(drawn(1, modes=1, scale=0.01, shift=shift))
        assert "spread" in got.reasons


def test_varied_images_far_from_real_ones_are_bad_and_not_collapsed():
    got = collapse(drawn(1, shift=100.0))
    assert got.coverage.value == got.precision.value == 0
    assert not got.collapsed


def test_alike_images_by_ms_ssim_are_a_collapse():
    base = Score(metric="", value=0.6, error=0.01, extractor="pixels", samples={})
    alike = dataclasses.replace(base, value=0.9)
    got = collapse(drawn(1), similarity=(base, alike))
    assert got.reasons == ("MS-SSIM",)
    np.testing.assert_allclose(got.similarity.value, 0.25)
    unsure = dataclasses.replace(alike, error=0.1)
    assert not collapse(drawn(1), similarity=(base, unsure)).collapsed
    with pytest.raises(InputError, match="the same settings"):
        collapse(drawn(1), similarity=(base, dataclasses.replace(alike, detail="3 scales")))


def test_copies_are_seen_and_named():
    train, held_out = drawn(2), drawn(3)
    copied = features(train.values[::-1] + 0.05 * np.random.default_rng(4).normal(size=(80, 5)))
    got = metrics.data_copying(train, held_out, copied, least=5)
    assert got.statistic < -3
    assert got.p_value < 1e-6
    np.testing.assert_array_equal(got.nearest, np.arange(80)[::-1])
    assert got.low > 0.9
    assert np.median(got.ratio) < 0.3
    np.testing.assert_allclose(
        got.distance, np.linalg.norm(copied.values - train.values[::-1], axis=1)
    )
    assert NAME in str(got)
    assert NAME in json.dumps(got.record())


def test_new_samples_are_no_copies_and_far_ones_are_above_zero():
    results = [
        metrics.data_copying(drawn(3 * s), drawn(3 * s + 1), drawn(3 * s + 2), cells=2, seed=s)
        for s in range(40)
    ]
    # Uniform p-values: of forty, about four below a tenth.
    assert 0 < np.mean([r.p_value < 0.1 for r in results]) < 0.3
    assert abs(np.mean([r.closer for r in results]) - 0.5) < 0.05
    far = metrics.data_copying(drawn(0), drawn(1), drawn(2, scale=4.0), cells=1)
    assert far.statistic > 3
    assert far.cells == (1, 1)


def test_ranks_agree_with_scipy():
    values, control = REFERENCE["distances"][0], REFERENCE["distances"][1, :9]
    np.testing.assert_allclose(standardised_ranks(values, control), REFERENCE["mann_whitney"])


def test_membership_of_known_scores():
    apart = metrics.membership_advantage(np.array([1.0, 4, 5, 6]), np.array([0.0, 1, 2, 3]))
    # At least 4: three of four members, none of the others.
    assert (apart.advantage, apart.threshold) == (0.75, 4.0)
    np.testing.assert_allclose(apart.area, 13.5 / 16)
    same = metrics.membership_advantage(np.ones(30), np.ones(30), resamples=50)
    assert (same.advantage, same.area, same.leaks) == (0.0, 0.5, False)
    worse = metrics.membership_advantage(np.zeros(5), np.ones(5), resamples=50)
    assert (worse.advantage, worse.area) == (0.0, 0.0)


def test_an_advantage_of_chance_is_said_to_be_one():
    rng = np.random.default_rng(0)
    by_chance = [
        metrics.membership_advantage(*rng.normal(size=(2, 40)), resamples=60).leaks
        for _ in range(30)
    ]
    assert np.mean(by_chance) < 0.2
    leak = metrics.membership_advantage(rng.normal(1.5, 1, 100), rng.normal(0, 1, 100))
    assert leak.leaks
    assert leak.low < leak.advantage < leak.high
    # Of normal scores so far apart the best difference is 0.547.
    assert leak.low < 0.547 < leak.high
    assert "by chance" in str(leak)


def test_refusals():
    with pytest.raises(InputError, match="threshold: expected a number in"):
        collapse(drawn(1), threshold=1.0)
    with pytest.raises(InputError, match="more than 10 real and 5 generated"):
        collapse(drawn(1, 5))
    with pytest.raises(InputError, match="repeats"):
        metrics.mode_collapse(REAL, drawn(1), repeats=1)
    with pytest.raises(InputError, match="cells: expected 1 to 80"):
        metrics.data_copying(drawn(0), drawn(1), drawn(2), cells=0)
    with pytest.raises(InputError, match="with 90 generated ones or more, got none of 5"):
        metrics.data_copying(drawn(0), drawn(1), drawn(2), least=90)
    with pytest.raises(InputError, match="others: expected floating-point scores"):
        metrics.membership_advantage(np.ones(3), np.ones(3, int))
    with pytest.raises(InputError, match="members: expected scores without NaN"):
        metrics.membership_advantage(np.array([0.0, np.nan]), np.ones(3))
