"""ComBat against neuroCombat and neuroHarmonize by stored values; no leak."""

from pathlib import Path

import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.harmonise import ComBatState, combat

REFERENCE = dict(np.load(Path(__file__).parents[1] / "reference" / "combat.npz"))
FEATURES, SITE, COVARIATES = (REFERENCE[name] for name in ("features", "site", "covariates"))
TRAIN = REFERENCE["train"]
fit, transform = combat()


@pytest.mark.parametrize(("name", "covariates"), [("alone", None), ("both", COVARIATES)])
def test_it_agrees_with_neurocombat(name, covariates):
    state = fit(FEATURES, SITE, covariates)
    assert isinstance(state, ComBatState)
    got = transform(state, FEATURES, SITE, covariates)
    np.testing.assert_allclose(got, REFERENCE[name], rtol=1e-8)


def test_held_out_subjects_agree_with_neuroharmonize():
    state = fit(FEATURES[TRAIN], SITE[TRAIN], COVARIATES[TRAIN])
    learned = transform(state, FEATURES[TRAIN], SITE[TRAIN], COVARIATES[TRAIN])
    np.testing.assert_allclose(learned, REFERENCE["learned"], rtol=1e-8)
    held = transform(state, FEATURES[~TRAIN], SITE[~TRAIN], COVARIATES[~TRAIN])
    np.testing.assert_allclose(held, REFERENCE["held"], rtol=1e-8)


def test_no_subject_tells_of_another():
    state = fit(FEATURES[TRAIN], SITE[TRAIN], COVARIATES[TRAIN])
    before = [leaf.copy() for leaf in state]
    together = transform(state, FEATURES, SITE, COVARIATES)
    wild = np.where(TRAIN[:, None], FEATURES, 1e6)
    beside = transform(state, wild, SITE, COVARIATES)
    np.testing.assert_array_equal(beside[TRAIN], together[TRAIN])
    for row in (0, 17, 39):
        alone = transform(
            state, FEATURES[row : row + 1], SITE[row : row + 1], COVARIATES[row : row + 1]
        )
        np.testing.assert_array_equal(alone[0], together[row])
    for leaf, old in zip(state, before, strict=True):
        np.testing.assert_array_equal(leaf, old)


def test_sites_vanish_and_covariates_stay():
    rng = np.random.default_rng(1)
    site = np.repeat([3, 1], 400)
    # Patients are at one site more than at the other.
    patient = (rng.random(800) < np.where(site == 3, 0.7, 0.3)).astype(float)[:, None]
    effect = np.linspace(0.5, 2, 20)
    noise = rng.normal(size=(800, 20))
    table = 5 + patient * effect + np.where(site == 3, 2, 1)[:, None] * noise
    table[site == 3] += rng.normal(1, 0.5, 20)
    state = fit(table, site, patient)
    clean = transform(state, table, site, patient) - patient * effect
    a, b = clean[site == 3], clean[site == 1]
    assert np.abs(a.mean(0) - b.mean(0)).max() < 0.2
    np.testing.assert_allclose(a.std(0) / b.std(0), 1, atol=0.15)
    np.testing.assert_allclose(state.effects[0], effect, atol=0.35)


def test_a_feature_that_does_not_vary_is_left_as_it_is():
    table = np.concatenate([FEATURES, np.full((len(FEATURES), 1), 4.25)], axis=1)
    got = transform(fit(table, SITE), table, SITE)
    np.testing.assert_allclose(got[:, -1], 4.25, rtol=1e-12)
    np.testing.assert_allclose(got[:, :-1], REFERENCE["alone"], rtol=1e-9)


def test_what_cannot_be_used_is_named():
    state = fit(FEATURES, SITE, COVARIATES)
    other = np.array(["elsewhere"])
    hole = FEATURES.copy()
    hole[3, 2] = np.nan
    confounded = (SITE == "a").astype(float)[:, None]
    for what, call in (
        ("site", lambda: transform(state, FEATURES[:1], other, COVARIATES[:1])),
        ("site", lambda: fit(FEATURES, np.full(len(SITE), "a"))),
        ("site", lambda: fit(FEATURES, np.r_[SITE[1:], ["lonely"]])),
        ("site", lambda: fit(FEATURES, SITE[1:])),
        ("covariates", lambda: fit(FEATURES, SITE, confounded)),
        ("covariates", lambda: fit(FEATURES, SITE, COVARIATES[1:])),
        ("covariates", lambda: transform(state, FEATURES, SITE)),
        ("features", lambda: transform(state, FEATURES[:, 1:], SITE, COVARIATES)),
        ("features", lambda: fit(hole, SITE)),
        ("features", lambda: fit(FEATURES[:, :1], SITE)),
    ):
        with pytest.raises(InputError) as raised:
            call()
        assert raised.value.what == what
    with pytest.raises(
        InputError, match=r"expected one that was fitted \(a, b, c\), got elsewhere"
    ):
        transform(state, FEATURES[:1], other, COVARIATES[:1])
