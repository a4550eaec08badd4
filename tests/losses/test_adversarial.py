"""Losses and penalties of GANs: values of another implementation, and closed forms."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.losses import adversarial, penalties

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "adversarial.npz")
NAMES = ("non_saturating", "least_squares", "wasserstein", "hinge", "relativistic_average")
KEY = jax.random.key(0, impl="philox2x32")  # threefry takes long to compile on CPU


def stored(name):
    return jnp.asarray(REFERENCE[name], jnp.float32)


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_those_of_the_reference(name):
    loss = getattr(adversarial, name)()
    real, fake = stored("real"), stored("fake")
    # Logits of maps, of half precision, and so large that their exponentials overflow.
    maps = jnp.full((2, 3, 3, 1), 3e4, jnp.bfloat16)

    @jax.jit
    def both(real, fake, maps):
        sides = loss.discriminator, loss.generator
        values = [side(real, fake) for side in sides]
        large = [jax.value_and_grad(lambda x, s=s: s(-maps, x).sum())(maps) for s in sides]
        return values, large

    values, large = both(real, fake, maps)
    np.testing.assert_allclose(values, REFERENCE[name], rtol=1e-5, atol=1e-6)
    for value, slope in large:
        assert value.dtype == jnp.float32
        assert np.isfinite(value)
        assert np.isfinite(np.asarray(slope, np.float32)).all()


def test_accuracy_counts_what_is_taken_for_what_it_is():
    real, fake = jnp.asarray([1.0, 2.0, -1.0, 0.6]), jnp.asarray([-1.0, 0.3, -2.0, -3.0])
    assert [float(x) for x in adversarial.accuracy(real, fake, 0.0)] == [0.75, 0.75]
    assert [float(x) for x in adversarial.accuracy(real, fake, 0.5)] == [0.75, 1.0]
    shifted = [float(x) for x in adversarial.accuracy(real + 50, fake + 50, None)]
    assert shifted == [1.0, 1.0]  # above -1.4, below 0.65


def critic(x):
    return jnp.tanh(x @ stored("critic_b").T) @ stored("critic_a")


def test_penalties_are_those_of_the_reference(monkeypatch):
    real, fake = stored("images"), stored("made")
    for name in ("r1", "r2"):
        value = jax.jit(lambda *x, name=name: getattr(penalties, name)(critic, *x))(real, fake, KEY)
        np.testing.assert_allclose(value, REFERENCE[name], rtol=1e-4)
    monkeypatch.setattr(jax.random, "uniform", lambda *_: stored("share"))
    value = jax.jit(lambda *x: penalties.gradient_penalty(critic, *x))(real, fake, KEY)
    np.testing.assert_allclose(value, REFERENCE["gradient_penalty"], rtol=1e-4, atol=1e-6)


def test_penalties_of_a_plane_have_closed_forms_and_finite_gradients():
    slope = jnp.asarray([3.0, 4.0])  # of length 5
    real, fake = jax.random.normal(KEY, (2, 6, 2))

    def plane(x, scale=1.0):
        return scale * jnp.sum(x * slope[None], -1)

    def value(penalty, critic=plane):
        return jax.jit(partial(penalty, critic))(real, fake, KEY)

    for target in (1.0, 0.0):
        penalty = partial(penalties.gradient_penalty, target=target)
        np.testing.assert_allclose(value(penalty), (5 - target) ** 2, rtol=1e-5)
    np.testing.assert_allclose(value(penalties.r1), 12.5, rtol=1e-5)
    np.testing.assert_allclose(value(penalties.r2), 12.5, rtol=1e-5)
    # A critic of maps is worth their mean.
    maps = lambda x: jnp.stack([plane(x), 0 * plane(x)], -1)  # noqa: E731
    np.testing.assert_allclose(value(penalties.r1, maps), 12.5 / 4, rtol=1e-5)
    moved = penalties.consistency(lambda key, x: x + 1, of_fake=0.5)
    np.testing.assert_allclose(moved(plane, real, fake, KEY), 1.5 * 7**2, rtol=1e-4)
    # Where the critic is flat, the root has no slope.
    for penalty in (penalties.gradient_penalty, penalties.r1):
        total = lambda s, p=penalty: p(partial(plane, scale=s), real, fake, KEY).sum()  # noqa: E731
        assert np.isfinite(jax.jit(jax.grad(total))(0.0))


def test_path_lengths_are_those_of_a_linear_map():
    """Of ``J w`` for one voxel and as many channels as columns: the norm of ``J^T y``."""
    jacobian = jax.random.normal(KEY, (4, 3))

    def synthesis(styles):
        images = jnp.einsum("bld,cd->bc", styles, jacobian)
        return jnp.broadcast_to(images[:, None, None], (2, 5, 1, 4))

    lengths = jax.jit(lambda w: penalties.path_lengths(synthesis, w, KEY))(jnp.ones((2, 6, 3)))
    noise = jax.random.normal(KEY, (2, 5, 1, 4)) / np.sqrt(5)
    pulled = np.asarray(noise).sum((1, 2)) @ np.asarray(jacobian)
    np.testing.assert_allclose(lengths, np.linalg.norm(pulled, axis=-1), rtol=1e-4)


def test_wrong_arguments_are_refused():
    loss = adversarial.hinge()
    with pytest.raises(InputError, match="logits: expected two floating arrays of one shape"):
        loss.discriminator(jnp.ones(3), jnp.ones(2))
    with pytest.raises(InputError, match="logits"):
        loss.generator(jnp.ones(3), jnp.ones(3, jnp.int32))
    with pytest.raises(InputError, match=r"real_target: expected a number above fake_target 1\.0"):
        adversarial.least_squares(0.0, 1.0)
    with pytest.raises(InputError, match="fake: expected generated images of the real ones' shape"):
        penalties.gradient_penalty(critic, jnp.ones((2, 6)), jnp.ones((3, 6)), KEY)
