"""GANs of the normal: an image is as anomalous as the nearest generated one is far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax.augment.compose import keyed
from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Key, PyTree
from medjax.learners.adversarial.adversarial import adversarial, entries_of
from medjax.learners.adversarial.game import DISCRIMINATOR, GENERATOR, generator_variables
from medjax.learners.adversarial.regularise import Regulariser
from medjax.learners.autoencoding.methods import Loss
from medjax.learners.autoencoding.variational import kl, per_sample_sum
from medjax.learners.combinators import variables_of
from medjax.learners.learner import Learner, Phase, State
from medjax.learners.objective import descend
from medjax.losses.pixel import l1, l2

from .detector import Detector, Scores, reconstruction, residual

GAN = "gan"


def anogan(
    learner: Learner,
    generator: Any,
    discriminator: Any,
    *,
    latent: int,
    steps: int = 500,
    optimizer: optax.GradientTransformation | None = None,
    weight: float = 0.1,
    draw: Callable[[Key[Array, ""], tuple[int, ...]], Array] = jax.random.normal,
    image: str = "image",
) -> Detector:
    """AnoGAN (Schlegl et al. 2017, arXiv:1703.05921): search for the code of an image.

    As in the paper (section 2.2): from a random code, 500 steps along the slope of
    ``(1 - weight) R + weight D``, where R is the sum of magnitudes that the generated image
    differs by, and D that of its features in the discriminator's last map (feature matching);
    the sum where it ends scores the image, and the difference its places. What differs: all is
    divided by the number of voxels, which orders scores alike; the optimiser is this library's
    choice, Adam at 0.05.

    Args:
        learner: of a GAN without conditions, such as `medjax.learners.adversarial.dcgan`.
        generator: its network, ``(latent, train) -> images``.
        discriminator: its network, a `medjax.models.Backbone`.
        latent: channels of the noise.
        steps: of the search.
        optimizer: of the search.
        weight: of the features.
        draw: ``(key, shape) -> code`` that the search begins at; as the GAN's noise.
        image: the batch's entry of images.

    Raises:
        InputError: for fewer steps than one, or a weight outside [0, 1].
    """
    if steps < 1:
        raise InputError("steps", "at least 1", steps)
    if not 0 <= weight <= 1:
        raise InputError("weight", "a number from 0 to 1", weight)
    optimizer = optax.adam(0.05) if optimizer is None else optimizer

    def scores(state, batch, key):
        networks, x = networks_of(state), batch[image]
        given = features(discriminator, networks, x)

        def apart(code: Array) -> tuple[Array, Array]:
            made = generator.apply(networks[GENERATOR], code, train=False)
            of_features = jnp.abs(features(discriminator, networks, made) - given).sum(axis=1)
            of_voxels = per_sample_sum(jnp.abs(made - x))
            return ((1 - weight) * of_voxels + weight * of_features) / x[0].size, made

        def step(carry: tuple, _: None) -> tuple[tuple, None]:
            code, memory = carry
            slope = jax.grad(lambda code: jnp.sum(apart(code)[0]))(code)
            # Optax raises floats to integer powers, which strict promotion forbids.
            with jax.numpy_dtype_promotion("standard"):
                updates, memory = optimizer.update(slope, memory, code)
            return (optax.apply_updates(code, updates), memory), None

        code = jax.vmap(lambda key: draw(key, (latent,)))(keyed(key, batch))
        (code, _), _ = jax.lax.scan(step, (code, optimizer.init(code)), length=steps)
        of_image, made = apart(code)
        return Scores(of_image, residual(x, made))

    return Detector(learner, scores)


def f_anogan(
    encoder: Any,
    generator: Any,
    discriminator: Any,
    optimizer: optax.GradientTransformation,
    pretrained: State,
    *,
    kappa: float = 1.0,
    image: str = "image",
) -> Detector:
    """f-AnoGAN (Schlegl et al. 2019, doi:10.1016/j.media.2019.01.010): an encoder in the GAN.

    As in the paper (izi_f): the GAN stays as it is, and an encoder learns from normal images to
    give the code of an image, by the mean square that the generated image differs by and
    ``kappa`` times that of its features in the discriminator; the same sum scores images, and
    the magnitude of the difference their places. There the GAN is a `wgan_gp` with residual
    blocks, and the encoder is built as the discriminator.

    Args:
        encoder: ``(images, train) -> (batch, latent)``, such as a
            `medjax.models.Backbone` with as many classes.
        generator: see `anogan`.
        discriminator: see there.
        optimizer: of the encoder, any Optax transformation.
        pretrained: the state of the GAN's learner. It is kept in ``state.extras["gan"]``, so
            that a run's checkpoint is all that is needed.
        kappa: weight of the features; 1 in the paper.
        image: the batch's entry of images.
    """

    def apart(networks: PyTree, x: Array, code: Array) -> tuple[Array, Array]:
        made = generator.apply(networks[GENERATOR], code, train=False)
        pair = (features(discriminator, networks, a) for a in (made, x))
        return l2(made, x) + kappa * l2(*pair), made

    def init(key, batch):
        variables = dict(encoder.init(key, batch[image], train=False))
        params = variables.pop("params")
        # A copy: state is donated to the step, and the caller keeps the GAN.
        networks = jax.tree.map(jnp.copy, networks_of(pretrained))
        zero = jnp.zeros((), jnp.int32)
        return State(zero, params, variables, optimizer.init(params), {GAN: networks})

    def phase(networks: PyTree) -> Phase:
        def objective(network, variables, batch, key):
            code, variables = network(variables, batch[image], key=key)
            return apart(networks, batch[image], code)[0], variables

        return descend(encoder, objective, optimizer)

    def gradients(state, batch, key):
        return phase(state.extras[GAN]).gradients(state, batch, key)

    def again(state: State, batch: Any) -> tuple[Array, Array]:
        code = encoder.apply(variables_of(state), batch[image], train=False)
        return apart(state.extras[GAN], batch[image], code)

    def scores(state, batch, key):
        of_image, made = again(state, batch)
        return Scores(of_image, residual(batch[image], made))

    phases = (Phase(gradients, phase(None).update),)
    learner = Learner(init, phases, lambda state, batch: again(state, batch)[1])
    return Detector(learner, scores)


class Recoder(nn.Module):
    """A variational autoencoder as a generator: images of drawn codes in training.

    Attributes:
        codec: a `medjax.models.generative.VAE`.
    """

    codec: nn.Module

    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial channel"]:
        """The image again: of a drawn code in training, of the mean code otherwise."""
        return self.codec.sampled(x, None, train)[0] if train else self.codec(x)

    def posterior(self, x: Array, train: bool = False) -> Any:
        """What codes the image may have."""
        return self.codec.posterior(x, None, train)


def ano_vae_gan(
    module: Any,
    discriminator: Any,
    optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    beta: float = 1.0,
    weight: float = 10.0,
    distance: Loss = l1,
    image: str = "image",
    sigma: float = 0.0,
    **options: Any,
) -> Detector:
    """AnoVAEGAN (Baur et al. 2018, arXiv:1804.04488): what a VAE gives again must look real.

    Deep autoencoding models for unsupervised anomaly segmentation in brain MR images. As there:
    a variational autoencoder whose code is an image (a spatial one), the magnitude of what it
    does not give again, the code's divergence, and a discriminator of true images and those
    given again; scored by what is not given again. What differs: the weights are this library's
    choice; the paper's median filter, mask of the brain and threshold are the caller's.

    Args:
        module: a `medjax.models.generative.VAE`, without ``vector``.
        discriminator: ``(images, train) -> logits``.
        optimizer: of the autoencoder.
        discriminator_optimizer: another.
        beta: weight of the divergence over the number of voxels, see
            `medjax.learners.autoencoding.vae`.
        weight: of the distance.
        distance: ``(image, target) -> (batch,)``.
        image: the batch's entry of images.
        sigma: see `reconstruction`.
        **options: of `medjax.learners.adversarial.adversarial`.
    """

    def divergence(apply, x, memory, key):
        posterior = apply(x, True, method="posterior")
        return per_sample_sum(kl(*posterior)) / x[0].size, memory

    def near(images, fake, real, batch):
        values = distance(images, batch[image])
        return weight * values, {"distance": jnp.mean(values)}

    learner = adversarial(
        Recoder(module),
        discriminator,
        optimizer,
        discriminator_optimizer,
        inputs=entries_of(image),
        image=image,
        regularisers=(Regulariser(divergence, 0.0, beta),),
        generator_term=near,
        **options,
    )
    return reconstruction(learner, image=image, sigma=sigma)


def networks_of(state: State) -> dict[str, PyTree]:
    """Variables of both players, the generator's averaged where there is an average."""
    judge = {"params": state.params[DISCRIMINATOR], **state.variables[DISCRIMINATOR]}
    return {GENERATOR: generator_variables(state), DISCRIMINATOR: judge}


def features(discriminator: Any, networks: PyTree, x: Array) -> Float[Array, "batch channel"]:
    """What the discriminator's last layer reads of images."""
    return discriminator.apply(networks[DISCRIMINATOR], x, method="features").pooled
