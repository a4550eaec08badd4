"""Metrics of sets: stored values of other libraries, known values, names that stay, refusals."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.metrics import generative as metrics
from medjax.metrics import ms_ssim
from medjax.metrics.generative import FeatureExtractor, FeatureSet, neighbours
from medjax.models.backbone import Backbone, Features

REFERENCE = np.load(Path(__file__).parents[2] / "reference" / "generative.npz")
NAME = "a network, 8 x 8"


def features(values) -> FeatureSet:
    return FeatureSet(np.asarray(values, np.float64), NAME)


REAL, GENERATED = features(REFERENCE["real"]), features(REFERENCE["generated"])


class Means(Backbone):
    """Means over space, scaled, and a class from each."""

    @nn.compact
    def features(self, x, train=False):
        scale = self.param("scale", nn.initializers.ones, ())
        return Features(scale * jnp.mean(x, axis=(1, 2)), ())


def test_agrees_with_other_libraries():
    distance = metrics.frechet_distance(REAL, GENERATED).value
    np.testing.assert_allclose(distance, REFERENCE["frechet"], rtol=1e-10)
    np.testing.assert_allclose(distance, REFERENCE["frechet_sqrtm"], rtol=1e-10)
    whole = metrics.kernel_distance(REAL.take(np.arange(30)), GENERATED, subset_size=30)
    np.testing.assert_allclose(whole.value, REFERENCE["mmd"], rtol=1e-10)
    assert np.isnan(whole.error)
    score = metrics.inception_score(features(REFERENCE["logits"]), splits=1)
    np.testing.assert_allclose(score.value, REFERENCE["inception"], rtol=1e-10)


@pytest.mark.parametrize("k", [3, 5])
def test_manifolds_agree_with_their_authors_code_in_any_chunks(k, monkeypatch):
    monkeypatch.setattr(neighbours, "_CHUNK", 7)
    found = {
        **metrics.precision_recall(REAL, GENERATED, k=k)._asdict(),
        **metrics.density_coverage(REAL, GENERATED, k=k)._asdict(),
    }
    for name, score in found.items():
        np.testing.assert_allclose(score.value, REFERENCE[f"{name}_{k}"], rtol=1e-12)
        assert f"k = {k}" in score.detail


def test_ms_ssim_agrees_with_pytorch_msssim():
    prediction, target = (
        jnp.asarray(REFERENCE[name].astype(np.float32) / 3) for name in ("prediction", "target")
    )
    compare = jax.jit(functools.partial(ms_ssim, data_range=1.0))
    np.testing.assert_allclose(compare(prediction, target), REFERENCE["ms_ssim"], rtol=1e-5)
    with pytest.raises(InputError, match="at least 176 for 5 scales"):
        ms_ssim(prediction[:, 1:], target[:, 1:])
    with pytest.raises(InputError, match="weights: expected at least one"):
        ms_ssim(prediction, target, weights=())


def test_ms_ssim_of_volumes_and_of_equal_and_opposed_images():
    volume = jnp.asarray(np.random.default_rng(0).random((2, 22, 23, 24)), jnp.float32)
    compare = jax.jit(functools.partial(ms_ssim, data_range=1.0, weights=(0.5, 0.5)))
    np.testing.assert_allclose(compare(volume, volume), 1, rtol=1e-5)
    np.testing.assert_array_equal(compare(1 - volume, volume), 0)  # structure is reversed
    empty = jax.jit(functools.partial(ms_ssim, weights=(0.5, 0.5)))(volume, 0 * volume)
    assert np.isnan(empty).all()


def test_frechet_distance_of_known_gaussians_and_of_few_samples():
    equal = metrics.frechet_distance(REAL, REAL)
    np.testing.assert_allclose(equal.value, 0, atol=1e-10)
    shifted = metrics.frechet_distance(REAL, features(REAL.values + [3, 0, 0, 0, 0, 4]))
    np.testing.assert_allclose(shifted.value, 25, rtol=1e-10)
    half = metrics.frechet_distance(REAL, features(REAL.values / 2))
    mean, trace = REAL.values.mean(axis=0), np.trace(np.cov(REAL.values, rowvar=False))
    np.testing.assert_allclose(half.value, (mean @ mean + trace) / 4, rtol=1e-10)
    # Fewer samples than channels: no covariance has full rank, and the result stays.
    few = metrics.frechet_distance(REAL.take(np.arange(4)), REAL.take(np.arange(4)))
    np.testing.assert_allclose(few.value, 0, atol=1e-7)
    assert "no more samples than the 6 channels" in str(few)


def test_moments_of_parts_are_those_of_the_whole():
    parts = (metrics.moments(REAL.take(p)) for p in np.split(np.arange(40), [1, 9, 30]))
    streamed = functools.reduce(metrics.Moments.merged, parts)
    np.testing.assert_allclose(streamed.covariance, np.cov(REAL.values, rowvar=False))
    got = metrics.frechet_distance(streamed, metrics.moments(GENERATED))
    np.testing.assert_allclose(got.value, REFERENCE["frechet"], rtol=1e-10)
    with pytest.raises(InputError, match="at least two samples, got 1"):
        metrics.frechet_distance(metrics.moments(REAL.take(np.arange(1))), REAL)


def test_kernel_distance_is_unbiased_and_its_error_is_one():
    rng = np.random.default_rng(0)
    scores = [
        metrics.kernel_distance(*(features(rng.normal(size=(40, 3))) for _ in range(2)), seed=i)
        for i in range(60)
    ]
    values = np.array([s.value for s in scores])
    spread = values.std()
    assert abs(values.mean()) < 3 * spread / np.sqrt(60)
    assert (values < 0).any()
    # What each says of its error is, on the whole, what the values' spread is.
    assert 0.7 < np.sqrt(np.mean([s.error**2 for s in scores])) / spread < 1.5
    assert "10 disjoint subsets of 4" in scores[0].detail


def test_inception_score_of_known_classifiers():
    sure = features(50 * np.eye(4)[np.arange(40) % 4])
    np.testing.assert_allclose(metrics.inception_score(sure, splits=1).value, 4, rtol=1e-6)
    one = features(50 * np.eye(4)[np.zeros(40, int)])
    score = metrics.inception_score(one, splits=4)
    np.testing.assert_allclose((score.value, score.error), (1, 0), atol=1e-9)


def test_dropped_modes_cost_recall_and_bad_samples_precision():
    rng = np.random.default_rng(0)
    modes = 20 * np.eye(4)

    def drawn(places, shift=0.0):
        return features(modes[places] + shift + rng.normal(size=(len(places), 4)))

    real = drawn(np.arange(80) % 4)
    half = metrics.precision_recall(real, drawn(np.arange(80) % 2))
    assert half.precision.value > 0.8
    assert half.recall.value < 0.55
    assert metrics.density_coverage(real, drawn(np.arange(80) % 2)).coverage.value < 0.55
    bad = drawn(np.arange(80) % 4, shift=np.where(np.arange(80) < 40, 0, 50)[:, None])
    got = metrics.precision_recall(real, bad)
    assert got.precision.value < 0.55
    assert got.recall.value > 0.7


def test_nearest_is_exact_and_leaves_a_sample_itself_out():
    keys = np.array([[0.0, 1e6], [3, 1e6], [0, 1e6 + 4]])
    got = metrics.nearest(keys[:1] + [[0.0, 1e-6]], keys, 2)
    np.testing.assert_array_equal(got.index, [[0, 1]])
    np.testing.assert_allclose(got.distance, [[1e-6, 3]], rtol=1e-4)
    alone = metrics.nearest(keys, keys, 1, leave_out_self=True)
    np.testing.assert_array_equal(alone.index[:, 0], [1, 0, 0])
    with pytest.raises(InputError, match="k: expected 1 to 2"):
        metrics.nearest(keys, keys, 3, leave_out_self=True)


def test_pairs_are_different_and_their_mean_is_that_of_all():
    rng = np.random.default_rng(0)
    images = rng.random((4, 12, 12, 2), np.float32)
    options = {"data_range": 1.0, "weights": (1.0,)}
    got = metrics.ms_ssim_diversity(images, batch_size=4, **options)
    places = [(i, j) for j in range(4) for i in range(j)]
    pairs = [ms_ssim(*(jnp.moveaxis(images[p], -1, 0) for p in pair), **options) for pair in places]
    np.testing.assert_allclose(got.value, np.mean(pairs), rtol=1e-5)
    assert got.extractor == metrics.PIXELS
    assert "6 pairs, 1 scales" in got.detail
    same = metrics.ms_ssim_diversity(images[[0, 0, 0]], batch_size=4, **options)
    np.testing.assert_allclose(same.value, 1, rtol=1e-5)
    with pytest.raises(InputError, match="images: expected at least two"):
        metrics.ms_ssim_diversity(images[:1], **options)


def test_an_extractor_of_a_backbone_names_its_weights():
    images = np.random.default_rng(0).random((5, 4, 4, 3), np.float32)
    variables = {"params": {"scale": np.float32(2)}}
    extractor = metrics.from_backbone(Means(), variables, name=NAME, batch_size=2)
    got = extractor(images)
    np.testing.assert_allclose(got.values, 2 * images.mean(axis=(1, 2)), rtol=1e-5)
    assert got.extractor.startswith(f"{NAME} [")
    other = metrics.from_backbone(Means(), {"params": {"scale": np.float32(3)}}, name=NAME)
    assert other.name != extractor.name
    classified = {"params": {**variables["params"], "head": {"kernel": np.eye(3, 2, dtype="f4")}}}
    classified["params"]["head"]["bias"] = np.zeros(2, np.float32)
    logits = metrics.from_backbone(Means(classes=2), classified, name=NAME, logits=True)(images)
    np.testing.assert_allclose(logits.values, got.values[:, :2], rtol=1e-5)


def test_a_score_cannot_be_formatted_without_its_extractor():
    score = metrics.kernel_distance(REAL, GENERATED)
    for text in (str(score), f"{score:.1f}", repr(score), json.dumps(score.record())):
        assert NAME in text
    assert f"{score:.1f}".startswith(f"kernel distance {score.value:.1f} ± {score.error:.1f} (")
    assert "40 real, 30 generated" in str(score)


def test_refusals():
    with pytest.raises(InputError, match=r"features of one extractor, got .* and another"):
        metrics.frechet_distance(REAL, FeatureSet(GENERATED.values, "another"))
    with pytest.raises(InputError, match=r"features of one width, got \[3, 6\]"):
        metrics.kernel_distance(REAL, features(GENERATED.values[:, :3]))
    with pytest.raises(InputError, match="finite values, got 1 samples"):
        features([[0.0, np.nan], [1, 2]])
    with pytest.raises(InputError, match=r"\(sample, channel\)"):
        FeatureSet(np.zeros((3, 2), int), NAME)
    with pytest.raises(InputError, match="extractor: expected a name"):
        FeatureSet(np.zeros((3, 2)), " ")
    with pytest.raises(InputError, match="name: expected the extractor's name"):
        FeatureExtractor("", jnp.asarray)
    with pytest.raises(InputError, match="subset_size: expected 2 to 30"):
        metrics.kernel_distance(REAL, GENERATED, subset_size=31)
    with pytest.raises(InputError, match="splits: expected 1 to 30"):
        metrics.inception_score(GENERATED, splits=31)
    with pytest.raises(InputError, match="k: expected 1 to 29"):
        metrics.precision_recall(REAL, GENERATED, k=30)
