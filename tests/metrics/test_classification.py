"""Metrics of classification: known values, other implementations' numbers, edges."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.metrics.classification import accuracy, auc, balanced_accuracy, recall

SCORES = jnp.asarray([[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.7, 0.2]])
LABELS = jnp.asarray([0, 1, 1, 1], jnp.int32)
ALL = (accuracy, recall, balanced_accuracy, auc)


def test_known_values():
    np.testing.assert_array_equal(accuracy(SCORES, LABELS), [1, 0, 1, 1])
    np.testing.assert_allclose(recall(SCORES, LABELS), [1, 2 / 3, np.nan], rtol=1e-6)
    np.testing.assert_allclose(balanced_accuracy(SCORES, LABELS), 5 / 6, rtol=1e-6)
    np.testing.assert_allclose(auc(SCORES, LABELS), [1, 1, np.nan])


def test_area_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    scores = np.round(rng.normal(size=(60, 3)) + 0.5 * np.eye(3)[labels], 1)  # many ties
    wanted = []
    for c in range(3):
        inside, outside = scores[labels == c, c][:, None], scores[labels != c, c][None]
        wanted.append(np.mean((inside > outside) + 0.5 * (inside == outside)))
    got = jax.jit(auc)(jnp.asarray(scores, jnp.float32), jnp.asarray(labels, jnp.int32))
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_agreement_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 200)
    scores = (rng.normal(size=(200, 4)) + np.eye(4)[labels]).astype(np.float32)
    chosen = scores.argmax(-1)
    x, y = jnp.asarray(scores), jnp.asarray(labels, jnp.int32)
    np.testing.assert_allclose(
        balanced_accuracy(x, y), metrics.balanced_accuracy_score(labels, chosen), rtol=1e-5
    )
    areas = [metrics.roc_auc_score(labels == c, scores[:, c]) for c in range(4)]
    np.testing.assert_allclose(auc(x, y), areas, rtol=1e-5)


def test_chance_and_its_mirror():
    labels = jnp.asarray([0, 1] * 10, jnp.int32)
    constant = jnp.zeros((20, 2))
    assert float(balanced_accuracy(constant, labels)) == 0.5
    np.testing.assert_allclose(auc(constant, labels), [0.5, 0.5])
    scores = jax.nn.one_hot(labels, 2)
    np.testing.assert_allclose(auc(-scores, labels), [0, 0])


def test_what_cannot_be_scored_is_nan_and_hides_nothing_else():
    everyone = jnp.zeros(4, jnp.int32)
    assert np.isnan(auc(SCORES, everyone)).all()
    broken = SCORES.at[3, 2].set(jnp.nan)
    np.testing.assert_array_equal(np.isnan(accuracy(broken, LABELS)), [0, 0, 0, 1])
    np.testing.assert_array_equal(np.isnan(recall(broken, LABELS)), [0, 1, 1])
    assert np.isnan(balanced_accuracy(broken, LABELS))
    np.testing.assert_array_equal(np.isnan(auc(broken, LABELS)), [0, 0, 1])
    unknown = jnp.asarray([0, 1, 1, 7], jnp.int32)
    np.testing.assert_array_equal(accuracy(SCORES, unknown), [1, 0, 1, 0])
    np.testing.assert_allclose(recall(SCORES, unknown)[:2], [1, 0.5])


@pytest.mark.parametrize("metric", ALL)
def test_refusals_name_the_metric(metric):
    for scores, labels in (
        (SCORES.astype(jnp.int32), LABELS),
        (SCORES, LABELS.astype(jnp.float32)),
        (SCORES, LABELS[:3]),
        (SCORES[0], LABELS),
    ):
        with pytest.raises(InputError, match=r"accuracy|auc"):
            metric(scores, labels)
