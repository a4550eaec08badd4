"""Closed forms of what autoencoders minimise."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from medjax.core.errors import InputError
from medjax.learners import autoencoding
from medjax.learners.autoencoding.plain import unlikeness
from medjax.learners.autoencoding.variational import kl
from medjax.models.generative import Autoencoder, StackedAutoencoder
from medjax.models.generative.autoencoders import Gaussian, Mixture

SGD = optax.sgd(0.0)
X = jnp.asarray(np.random.default_rng(0).standard_normal((3, 2, 2, 1)), jnp.float32)
BATCH = {"image": X}
KEY = jax.random.key(0)


def value(learner, state, key=KEY):
    return float(learner.phases[0].gradients(state, BATCH, key).scalars["loss"])


class Linear(nn.Module):
    """A code by a matrix; what comes out is nothing."""

    def setup(self):
        self.dense = nn.Dense(5, use_bias=False)

    def encode(self, x, train=False):
        return self.dense(x.reshape(x.shape[0], -1))

    def coded(self, x, train=False):
        return 0 * x, self.encode(x)

    def __call__(self, x, train=False):
        return self.coded(x)[0] + 0 * self.encode(x).sum()


def test_divergence_of_normal_numbers():
    mean, log_variance = jnp.asarray([0.0, 1.0]), jnp.asarray([0.0, np.log(4.0)])
    np.testing.assert_allclose(
        kl(mean, log_variance), [0, 0.5 * (4 + 1 - 1 - np.log(4))], rtol=1e-6
    )
    np.testing.assert_allclose(kl(mean, log_variance, mean, log_variance), [0, 0], atol=1e-6)
    from_other = kl(mean, log_variance, jnp.asarray([2.0, 2.0]), jnp.asarray([0.0, 0.0]))
    np.testing.assert_allclose(from_other, [2, 0.5 * (4 + 1 - 1 - np.log(4))], rtol=1e-6)


def test_sparsity_is_zero_at_its_target_alone():
    code = jnp.broadcast_to(jnp.asarray([[0.2, 0.2]]), (4, 2))
    np.testing.assert_allclose(unlikeness(code, 0.2), 0, atol=1e-7)
    expected = 0.5 * np.log(0.5 / 0.2) + 0.5 * np.log(0.5 / 0.8)
    np.testing.assert_allclose(unlikeness(code, 0.5), expected, rtol=1e-5)


def test_contraction_is_on_average_the_norm_of_the_jacobian():
    learner = autoencoding.contractive_autoencoder(Linear(), SGD, contraction=0.5)
    state = learner.init(jax.random.key(0, impl="philox2x32"), BATCH)
    draws = jax.jit(
        jax.vmap(lambda k: learner.phases[0].gradients(state, BATCH, k).scalars["loss"])
    )
    mean = np.mean(draws(jax.random.split(KEY, 512)))
    kernel = np.asarray(state.params["dense"]["kernel"])
    np.testing.assert_allclose(mean, np.mean(X**2) + 0.5 * np.sum(kernel**2), rtol=0.05)


def test_what_is_corrupted_is_compared_with_what_was_not():
    class Same(nn.Module):
        def encode(self, x, train=False):
            return x

        @nn.compact
        def coded(self, x, train=False):
            return x + self.param("shift", nn.initializers.zeros, ()), x

        def __call__(self, x, train=False):
            return self.coded(x)[0]

    learner = autoencoding.denoising_autoencoder(Same(), SGD, lambda key, x: x + 2)
    state = learner.init(KEY, BATCH)
    np.testing.assert_allclose(value(learner, state), 4, rtol=1e-5)
    np.testing.assert_array_equal(learner.predict(state, BATCH), X)


def test_the_mixture_of_one_component_is_a_variational_autoencoder():
    """With w at its prior and one standard normal component the bounds are the same."""
    code = Gaussian(0.3 * X, 0.1 * X)
    style = Gaussian(jnp.zeros((3, 2, 2, 1)), jnp.zeros((3, 2, 2, 1)))
    one = jnp.zeros((3, 2, 2, 1, 1))

    class Fixed(nn.Module):
        def sampled(self, x, train=False):
            return Mixture(0 * x, code, style, code.mean, Gaussian(one, one))

        @nn.compact
        def __call__(self, x, train=False):
            return x + self.param("shift", nn.initializers.zeros, ())

    class Plain(Fixed):
        def sampled(self, x, train=False):
            return 0 * x, code

    values = []
    for learner in (autoencoding.gmvae(Fixed(), SGD), autoencoding.vae(Plain(), SGD)):
        values.append(value(learner, learner.init(KEY, BATCH)))
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6)
    expected = jnp.mean(X**2) + kl(*code).mean()
    np.testing.assert_allclose(values[1], expected, rtol=1e-5)


def test_layers_of_a_stack_learn_alone_before_they_learn_together():
    learner = autoencoding.stacked_autoencoder(StackedAutoencoder(1, (2,)), SGD, pretraining=1)
    deep = autoencoding.stacked_autoencoder(StackedAutoencoder(1, (2, 2)), SGD, pretraining=1)
    batch = {"image": jnp.concatenate([X, X, X, X], 1).reshape(3, 4, 4, -1)[..., :1]}
    state = deep.init(jax.random.key(0, impl="philox2x32"), batch)
    grads = jax.jit(lambda s: deep.phases[0].gradients(s, batch, KEY).grads)
    # In a stack of one both kinds of step are one.
    single = learner.init(jax.random.key(0, impl="philox2x32"), BATCH)
    later = single.replace(step=jnp.ones((), jnp.int32))
    np.testing.assert_allclose(value(learner, single), value(learner, later), rtol=1e-6)

    def changed(step, part):
        """Whether the gradient of a part changes with the second layer's kernel."""
        at = state.replace(step=jnp.asarray(step, jnp.int32))
        params = jax.tree.map(lambda a: a, at.params)
        params["encoders_1"]["kernel"] = 2 * params["encoders_1"]["kernel"]
        other = grads(at.replace(params=params))
        return not np.allclose(grads(at)[part]["kernel"], other[part]["kernel"], rtol=1e-4)

    assert not changed(0, "encoders_0")
    assert changed(1, "encoders_0")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: autoencoding.sparse_autoencoder(m, SGD, target=1.0), "target: expected a"),
        (lambda m: autoencoding.autoencoder(m, SGD, contraction=-1.0), "weights of at least 0"),
        (lambda m: autoencoding.stacked_autoencoder(m, SGD, pretraining=-1), "pretraining"),
        (lambda m: autoencoding.vae(m, SGD, beta=-1.0), "beta: expected a number of at least 0"),
        (lambda m: autoencoding.vqvae(m, SGD, commitment=-1.0), "commitment: expected a number"),
    ],
)
def test_weights_that_make_no_sense_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make(Autoencoder(1))
