"""Metrics of anomaly scores: known values, scikit-learn's numbers, edges."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.metrics.anomaly import auroc, average_precision, best_dice

ALL = (average_precision, best_dice, auroc)


def both(scores, marked):
    return jnp.asarray(scores, jnp.float32), jnp.asarray(marked, bool)


def test_known_values():
    x = both([[4, 3, 2, 1], [1, 2, 3, 4], [1, 1, 1, 1]], [[1, 0, 1, 0]] * 3)
    np.testing.assert_allclose(average_precision(*x), [5 / 6, 1 / 2, 1 / 2], rtol=1e-6)
    np.testing.assert_allclose(best_dice(*x), [4 / 5, 2 / 3, 2 / 3], rtol=1e-6)
    np.testing.assert_allclose(auroc(*x), [3 / 4, 1 / 4, 1 / 2], rtol=1e-6)


def ties():
    rng = np.random.default_rng(0)
    marked = rng.random((3, 9, 10)) < 0.2
    return np.round(rng.normal(size=marked.shape) + marked, 1), marked


def test_equal_scores_are_one_threshold():
    scores, marked = ties()
    got = [jax.jit(f)(*both(scores, marked)) for f in ALL]
    for i, (s, m) in enumerate(zip(scores, marked, strict=True)):
        chosen = [s >= t for t in np.unique(s)[::-1]]
        recall = np.array([0] + [(c & m).sum() / m.sum() for c in chosen])
        precision = np.array([(c & m).sum() / c.sum() for c in chosen])
        dice = max(2 * (c & m).sum() / (c.sum() + m.sum()) for c in chosen)
        inside, outside = s[m][:, None], s[~m][None]
        area = np.mean((inside > outside) + 0.5 * (inside == outside))
        wanted = (np.diff(recall) @ precision, dice, area)
        np.testing.assert_allclose([g[i] for g in got], wanted, rtol=1e-5)


def test_agreement_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    scores, marked = ties()
    pairs = [(a.ravel(), b.ravel()) for a, b in zip(marked, scores, strict=True)]
    x = both(scores, marked)
    wanted = [metrics.average_precision_score(*pair) for pair in pairs]
    np.testing.assert_allclose(average_precision(*x), wanted, rtol=1e-5)
    np.testing.assert_allclose(auroc(*x), [metrics.roc_auc_score(*p) for p in pairs], rtol=1e-5)


def test_what_cannot_be_scored_is_nan_and_hides_nothing_else():
    x = both([[1, 2], [1, 2], [1, 2], [np.nan, 1]], [[0, 0], [0, 1], [1, 1], [1, 0]])
    np.testing.assert_array_equal(average_precision(*x), [np.nan, 1, 1, np.nan])
    np.testing.assert_array_equal(best_dice(*x), [np.nan, 1, 1, np.nan])
    np.testing.assert_array_equal(auroc(*x), [np.nan, 1, np.nan, np.nan])


@pytest.mark.parametrize("metric", ALL)
def test_other_arrays_are_refused(metric):
    scores, marked = both([[1.0, 2.0]], [[True, False]])
    with pytest.raises(InputError, match="floating scores and boolean marks"):
        metric(scores, marked.astype(jnp.int32))
    with pytest.raises(InputError, match="floating scores and boolean marks"):
        metric(scores.astype(jnp.int32), marked)
    with pytest.raises(InputError, match=r"two arrays of one shape \(batch, ...\)"):
        metric(scores[0], marked[0])
