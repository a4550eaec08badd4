"""Laws that every learner keeps, and what each combinator promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from learners.learner_cases import adversarial, anomaly, contrastive, generative, predictive

from medjax import augment, learners
from medjax.core.errors import InputError
from medjax.physics import from_real_pair, to_real_pair


class Residual(tiny.nn.Module):
    """A reconstruction: the adjoint's image and what a convolution makes of it."""

    @tiny.nn.compact
    def __call__(self, kspace, operator, train=False):
        x = operator.H(kspace)
        features = tiny.nn.BatchNorm(use_running_average=not train)(to_real_pair(x))
        return x + from_real_pair(tiny.nn.Conv(2, (5, 5))(features))


class Gain(tiny.nn.Module):
    @tiny.nn.compact
    def __call__(self, x, train=False):
        kernel = self.param("kernel", tiny.nn.initializers.normal(), x.shape[1:])
        return x * kernel[None]


def scanned(key, batch):
    """The batch with two noisy images of each sample and a scan of half its k-space."""
    mask = lambda key, columns: jnp.arange(columns) % 4 > 1  # noqa: E731
    first, second = (tiny.noisy(jax.random.fold_in(key, i), batch)["noisy"] for i in range(2))
    scan = augment.retrospective(mask, noise=0.05)
    return scan(key, {**batch, "noisy": first, "first": first, "second": second})


def trained(learner):
    return learners.augmented(learner, scanned)


ADAM = tiny.optax.adam(0.1)

CASES = {
    "supervised": lambda: tiny.learner(),
    "noise2noise": lambda: trained(learners.noise2noise(Gain(), tiny.mse, ADAM)),
    "noise2void": lambda: trained(
        learners.averaged(learners.noise2void(Gain(), ADAM, image="noisy", spacing=2), 0.9)
    ),
    "sure": lambda: trained(
        learners.accumulated(learners.sure(Gain(), ADAM, noise=0.1, inputs=("noisy",)), 2)
    ),
    "ssdu": lambda: trained(learners.ssdu(Residual(), ADAM, masks=2)),
    "equivariant": lambda: trained(
        learners.equivariant(Residual(), ADAM, move=learners.random_rotation, noise=0.05)
    ),
    "augmented": lambda: learners.augmented(tiny.learner(), lambda key, batch: batch),
    "averaged": lambda: learners.averaged(tiny.learner(), 0.9),
    "accumulated": lambda: tiny.learner(lambda learner: learners.accumulated(learner, 2)),
    "smoothed": lambda: tiny.learner(lambda learner: learners.smoothed(learner, ("loss",))),
    "monitored": lambda: learners.augmented(
        learners.monitored(tiny.learner(), features=lambda state, batch: batch["image"][:, 0]),
        lambda key, batch: batch,
    ),
    **contrastive.CASES,
    **predictive.CASES,
    **generative.CASES,
    "top_gan": adversarial.top_gan,
    "oc_ssl": anomaly.oc_ssl,
}


@pytest.fixture(scope="module")
def batch():
    images = np.stack([tiny.Images()[i]["image"] for i in range(8)])
    return {"image": jnp.asarray(images), "index": jnp.arange(8, dtype=jnp.int32)}


@pytest.fixture(scope="module")
def scan(batch):
    return jax.jit(scanned)(jax.random.key(2), batch)


def test_every_learner_has_a_case():
    # Where two play no loss need fall: the laws are in adversarial/test_laws.
    assert set(CASES) | set(adversarial.CASES) == set(learners.LEARNERS)


@pytest.mark.parametrize("name", CASES)
def test_steps_lower_the_loss_and_keep_only_arrays(name, batch, scan):
    learner = CASES[name]()
    # Threefry takes XLA on CPU a second a parameter to compile.
    state = jax.jit(learner.init)(jax.random.key(0, impl="philox2x32"), batch)
    structure = jax.tree.structure(state)
    step = jax.jit(learner.step)
    losses = []
    for number in range(25):
        # One key throughout: the same noise, so the loss is of a fixed batch.
        state, scalars = step(state, batch, jax.random.key(1))
        assert int(state.step) == number + 1
        losses.append(float(scalars["loss"]))
    assert losses[-1] < 0.5 * losses[0]
    assert jax.tree.structure(state) == structure
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    assert np.isfinite(jax.jit(learner.predict)(state, scan)).all()


def test_accumulated_gradient_is_the_whole_batch_gradient(batch):
    batch = tiny.noisy(jax.random.key(0), batch)
    # Without batch norm a mean over parts is the mean over the batch.
    whole = _linear()
    parts = learners.accumulated(whole, 4)
    state = whole.init(jax.random.key(0), batch)
    wanted, _ = jax.jit(whole.step)(state, batch, jax.random.key(1))
    got, _ = jax.jit(parts.step)(state, batch, jax.random.key(1))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), got, wanted)


def test_accumulated_refuses_what_does_not_divide(batch):
    learner = learners.accumulated(_linear(), 3)
    state = learner.init(jax.random.key(0), tiny.noisy(jax.random.key(0), batch))
    with pytest.raises(InputError, match="divisor of the batch size 8, got 3"):
        learner.step(state, tiny.noisy(jax.random.key(0), batch), jax.random.key(1))
    with pytest.raises(InputError, match="at least 1"):
        learners.accumulated(_linear(), 0)


def test_average_follows_its_formula(batch):
    batch = tiny.noisy(jax.random.key(0), batch)
    learner = learners.averaged(_linear(), 0.3)
    state = learner.init(jax.random.key(0), batch)
    average = np.asarray(state.params["kernel"])
    for t in range(1, 5):
        state, _ = learner.step(state, batch, jax.random.key(t))
        decay = min(0.3, t / (9 + t))
        average = decay * average + (1 - decay) * np.asarray(state.params["kernel"])
        np.testing.assert_allclose(state.extras["average"]["kernel"], average, rtol=1e-5)
    predicted = learner.predict(state, batch)
    np.testing.assert_allclose(predicted, batch["noisy"] * average[None], rtol=1e-5)


def test_average_refuses_a_decay_of_one():
    with pytest.raises(InputError, match="decay: expected a number in"):
        learners.averaged(_linear(), 1.0)


def test_complex_parameters_descend():
    """jax.grad gives the conjugate of the ascent direction; the learner undoes that."""

    class Scale(tiny.nn.Module):
        @tiny.nn.compact
        def __call__(self, x, train=False):
            start = lambda key: jnp.asarray(0.3 - 0.8j, jnp.complex64)  # noqa: E731
            return self.param("scale", start) * x

    def loss(output, target):
        return jnp.abs(output - target)[:, 0] ** 2

    learner = learners.supervised(Scale(), loss, tiny.optax.sgd(0.1), inputs=("x",), target="y")
    learner = learners.averaged(learner, 0.5)
    x = jnp.ones((2, 1), jnp.complex64)
    batch = {"x": x, "y": x * (0.5 + 0.5j)}
    state = learner.init(jax.random.key(0), batch)
    step = jax.jit(learner.step)
    for _ in range(50):
        state, scalars = step(state, batch, jax.random.key(0))
    assert scalars["loss"] < 1e-6
    np.testing.assert_allclose(state.extras["average"]["scale"], 0.5 + 0.5j, atol=1e-2)


def _linear():
    return learners.supervised(
        Gain(), tiny.mse, tiny.optax.sgd(0.5), inputs=("noisy",), target="image"
    )
