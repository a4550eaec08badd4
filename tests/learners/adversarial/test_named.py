"""What each named GAN does beyond the laws."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from medjax.core.errors import InputError
from medjax.learners import adversarial
from medjax.learners.adversarial.infilling import border
from medjax.learners.top_gan import top_gan
from medjax.losses.adversarial import least_squares
from medjax.losses.overlap import cross_entropy
from medjax.models.generative import DCGANDiscriminator, DCGANGenerator

KEY = jax.random.key(0, impl="philox2x32")
SGD = optax.sgd(0.1)


class Gains(nn.Module):
    """Images times a number a channel, which makes images or logits."""

    channels: int = 1

    @nn.compact
    def __call__(self, x, *given, train=False):
        return nn.Dense(self.channels, use_bias=False)(x)


class Mean(nn.Module):
    """A linear judge of mean brightness, and of classes where there are."""

    classes: int = 1

    @nn.compact
    def __call__(self, x, *given, train=False):
        x = x.mean((1, 2))
        x = jnp.concatenate([x, *(jax.nn.one_hot(a, 3) for a in given)], 1)
        return nn.Dense(self.classes, name="head")(x)


class Flat(nn.Module):
    """Images of one brightness, from noise and a class."""

    @nn.compact
    def __call__(self, z, *given, train=False):
        z = jnp.concatenate([z, *(jax.nn.one_hot(a, 3) for a in given)], 1)
        return jnp.broadcast_to(nn.Dense(1)(z)[:, None, None], (z.shape[0], 4, 4, 1))


@functools.cache
def batch():
    x = np.random.default_rng(0).standard_normal((6, 4, 4, 1))
    label = np.arange(6) % 3
    return {
        "image": jnp.asarray(x, jnp.float32),
        "second": jnp.asarray(-x, jnp.float32),
        "first_label": jnp.asarray(x[..., 0] > 0, jnp.int32),
        "second_label": jnp.asarray(x[..., 0] < 1, jnp.int32),
        "label": jnp.asarray(np.where(label == 2, -1, label), jnp.int32),
        "mask": jnp.zeros((6, 4, 4), bool).at[:, 1:3, 1:3].set(True),
        "index": jnp.arange(6, dtype=jnp.int32),
    }


@pytest.mark.parametrize(("above", "rests"), [(0.4, True), (1.0, False)])
def test_a_resting_discriminator_keeps_what_it_has(above, rests):
    gan = adversarial.gan(Flat(), Mean(), SGD, SGD, latent=2)
    learner = adversarial.resting(gan, above)
    state = learner.init(KEY, batch())
    # A judge that is right of half the images: it says "real" of everything.
    head = {"kernel": jnp.zeros((1, 1)), "bias": jnp.ones(1)}
    state = state.replace(params={**state.params, "discriminator": {"head": head}})
    after, scalars = jax.jit(learner.step)(state, batch(), KEY)
    assert float(scalars["real_accuracy"]) == 1
    assert float(scalars["fake_accuracy"]) == 0
    assert bool(scalars["resting"]) == rests
    bias = after.params["discriminator"]["head"]["bias"]
    assert (float(bias[0]) == 1) == rests
    with pytest.raises(InputError, match="above: expected an accuracy"):
        adversarial.resting(gan, 0.0)


def test_volumes_have_three_axes():
    with pytest.raises(InputError, match="size: expected sizes along three axes"):
        adversarial.gan_3d((8, 8))


def triple(**options):
    options = {"classes": 3, "latent": 2, **options}
    return adversarial.triple_gan(Flat(), Mean(3), Mean(), SGD, SGD, SGD, **options)


def test_triple_gan_gives_each_player_its_own_losses():
    learner = triple()
    state = learner.init(KEY, batch())

    def grads(state, **options):
        phase = triple(**options).phases[1]
        return jax.jit(phase.gradients)(state, batch(), KEY).grads

    def same(a, b):
        return all(map(np.array_equal, *map(jax.tree.leaves, (a, b))))

    plain, without = grads(state, pseudo=0.5), grads(state, pseudo=0.0)
    # Made images teach the classifier, and what it learns from them teaches the generator nothing.
    assert same(plain["generator"], without["generator"])
    assert not same(plain["classifier"], without["classifier"])
    # With a judge that says the same of all, the classifier learns from the labelled alone.
    blind = jax.tree.map(jnp.zeros_like, state.params["discriminator"])
    state = state.replace(params={**state.params, "discriminator": blind})
    got = grads(state, pseudo=0.0, share=1e-6)["classifier"]["head"]["bias"]
    logits = np.asarray(learner.predict(state, batch()))[[0, 1, 3, 4]]
    chance = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(
        got, (chance - np.eye(3)[[0, 1, 0, 1]]).mean(0), rtol=1e-3, atol=1e-5
    )
    for wrong in ({"classes": 1}, {"share": 1.0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            triple(**wrong)


def test_a_border_is_where_a_mask_ends():
    mask = jnp.zeros((2, 9, 9), bool).at[0, :, 4:].set(True)
    got = jax.jit(lambda mask: border(mask, 0.5))(mask)
    np.testing.assert_allclose(got[0, :, 3:5], 1, rtol=1e-3)
    assert got[0, :, 0].max() < 1e-3
    assert 0 < float(got[0, 4, 2]) < 0.5
    assert not got[1].any()
    volume = jax.eval_shape(lambda mask: border(mask, 1.0), jnp.zeros((1, 5, 5, 5), bool))
    assert volume.shape == (1, 5, 5, 5)


def test_infilling_hides_what_it_is_to_paint():
    class Seen(nn.Module):
        """What the generator is given, times one."""

        @nn.compact
        def __call__(self, x, train=False):
            return self.param("gain", nn.initializers.ones, ()) * x[..., :1]

    inputs = batch() | {"label": jnp.zeros(6, jnp.int32)}
    learner = adversarial.infilling_gan(adversarial.Infiller(Seen(), 3), Mean(), SGD, SGD)
    state = jax.jit(learner.init)(KEY, inputs)
    shown, x, hidden = learner.predict(state, inputs), inputs["image"], inputs["mask"]
    np.testing.assert_array_equal(shown[~hidden], x[~hidden])
    assert not np.isclose(shown[hidden], x[hidden]).any()
    assert (shown >= x.min((1, 2, 3), keepdims=True)).all()
    assert (shown <= x.max((1, 2, 3), keepdims=True)).all()
    wrong = {**inputs, "mask": hidden[..., None]}
    with pytest.raises(InputError, match=r"mask: expected bool \(6, 4, 4\)"):
        jax.eval_shape(learner.init, KEY, wrong)
    planes = adversarial.Infiller(Gains(), 3)
    variables = jax.eval_shape(planes.init, KEY, x, hidden, inputs["label"])
    assert variables["params"]["network"]["Dense_0"]["kernel"].shape == (5, 1)


def test_translated_images_keep_the_labels_of_what_they_were():
    learner = adversarial.shape_consistent_gan(
        Gains(), Mean(), Gains(2), SGD, SGD, first="image", pool=0, loss=least_squares()
    )
    state = jax.jit(learner.init)(KEY, batch())
    scalars = jax.jit(learner.phases[1].gradients)(state, batch(), KEY).scalars
    got = learner.predict(state, batch())
    kernels = {n: p["Dense_0"]["kernel"][None, None] for n, p in state.params["generator"].items()}
    made = batch()["second"] * kernels["first"], batch()["image"] * kernels["second"]
    np.testing.assert_allclose(got["image"], made[0], rtol=1e-5)
    parsers = kernels["first_parser"], kernels["second_parser"]
    labels = batch()["first_label"], batch()["second_label"]
    wanted = sum(cross_entropy(made[i] * parsers[i], labels[1 - i]).mean() for i in range(2))
    np.testing.assert_allclose(scalars["shape"], wanted, rtol=1e-5)
    true = batch()["image"], batch()["second"]
    wanted = sum(cross_entropy(true[i] * parsers[i], labels[i]).mean() for i in range(2))
    np.testing.assert_allclose(scalars["parsing"], wanted, rtol=1e-5)
    np.testing.assert_allclose(got["second_logits"], true[1] * parsers[1], rtol=1e-5)


def test_the_task_of_td_gan_stays_and_is_seen():
    frozen = {"params": {"Dense_0": {"kernel": jnp.asarray([[1.0, -1.0]])}}}
    learner = adversarial.td_gan(Gains(), Mean(), Gains(2), frozen, SGD, SGD, first="image", pool=0)
    state = jax.jit(learner.init)(KEY, batch())
    judges = state.params["discriminator"]
    assert judges["first"]["head"]["kernel"].shape == (3, 1)  # the image and two classes
    assert judges["second"]["head"]["kernel"].shape == (1, 1)
    after, scalars = jax.jit(learner.step)(state, batch(), KEY)
    np.testing.assert_array_equal(
        after.extras["frozen"]["params"]["Dense_0"]["kernel"], [[1.0, -1.0]]
    )
    assert float(scalars["task"]) > 0
    into = state.params["generator"]["first"]["Dense_0"]["kernel"][None, None]
    wanted = batch()["second"] * into * jnp.asarray([1.0, -1.0]).reshape(1, 1, 1, 2)
    np.testing.assert_allclose(learner.predict(state, batch()), wanted, rtol=1e-5)


def test_top_gan_begins_as_the_discriminator_with_another_head():
    class Judge(nn.Module):
        classes: int = 1
        width: int = 4

        @nn.compact
        def __call__(self, x, train=False):
            x = nn.BatchNorm(use_running_average=not train, name="norm")(x.reshape(-1, 16))
            return nn.Dense(self.classes, name="head")(nn.relu(nn.Dense(self.width, name="in")(x)))

    gan = adversarial.gan(Flat(), Judge(), SGD, SGD, latent=2)
    pretrained, _ = jax.jit(gan.step)(gan.init(KEY, batch()), batch(), KEY)
    learner = top_gan(Judge(3), SGD, pretrained)
    state = learner.init(KEY, batch())
    old = pretrained.params["discriminator"]
    for name in ("in", "norm"):
        jax.tree.map(np.testing.assert_array_equal, state.params[name], old[name])
    jax.tree.map(
        np.testing.assert_array_equal,
        state.variables["batch_stats"],
        pretrained.variables["discriminator"]["batch_stats"],
    )
    assert state.params["head"]["kernel"].shape == (4, 3)
    with pytest.raises(InputError, match="pretrained: in: expected arrays"):
        jax.eval_shape(top_gan(Judge(3, width=5), SGD, pretrained).init, KEY, batch())


def test_a_semi_supervised_generator_may_have_an_adversary_beside_the_features():
    networks = (
        DCGANGenerator((4, 4), 1, (4,), norm="none"),
        DCGANDiscriminator(2, widths=(4,), norm="none"),
    )
    x = jnp.asarray(np.random.default_rng(0).standard_normal((4, 4, 4, 1)), jnp.float32)
    batch = {"image": x, "label": jnp.asarray([0, 1, -1, -1]), "index": jnp.arange(4)}

    def learner(adversary):
        return adversarial.semi_supervised_gan(*networks, SGD, SGD, latent=3, adversary=adversary)

    state = jax.jit(learner(0.0).init)(KEY, batch)

    def loss(adversary):
        gradients = jax.jit(learner(adversary).phases[-1].gradients)
        return gradients(state, batch, KEY).scalars["generator_loss"]

    features, both, thrice = (float(loss(weight)) for weight in (0.0, 1.0, 3.0))
    assert both - features > 0.1  # near ln 2 at the start
    np.testing.assert_allclose(thrice - features, 3 * (both - features), rtol=1e-5)
