"""What each option of an adversarial learner promises."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

from medjax import learners
from medjax.augment.discriminator import adaptive
from medjax.core.errors import InputError
from medjax.learners import adversarial
from medjax.learners.adversarial.game import lazily
from medjax.learners.adversarial.plain import within
from medjax.learners.adversarial.pool import exchanged
from medjax.losses.adversarial import wasserstein

KEY = jax.random.key(0, impl="philox2x32")


class Line(tiny.nn.Module):
    """A generator of images of 2 x 2: noise times a matrix."""

    @tiny.nn.compact
    def __call__(self, z, train=False):
        return tiny.nn.Dense(4, use_bias=False)(z).reshape(-1, 2, 2, 1)

    def styles(self, z, train=False):
        return z[:, None]

    def synthesise(self, w):
        return self(w[:, 0])


class Plane(tiny.nn.Module):
    """A linear critic."""

    @tiny.nn.compact
    def __call__(self, x, train=False):
        return tiny.nn.Dense(1, use_bias=False)(x.reshape(-1, 4))


@functools.cache
def batch(count=8):
    x = np.random.default_rng(0).standard_normal((count, 2, 2, 1)) + 1
    return {"image": jnp.asarray(x, jnp.float32), "index": jnp.arange(count, dtype=jnp.int32)}


def make(rate=0.1, **options):
    options = {"inputs": adversarial.latents(3), "loss": wasserstein(), **options}
    return adversarial.adversarial(Line(), Plane(), *[optax.sgd(rate)] * 2, **options)


def run(learner, steps, count=8):
    state = jax.jit(learner.init)(KEY, batch(count))
    step, states, reports = jax.jit(learner.step), [state], []
    for number in range(steps):
        state, scalars = step(state, batch(count), jax.random.key(number, impl="philox2x32"))
        states.append(state)
        reports.append(scalars)
    return states, reports


def kernels(state):
    return (
        np.asarray(state.params[n]["Dense_0"]["kernel"]) for n in ("generator", "discriminator")
    )


def test_a_step_is_the_discriminators_then_the_generators_by_hand():
    """Of two linear players with Wasserstein's loss, all gradients are plain sums."""
    (before, after), (scalars,) = run(make(), 1)
    g, d = kernels(before)
    new_g, new_d = kernels(after)
    real = np.asarray(batch()["image"]).reshape(8, 4).mean(0)
    # The generated images' mean is what the critic's gradient lacks to the real ones' mean.
    fake = real + (d - new_d)[:, 0] / 0.1
    np.testing.assert_allclose(
        scalars["discriminator_loss"], (fake - real) @ d[:, 0], rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(scalars["real_logit"], real @ d[:, 0], rtol=1e-4)
    # The generator moves along the critic that has just moved: an outer product with it.
    step = (new_g - g) / 0.1
    mean_noise = step @ new_d[:, 0] / (new_d[:, 0] @ new_d[:, 0])
    np.testing.assert_allclose(step, np.outer(mean_noise, new_d[:, 0]), rtol=1e-3, atol=1e-6)
    ratio = abs(scalars["discriminator_loss"]) / abs(scalars["generator_loss"])
    np.testing.assert_allclose(scalars["loss_ratio"], ratio, rtol=1e-3)
    np.testing.assert_allclose(
        scalars["discriminator_gradient_norm"], np.linalg.norm(fake - real), rtol=1e-4
    )
    assert scalars["loss"] == scalars["generator_loss"]
    assert after.step == 1


def test_the_generators_average_follows_its_formula_and_predicts():
    learner = make(average=0.3)
    states, _ = run(learner, 4)
    average = np.asarray(states[0].params["generator"]["Dense_0"]["kernel"])
    for t, state in enumerate(states[1:], start=1):
        decay = min(0.3, t / (9 + t))
        average = decay * average + (1 - decay) * next(kernels(state))
        got = state.extras["average"]["Dense_0"]["kernel"]
        np.testing.assert_allclose(got, average, rtol=1e-5, atol=1e-7)
    state, extra = states[-1], {"Dense_0": {"kernel": jnp.zeros((3, 4))}}
    predict = jax.jit(learner.predict)
    assert predict(state, batch()).any()
    assert not predict(state.replace(extras={"average": extra}), batch()).any()
    # An image follows from its index, not from its place in the batch.
    turned = {name: x[::-1] for name, x in batch().items()}
    np.testing.assert_array_equal(predict(state, turned), predict(state, batch())[::-1])


def test_each_of_the_critics_steps_sees_its_own_part_and_weights_stay_clipped():
    options = {"latent": 3, "clip": 0.05, "critic_steps": 2}
    learner = adversarial.wgan(Line(), Plane(), *[optax.sgd(0.1)] * 2, **options)
    first, second, generate = learner.phases
    # Other images in every second place: the first of the critic's steps sees nothing of them.
    odd = {**batch(), "image": batch()["image"].at[1::2].add(1.0)}
    state = jax.jit(learner.init)(KEY, batch())
    for phase, sees in ((first, False), (second, True), (generate, False)):
        gradients = jax.jit(phase.gradients)
        got = [jax.tree.leaves(gradients(state, b, KEY).grads)[0] for b in (batch(), odd)]
        assert np.array_equal(*got) != sees
    states, _ = run(learner, 2)
    critic = list(kernels(states[-1]))[1]
    assert np.abs(critic).max() <= 0.05 + 1e-6
    assert np.isclose(np.abs(critic).max(), 0.05)
    for wrong in ({"critic_steps": 3}, {"critic_steps": 0}):

        def start(wrong=wrong):
            bad = adversarial.wgan(Line(), Plane(), *[optax.sgd(0.1)] * 2, **options | wrong)
            return jax.eval_shape(bad.init, KEY, batch())

        with pytest.raises(InputError, match="discriminator_steps: expected"):
            start()


def test_lazy_penalties_come_every_so_many_steps_with_as_many_times_the_weight():
    def constant(critic, real, fake, key):
        return jnp.full(real.shape[:1], 2.0)

    path = adversarial.path_length(1.0, 2, decay=0.9, shrink=2)
    _, reports = run(
        make(
            penalties=(adversarial.Penalty(constant, 0.5, 3), adversarial.Penalty(constant, 1.0)),
            regularisers=(path,),
        ),
        4,
    )
    assert [float(r["penalty"]) for r in reports] == [5.0, 2.0, 2.0, 5.0]
    regularised = [float(r["regulariser"]) > 0 for r in reports]
    assert regularised == [True, False, True, False]
    assert lazily(jnp.int32(1), 1, lambda: 3, 0) == 3


def test_the_path_length_remembers_its_mean():
    learner = make(0.0, regularisers=(adversarial.path_length(1.0, 1, decay=0.9),))
    states, reports = run(learner, 2)
    means = [float(s.variables["memory"]["regulariser0"]) for s in states]
    assert means[0] == 0
    # With a decay of 0.9 the first mean is a tenth of the lengths', and the rest is penalised.
    assert 0 < means[1] < means[2]
    assert float(reports[0]["regulariser"]) >= (9 * means[1]) ** 2 * 0.99


def test_the_chance_of_augmentation_follows_the_signs_of_real_logits():
    augment = adaptive(target=0.5, images=80)
    chance = jnp.float32(0.25)
    for logits, wanted in ((jnp.ones(8), 0.35), (jnp.asarray([1.0, -1] * 4), 0.15)):
        np.testing.assert_allclose(augment.update(chance, logits), wanted, rtol=1e-6)
    assert augment.update(jnp.float32(0.0), -jnp.ones(8)) == 0
    assert augment.update(jnp.float32(1.0), jnp.ones(8)) == 1
    still = augment._replace(transform=lambda chance: lambda key, batch: batch)
    states, reports = run(make(0.0, augment=still), 2)
    assert float(reports[0]["augment_chance"]) == float(
        states[1].variables["memory"]["augment_chance"]
    )


def test_augmented_images_carry_the_generators_gradient():
    def faint(key, batch):
        return {**batch, "image": 0.5 * batch["image"]}

    (_, plain), (_, halved) = (run(make(augment=a), 1)[0] for a in (None, faint))
    (g0, d0), (g1, d1) = kernels(plain), kernels(halved)
    start_g, start_d = kernels(run(make(), 0)[0][0])
    np.testing.assert_allclose(d1 - start_d, 0.5 * (d0 - start_d), rtol=1e-4, atol=1e-6)
    # The generator's slope is halved, along the critic that moved half as far.
    noise = (g0 - start_g) @ d0 / (d0 * d0).sum()
    np.testing.assert_allclose(g1 - start_g, 0.5 * np.outer(noise, d1), rtol=1e-3, atol=1e-6)


def test_the_pool_fills_and_then_hands_out_what_it_has():
    pool = {"images": jnp.zeros((6, 1, 1, 1)), "count": jnp.int32(0)}
    exchange = jax.jit(exchanged)
    known = set()
    for number in range(8):
        new = jnp.arange(1.0, 5.0).reshape(4, 1, 1, 1) + 10 * number
        shown, after = exchange(pool, new, jax.random.key(number, impl="philox2x32"))
        if number == 0:
            np.testing.assert_array_equal(shown, new)
            assert after["count"] == 4
        shown = [float(x) for x in shown.ravel()]
        fresh = {float(x) for x in new.ravel()}
        held = {float(x) for x in after["images"].ravel()} - {0.0}
        assert set(shown) <= known | fresh
        assert len(set(shown)) == 4
        assert held | set(shown) >= known  # nothing is lost but what was shown
        known, pool = held, after
    assert after["count"] == 4  # another batch does not fit in whole
    with pytest.raises(InputError, match="pool: expected at least the batch size 4, got 3"):
        exchanged({"images": jnp.zeros((3, 1, 1, 1)), "count": jnp.int32(0)}, new, KEY)


def test_accumulation_takes_adversarial_learners():
    whole = make()
    (_, wanted), _ = run(whole, 1)
    shapes = jax.eval_shape(
        learners.accumulated(whole, 2).step, wanted, batch(), jax.random.key(0)
    )[0]
    assert jax.tree.structure(shapes) == jax.tree.structure(wanted)


def test_wrong_options_are_refused():
    for options, match in (
        ({"average": 1.0}, "average: expected a number in"),
        ({"penalties": (adversarial.Penalty(None, 1.0, 0),)}, "penalties: every: expected"),
        ({"regularisers": (adversarial.path_length(-1.0),)}, "regularisers: weight: expected"),
    ):
        with pytest.raises(InputError, match=match):
            make(**options)
    with pytest.raises(InputError, match="dim: expected at least 1, got 0"):
        adversarial.latents(0)
    with pytest.raises(InputError, match="decay"):
        adversarial.path_length(decay=1.0)
    with pytest.raises(InputError, match="clip: expected a number above 0"):
        within(0.0)
    with pytest.raises(InputError, match="classifier: expected a Backbone with two classes"):
        adversarial.semi_supervised_gan(Line(), Plane(), *[optax.sgd(0.1)] * 2)
    wrong = {**batch(), "image": jnp.ones((8, 3, 2, 1))}
    learner = make()
    with pytest.raises(InputError, match="image: expected images of the generator's shape"):
        jax.eval_shape(learner.step, jax.eval_shape(learner.init, KEY, batch()), wrong, KEY)
