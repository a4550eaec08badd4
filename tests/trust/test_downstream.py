"""Gains: known differences, their intervals, controls that cannot be left out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import ttest_rel

from medjax.core.errors import InputError
from medjax.trust import downstream_worth

SETS = {"real": 0.70, "real, augmented": 0.72, "real and generated": 0.75}


def train(worth, seed):
    """A score that its seed moves, for all sets alike but for a little."""
    shared, own = (np.random.default_rng(k).normal() for k in (seed, (seed, round(1e3 * worth))))
    return worth + 0.1 * shared + 0.01 * own


def test_gains_are_paired_by_seed():
    both = ("real", "real, augmented")
    got = downstream_worth(train, SETS, controls=both, seeds=range(6), metric="Dice")
    assert all(values.std() > 0.03 for values in got.scores.values())
    gains = got.gains()
    assert list(gains) == ["real, augmented", "real and generated"]
    assert list(gains["real and generated"]) == list(both)
    assert list(gains["real, augmented"]) == ["real"]
    gain = gains["real and generated"]["real"]
    wanted = ttest_rel(got.scores["real and generated"], got.scores["real"]).confidence_interval()
    np.testing.assert_allclose((gain.low, gain.high), wanted)
    assert 0 < gain.low < gain.mean < gain.high < 0.1


def test_a_table_says_what_it_is_of():
    got = downstream_worth(train, SETS, seeds=(3, 4, 5), metric="Dice")
    text = str(got)
    assert text.startswith("Dice, 3 seeds")
    assert "real and generated" in text
    assert "over real +0.0" in text
    assert "not over other patients" in text
    assert json.loads(json.dumps(got.record()))["gains"]["real, augmented"]["real"]["mean"] > 0


def test_there_is_always_a_control():
    with pytest.raises(InputError, match=r"controls: expected names among real, .*, got none"):
        downstream_worth(train, SETS, controls=())
    with pytest.raises(InputError, match="got nothing"):
        downstream_worth(train, SETS, controls=("nothing",))
    with pytest.raises(InputError, match="a set besides the control"):
        downstream_worth(train, {"real": 0.7})
    for seeds in ((0,), (1, 1)):
        with pytest.raises(InputError, match="at least two, all different"):
            downstream_worth(train, SETS, seeds=seeds)
