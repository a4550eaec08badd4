"""What each detector of anomalies does beyond the laws: known values and edges."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from learners.learner_cases.anomaly import Coder, Judge, Maker, Painter, trained_gan

from medjax.core.errors import InputError
from medjax.learners import anomaly, autoencoding, diffusion
from medjax.learners.anomaly.detector import blurred
from medjax.learners.anomaly.discrepancy import discrepancy
from medjax.learners.anomaly.restoration import variation
from medjax.learners.autoencoding.variational import mixture_divergence
from medjax.learners.learner import Learner
from medjax.models.generative.autoencoders import Gaussian, Mixture

KEY, OWN = jax.random.key(0, impl="philox2x32"), jax.random.key(0)
SGD = optax.sgd(0.1)
NOTHING = Learner(None, (), None)  # for scores that ask a learner nothing


@functools.cache
def batch(count=4):
    x = np.random.default_rng(0).standard_normal((count, 8, 8, 1))
    return {
        "image": jnp.asarray(x, jnp.float32),
        "known": jnp.arange(count) < 2,
        "index": jnp.arange(count, dtype=jnp.int32),
    }


def state_of(module, **more):
    learner = autoencoding.vae(module, SGD, **more)
    return learner, jax.jit(learner.init)(KEY, batch())


def test_a_reconstruction_is_scored_by_its_residual():
    learner = Learner(None, (), lambda state, batch: 0 * batch["image"])
    got = anomaly.reconstruction(learner).scores(None, batch(), OWN)
    x = np.abs(np.asarray(batch()["image"]))
    np.testing.assert_allclose(got.pixel, x[..., 0], rtol=1e-6)
    np.testing.assert_allclose(got.image, x.mean((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(blurred(jnp.ones((1, 6, 6)), 1.0), 1, rtol=1e-5)


def gan_scores(detector):
    return jax.jit(detector.scores)(trained_gan(), batch(), OWN)


def test_anogan_weighs_voxels_and_features():
    x, params = np.asarray(batch()["image"]), trained_gan().params
    still = anomaly.anogan(
        NOTHING,
        Maker(),
        Judge(),
        latent=4,
        steps=1,
        optimizer=optax.sgd(0.0),
        weight=0.3,
        draw=lambda key, shape: jnp.ones(shape),
    )
    got = gan_scores(still)
    made = Maker().apply({"params": params["generator"]}, jnp.ones((4, 4)))
    judge = {"params": params["discriminator"]}
    parts = [Judge().apply(judge, a, method="features").pooled for a in (made, x)]
    wanted = 0.7 * np.abs(x - made).sum((1, 2, 3)) + 0.3 * np.abs(parts[0] - parts[1]).sum(1)
    np.testing.assert_allclose(got.image, wanted / 64, rtol=1e-4)
    np.testing.assert_allclose(got.pixel, np.abs(x - made)[..., 0], rtol=1e-4, atol=1e-6)


def test_anogan_finds_the_code_of_what_its_generator_makes():
    variables = {"params": trained_gan().params["generator"]}
    made = Maker().apply(variables, jnp.asarray(np.random.default_rng(1).normal(size=(4, 4)), "f4"))
    search = anomaly.anogan(NOTHING, Maker(), Judge(), latent=4, steps=150)
    score = jax.jit(search.image_score)
    found, strange = (
        score(trained_gan(), {**batch(), "image": x}, OWN) for x in (made, batch()["image"])
    )
    assert found.max() < 0.05
    assert strange.min() > 0.5
    for wrong in ({"steps": 0}, {"weight": 1.5}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            anomaly.anogan(NOTHING, Maker(), Judge(), latent=4, **wrong)


def test_the_gan_of_f_anogan_stays():
    make = functools.partial(anomaly.f_anogan, Judge(4), Maker(), Judge(), SGD, trained_gan())
    learner = make().learner
    state = jax.jit(learner.init)(KEY, batch())
    after, scalars = jax.jit(learner.step)(state, batch(), KEY)
    for name in ("generator", "discriminator"):
        own = after.extras["gan"][name]["params"]
        jax.tree.map(np.testing.assert_array_equal, own, trained_gan().params[name])
    x = np.asarray(batch()["image"])
    plain, twice = (make(kappa=k).scores(state, batch(), OWN).image for k in (0.0, 2.0))
    made = np.asarray(learner.predict(state, batch()))
    np.testing.assert_allclose(plain, ((x - made) ** 2).mean((1, 2, 3)), rtol=1e-4)
    one = np.asarray(plain + (twice - plain) / 2)
    np.testing.assert_allclose(scalars["loss"], one.mean(), rtol=1e-4)


def test_the_slope_of_the_divergence_is_that_of_its_formula():
    _, state = state_of(Coder())
    dense = jax.tree.map(np.asarray, state.params["into"])
    x = np.asarray(batch()["image"]).reshape(4, 64)
    mean, log_variance = np.split(x @ dense["kernel"] + dense["bias"], 2, axis=1)
    of_mean, of_variance = np.split(dense["kernel"], 2, axis=1)
    slope = mean @ of_mean.T + 0.5 * (np.exp(log_variance) - 1) @ of_variance.T
    detector = anomaly.cvae_anomaly(Coder(), SGD, sigma=0.0)
    got = jax.jit(detector.scores)(state, batch(), OWN)
    again = np.asarray(Coder().apply({"params": state.params}, batch()["image"])).reshape(4, 64)
    wanted = np.abs(x - again) * np.abs(slope)
    np.testing.assert_allclose(got.pixel.reshape(4, 64), wanted, rtol=1e-3, atol=1e-5)
    divergence = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(1)
    wanted = np.abs(x - again).mean(1) + 0.01 * divergence / 64
    np.testing.assert_allclose(got.image, wanted, rtol=1e-4)
    for wrong in ({"context": 2.0}, {"slope": "other"}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            anomaly.cvae_anomaly(Coder(), SGD, **wrong)


def test_context_alone_paints_holes_from_the_mean_code():
    detector = anomaly.cvae_anomaly(
        Coder(), SGD, context=1.0, corrupt=lambda key, x: jnp.zeros_like(x)
    )
    _, state = state_of(Coder())
    _, scalars = jax.jit(detector.learner.step)(state, batch(), KEY)
    blank = Coder().apply({"params": state.params}, 0 * batch()["image"])
    np.testing.assert_allclose(scalars["loss"], np.abs(batch()["image"] - blank).mean(), rtol=1e-4)


def test_energies_are_the_bounds_of_the_learners():
    learner, state = state_of(Coder(), beta=0.3)
    energy = anomaly.vae_energy(Coder(), beta=0.3)
    # Codes hardly vary: what a draw gives is what the mean gives.
    narrow = state.params["into"]["bias"].at[4:].set(-20.0)
    kernel = state.params["into"]["kernel"].at[:, 4:].set(0.0)
    params = {**state.params, "into": {"kernel": kernel, "bias": narrow}}
    got = jax.jit(energy)({"params": params}, batch()["image"], None) / 64
    _, scalars = jax.jit(learner.step)(state.replace(params=params), batch(), KEY)
    np.testing.assert_allclose(got.mean(), scalars["loss"], rtol=1e-3)

    class Drawn(nn.Module):
        @nn.compact
        def sampled(self, x, train=False):
            mean = x.mean((1, 2))
            drawn = mean + jax.random.normal(self.make_rng("dropout"), mean.shape)
            same = Gaussian(mean, 0 * mean)
            components = Gaussian(jnp.zeros((*mean.shape[:1], 2, 1)), jnp.zeros((1, 2, 1)))
            return Mixture(0 * x + drawn[:, None, None], same, same, drawn, components)

    x = batch()["image"][:1]
    got = jax.jit(anomaly.gmvae_energy(Drawn(), beta=0.3))({}, x, OWN[None])

    @jax.jit
    def by_hand(x):
        one = Drawn().apply({}, x, method="sampled", rngs={"dropout": OWN})
        return ((one.image - x) ** 2).sum() + 0.3 * mixture_divergence(one)[0]

    wanted = by_hand(x)
    np.testing.assert_allclose(got[0], wanted, rtol=1e-5)


def restored(**options):
    energy = lambda variables, x, keys: jnp.sum(x.reshape(4, -1) ** 2, axis=1)  # noqa: E731
    _, state = state_of(Coder())
    detector = anomaly.elbo_restoration(NOTHING, energy, **{"weight": 0.0, **options})
    return np.asarray(jax.jit(detector.pixel_score)(state, batch(), OWN))


def test_restoration_follows_the_slope_and_is_held_by_total_variation():
    x = np.abs(np.asarray(batch()["image"])[..., 0])
    got = restored(steps=3, rates=(0.1, 0.2), switch=2)
    np.testing.assert_allclose(got, x * (1 - 0.8 * 0.8 * 0.6), rtol=1e-4)
    np.testing.assert_allclose(restored(steps=1, rates=(0.1, 0.1), bound=1e-3), 1e-4, rtol=1e-2)
    held = restored(steps=60, rates=(0.01, 0.01), weight=5.0)
    free = restored(steps=60, rates=(0.01, 0.01))
    assert held.std() < 0.5 * free.std()
    ramp = jnp.arange(12.0).reshape(1, 3, 4, 1)
    np.testing.assert_allclose(variation(ramp), 3 * 3 * 1 + 2 * 4 * 4)
    with pytest.raises(InputError, match="steps: expected at least 1"):
        restored(steps=0)


def test_discrepancies_by_hand():
    again = jnp.asarray([1.0, 3.0, 4.0, 8.0]).reshape(4, 1, 1, 1, 1)
    x = jnp.asarray(5.0).reshape(1, 1, 1, 1)
    for kind, wanted in (("inter", 4.0), ("intra", 2**0.5), ("reconstruction", 9.0)):
        np.testing.assert_allclose(discrepancy(again, x, kind), [[[wanted]]], rtol=1e-6)
    for wrong in ({"kind": "other"}, {"kind": "intra", "members": 1}):
        with pytest.raises(InputError, match=list(wrong)[-1]):
            anomaly.ddad(Painter(), SGD, **wrong)


def test_the_normative_ensemble_learns_from_what_is_known():
    learner = anomaly.oc_ssl(Painter(), SGD, members=2)
    state = jax.jit(learner.init)(KEY, batch())
    other = {**batch(), "image": batch()["image"].at[2:].multiply(3.0)}
    gradients = jax.jit(learner.phases[0].gradients)
    one, two = (gradients(state, b, KEY).grads["Dense_1"]["kernel"] for b in (batch(), other))
    np.testing.assert_allclose(one[:2], two[:2], rtol=1e-5, atol=1e-7)
    assert (np.abs(one[2:] - two[2:]).max((1, 2)) > 1e-3).all()
    firsts = np.asarray(state.params["Dense_0"]["kernel"])
    assert len(np.unique(firsts.round(5), axis=0)) == 4  # each begins elsewhere
    with pytest.raises(InputError, match="members: expected at least 1"):
        anomaly.oc_ssl(Painter(), SGD, members=0)


def test_the_sphere_is_about_the_mean_of_the_first_batches():
    detector = anomaly.deep_svdd(
        Judge(0), optax.adamw(0.1, weight_decay=0.5), soft=0.25, warmup=2, margin=0.0
    )
    learner = detector.learner
    start = jax.jit(learner.init)(KEY, batch())
    step = jax.jit(learner.step)
    other = {**batch(), "image": batch()["image"] + 1}
    features = [
        np.asarray(Judge(0).apply({"params": start.params}, b["image"])) for b in (batch(), other)
    ]
    first, _ = step(start, batch(), KEY)
    second, _ = step(first, other, KEY)
    for state in (first, second):
        jax.tree.map(np.testing.assert_array_equal, state.params, start.params)
    sphere = second.variables["sphere"]
    np.testing.assert_allclose(sphere["centre"], np.mean(features, (0, 1)), rtol=1e-4, atol=1e-5)
    far = ((features[1] - np.asarray(sphere["centre"])) ** 2).sum(1)
    np.testing.assert_allclose(sphere["radius"] ** 2, np.quantile(far, 0.75), rtol=1e-4)
    np.testing.assert_allclose(
        learner.predict(second, other), far - np.quantile(far, 0.75), rtol=1e-3, atol=1e-4
    )
    third, scalars = step(second, other, KEY)
    within = np.maximum(far - np.quantile(far, 0.75), 0).mean() / 0.25
    np.testing.assert_allclose(scalars["loss"], np.quantile(far, 0.75) + within, rtol=1e-4)
    np.testing.assert_array_equal(third.variables["sphere"]["centre"], sphere["centre"])
    assert not np.array_equal(*(jax.tree.leaves(s.params)[0] for s in (second, third)))
    for wrong in ({"soft": 1.0}, {"warmup": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            anomaly.deep_svdd(Judge(0), SGD, **wrong)


def test_synthetic_anomalies_are_blobs_of_one_height():
    image = jnp.zeros((16, 16, 1))
    white = jax.random.normal(jax.random.split(OWN, 3)[0], image.shape)

    def blobs(threshold, **options):
        noise = anomaly.synomaly_noise(size=2.0, threshold=threshold, **options)
        return np.asarray(jax.jit(noise)(OWN, image) - white)

    few, many = (blobs(t, signs=(-1.0,)) for t in (0.8, 0.4))
    heights = np.unique(many.round(4))
    assert len(heights) == 2
    assert -1.5 <= heights[0] <= -0.5
    assert heights[1] == 0
    assert 0 < np.count_nonzero(few < -0.1) < np.count_nonzero(many < -0.1)
    half = lambda image: jnp.arange(16)[:, None] < jnp.full((1, 16), 8)  # noqa: E731
    inside = blobs(0.4, inside=half)
    assert (np.abs(inside[8:]) < 1e-6).all()
    for wrong in ({"size": 0.0}, {"threshold": 1.0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            anomaly.synomaly_noise(**wrong)


def test_stages_put_back_what_changed_little():
    class Blank(nn.Module):
        """A denoiser to zeros, where an image is bright, and to what it was elsewhere."""

        @nn.compact
        def __call__(self, x, time, condition=None, label=None, train=False):
            return jnp.where(jnp.abs(x) > 0.5, 0, x)

    levels = diffusion.levels.Levels(jnp.zeros(1), jnp.ones(1), jnp.zeros(1))  # without noise
    detector = anomaly.synomaly(
        Blank(), SGD, levels=levels, level=0, stages=2, keep=0.05, prediction="x0", sigma=0.0
    )
    image = jnp.full((1, 16, 16, 1), 0.2).at[:, :4, :4].set(0.9)
    one = {"image": image, "index": jnp.zeros(1, jnp.int32)}
    state = autoencoding.vae(Coder(), SGD).init(KEY, batch()).replace(params={})
    got = jax.jit(detector.pixel_score)(state, one, OWN)
    np.testing.assert_allclose(got[0, :4, :4], 0.9, rtol=1e-6)
    assert not np.asarray(got)[0, 8:].any()
    for wrong in ({"level": 1}, {"stages": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            anomaly.synomaly(Blank(), SGD, levels=levels, **{"level": 0, **wrong})


def test_every_place_is_painted_once_and_never_from_itself():
    def restore(state, x, hidden):
        return jnp.where(hidden[..., None], 0, x + 7)  # only what is hidden is looked at

    detector = anomaly.masked_error(NOTHING, restore, unit=3, parts=4, repeats=2)
    got = jax.jit(detector.pixel_score)(trained_gan(), batch(), OWN)
    np.testing.assert_allclose(got, np.abs(batch()["image"])[..., 0], rtol=1e-5)
    with pytest.raises(InputError, match="parts: expected two or more"):
        anomaly.masked_error(NOTHING, restore, parts=1)
    few = anomaly.masked_error(NOTHING, restore, unit=8, parts=4)
    with pytest.raises(InputError, match="parts: expected at most the 1 units"):
        few.scores(None, batch(), OWN)
    with pytest.raises(InputError, match="task: expected inpainting or simmim"):
        anomaly.ssl_error(Painter(), SGD, task="other")
