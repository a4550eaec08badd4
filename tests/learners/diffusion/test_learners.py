import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from learners.learner_cases.generative import FEW, Denoiser

from medjax import learners
from medjax.core.errors import InputError
from medjax.learners.diffusion import ddim, ddpm, edm, fast_ddpm, latent, latent_factor

ADAM = optax.adam(0.01)
KEY = jax.random.key(0, impl="philox2x32")


class Halves:
    """An autoencoder: every other column, doubled, and back."""

    def apply(self, variables, x, method):
        scale = variables["params"]["scale"]
        if method == "encode":
            return scale * x[..., ::2]
        return jnp.repeat(x / scale, 2, axis=-1)


def batch(count=4):
    image = np.random.default_rng(0).standard_normal((count, 4, 4)).astype(np.float32)
    index = np.arange(count, dtype=np.int32)
    return {"image": jnp.asarray(image), "index": jnp.asarray(index), "label": index % 2}


def test_latent_diffusion_learns_codes_and_gives_images():
    frozen = {"params": {"scale": jnp.asarray(2.0)}}
    learner = ddpm(Denoiser(), ADAM, levels=FEW, sampler=ddim)
    learner = learners.averaged(latent(learner, Halves(), frozen, factor=0.5), 0.9)
    state = jax.jit(learner.init)(KEY, batch())
    assert state.params["Dense_0"]["kernel"].shape[1] == 4 * 2
    before = jax.tree.map(np.asarray, state)
    state, scalars = jax.jit(learner.step)(state, batch(), jax.random.key(1))
    assert np.isfinite(scalars["loss"])
    assert state.extras["autoencoder"]["params"]["scale"] == 2
    changed = np.abs(state.params["Dense_0"]["kernel"] - before.params["Dense_0"]["kernel"])
    assert changed.max() > 0
    images = jax.jit(learner.predict)(state, batch())
    assert images.shape == (4, 4, 4)
    np.testing.assert_array_equal(images[..., ::2], images[..., 1::2])


def test_the_factor_brings_latents_to_a_deviation_of_one():
    codes = 3 * jnp.asarray(np.random.default_rng(0).standard_normal((8, 9)), jnp.float32)
    np.testing.assert_allclose(jnp.std(latent_factor(codes) * codes), 1, rtol=1e-5)


def test_samples_are_of_their_index_and_follow_their_condition():
    learner = ddpm(
        Denoiser(), ADAM, levels=FEW, label="label", drop=0.5, guidance=3.0, sampler=ddim
    )
    state = jax.jit(learner.init)(KEY, batch())
    predict = jax.jit(learner.predict)
    whole = predict(state, batch())
    # The image of the batch says how large a sample is, and nothing else.
    np.testing.assert_array_equal(predict(state, {**batch(), "image": 0 * batch()["image"]}), whole)
    turned = {name: value[::-1] for name, value in batch().items()}
    np.testing.assert_allclose(predict(state, turned)[::-1], whole, atol=1e-4)
    other = predict(state, {**batch(), "label": 1 - batch()["label"]})
    assert np.abs(other - whole).min(axis=(1, 2)).max() > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ddpm(None, ADAM, drop=1.0), "drop: expected a number in"),
        (lambda: ddpm(None, ADAM, guidance=2.0, drop=0.1), "guidance: expected 1 where no"),
        (lambda: edm(None, ADAM, guidance=2.0, label="label"), "guidance: expected 1 where no"),
        (lambda: ddpm(None, ADAM, prediction="y"), "prediction: expected one of"),
        (lambda: fast_ddpm(None, ADAM, spacing="odd"), "spacing: expected"),
    ],
)
def test_what_cannot_be_learned_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
