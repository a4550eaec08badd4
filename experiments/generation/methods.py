"""What generates here: networks of one size for all, and each method's settings."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import short_runs
import simulated_brain

from medjax import learners, losses
from medjax.augment.discriminator import diff_augment
from medjax.learners import adversarial, diffusion
from medjax.losses.adversarial import hinge
from medjax.models import UNet
from medjax.models.generative import (
    DCGANDiscriminator,
    DCGANGenerator,
    DiffusionUNet,
    PatchGAN,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    TranslationResNet,
)

SIZE = (32, 32)
VOLUME = (8, 32, 32)
WIDTHS = (32, 64, 128)  # of the DCGAN's discriminator; its generator has them the other way
LATENT = 64
CLASSES = 4  # slabs of the brain that slices are from


@dataclasses.dataclass(frozen=True)
class Method:
    """A named system at the size of this experiment.

    Attributes:
        label: as printed.
        learner: ``steps -> learner`` of batches with ``image``, ``label`` and ``index``, and
            where it translates ``other``.
        batch_size: samples of a step, which critics with more steps divide among them.
        length: of its training in `stability.py`, in those of the shortest. What more it is was
            chosen on a seed that is not reported; ``README.md`` has the exception.
        volumes: whether it sees volumes, of `VOLUME` voxels, instead of slices.
    """

    label: str
    learner: Callable[[int], learners.Learner]
    batch_size: int = 32
    length: int = 1
    volumes: bool = False


def adam(rate: float = 2e-4, b2: float = 0.999) -> optax.GradientTransformation:
    return optax.adam(rate, b1=0.5, b2=b2)


def players(generator_norm="batch", norm="batch", known=0, **options):
    """DCGAN's networks, an optimiser each."""
    generator = DCGANGenerator(SIZE, 1, tuple(reversed(WIDTHS)), norm=generator_norm, classes=known)
    return generator, DCGANDiscriminator(widths=WIDTHS, norm=norm, **options), adam(), adam()


def gan(steps):
    return adversarial.gan(*players(), latent=LATENT)


def dcgan(steps):
    return adversarial.dcgan(SIZE, widths=WIDTHS, latent=LATENT, average=0.99)


def steady(steps):
    """The stabilisers together: what `adversarial` is for."""
    return adversarial.adversarial(
        *players(norm="none", spectral=True, deviation=4),
        loss=hinge(),
        inputs=adversarial.latents(LATENT),
        augment=diff_augment(("translation", "cutout")),
        average=0.99,
    )


def wgan(steps):
    """With the batch norm of the authors' critic, and ten times their rate: runs are short."""
    networks = players()[:2]
    return adversarial.wgan(
        *networks, optax.rmsprop(5e-4), optax.rmsprop(5e-4), latent=LATENT, average=0.99
    )


def wgan_gp(steps):
    networks = players(norm="none")[:2]
    optimizers = (optax.adam(2e-4, b1=0.0, b2=0.9) for _ in range(2))
    return adversarial.wgan_gp(*networks, *optimizers, latent=LATENT, average=0.99)


def cgan(steps):
    return adversarial.cgan(*players(known=CLASSES, labels=CLASSES), latent=LATENT, average=0.99)


def acgan(steps):
    networks = players(known=CLASSES, classes=1 + CLASSES)
    return adversarial.acgan(*networks, latent=LATENT, average=0.99)


def partly(every: int):
    """One in so many is labelled."""

    def known(key, batch):
        return {**batch, "label": jnp.where(batch["index"] % every == 0, batch["label"], -1)}

    return known


def semi_supervised_gan(steps):
    networks = players(norm="none", classes=CLASSES)
    learner = adversarial.semi_supervised_gan(*networks, latent=LATENT, adversary=1.0, average=0.99)
    return learners.augmented(learner, partly(10))


def triple_gan(steps):
    """Half are labelled: what its discriminator takes for real are labelled images alone."""
    generator, discriminator, *_ = players(norm="none", known=CLASSES, labels=CLASSES)
    learner = adversarial.triple_gan(
        generator,
        DCGANDiscriminator(CLASSES, widths=WIDTHS, norm="none"),
        discriminator,
        *(adam() for _ in range(3)),
        classes=CLASSES,
        latent=LATENT,
        average=0.99,
    )
    return learners.augmented(learner, partly(2))


def stylegan2(steps):
    """Rates and moments as the authors scale them for lazy regularisation."""

    def lazy(every):
        c = every / (every + 1)
        return optax.adam(2e-3 * c, b1=0.0, b2=0.99**c)

    return adversarial.stylegan2(
        StyleGAN2Generator(SIZE, 1, (64, 64, 32, 16), layers=4, width=LATENT),
        StyleGAN2Discriminator((16, 32, 64, 64)),
        lazy(4),
        lazy(16),
        gamma=1.0,
        latent=LATENT,
        average=0.99,
    )


def translator():
    return TranslationResNet(1, (16, 32), blocks=3)


def pix2pix(steps):
    return adversarial.pix2pix(
        translator(),
        PatchGAN((16, 32), norm="instance"),
        adam(),
        adam(),
        source="other",
        target="image",
        average=0.99,
    )


def infilling_gan(steps):
    return adversarial.infilling_gan(
        adversarial.Infiller(translator(), CLASSES),
        DCGANDiscriminator(widths=WIDTHS, norm="none", labels=CLASSES),
        adam(),
        adam(),
        sigma=2.0,
        average=0.99,
    )


def holes(chosen: np.ndarray) -> np.ndarray:
    """A square of a quarter of each image, at a place that goes by the image's index."""
    y, x = (
        (np.arange(n) - chosen[:, None] * factor % (n // 2)) // (n // 2) == 0
        for n, factor in zip(SIZE, (7, 5), strict=True)
    )
    return y[:, :, None] & x[:, None, :]


def dcgan_3d(steps):
    return adversarial.dcgan(VOLUME, widths=WIDTHS, latent=LATENT, average=0.99)


def gan_3d(steps):
    """Of volumes from 0 to 1, as its sigmoid gives them."""
    learner = adversarial.gan_3d(VOLUME, widths=WIDTHS, latent=LATENT, average=0.99)
    return learners.augmented(learner, lambda _, x: {**x, "image": (x["image"] + 1) / 2})


@functools.cache
def segmenter():
    """A network that has learned the tissues of T1 slices, and its variables."""
    network = UNet(len(simulated_brain.TISSUES), (16, 32))
    learner = learners.supervised(
        network, losses.dice_cross_entropy, adam(1e-3), inputs=("image",), target="tissue"
    )
    data = slices(100, 0)
    state = short_runs.train(
        short_runs.programs(learner),
        functools.partial(batch_of, data),
        len(data),
        batch_size=16,
        steps=200,
        seed=0,
    ).state
    return network, {"params": state.params, **state.variables}


def td_gan(steps):
    """T2 to T1, with the labels of T1 slices: what it makes of T2 is to be segmented as T1."""
    return adversarial.td_gan(
        translator(),
        PatchGAN((16, 32), norm="instance"),
        *segmenter(),
        adam(),
        adam(),
        first="image",
        second="other",
        first_label="tissue",
        average=0.99,
    )


def shape_consistent_gan(steps):
    return adversarial.shape_consistent_gan(
        translator(),
        PatchGAN((16, 32), norm="instance"),
        UNet(len(simulated_brain.TISSUES), (16, 32)),
        adam(),
        adam(),
        first="image",
        second="other",
        first_label="tissue",
        second_label="tissue",
        average=0.99,
    )


def cyclegan(steps):
    return adversarial.cyclegan(
        translator(),
        PatchGAN((16, 32), norm="instance"),
        adam(),
        adam(),
        first="image",
        second="other",
        average=0.99,
    )


def unet():
    return DiffusionUNet(1, features=(16, 32, 64), blocks=1, attention=(2,), groups=8)


def trained(steps, rate):
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, max(1, steps // 20), max(2, steps))
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


def ddpm(steps):
    """Sampled at a tenth of the thousand levels that it is trained on."""
    levels = diffusion.cosine()
    learner = diffusion.ddpm(
        unet(),
        trained(steps, 1e-3),
        levels=levels,
        clip=(-1.0, 1.0),
        sampling=diffusion.select(levels, diffusion.few(100, 1000)),
    )
    return learners.averaged(learner, 0.99)


def fast_ddpm(steps):
    learner = diffusion.fast_ddpm(
        unet(), trained(steps, 1e-3), levels=diffusion.cosine(), clip=(-1.0, 1.0)
    )
    return learners.averaged(learner, 0.99)


GANS = {
    "gan": Method("GAN", gan),
    "dcgan": Method("DCGAN", dcgan),
    "adversarial": Method("hinge, spectral norm, DiffAugment", steady, length=4),
    "wgan": Method("WGAN", wgan, 160),
    "wgan_gp": Method("WGAN-GP", wgan_gp, 160, length=2),
    "cgan": Method("conditional GAN", cgan),
    "acgan": Method("AC-GAN", acgan),
    "semi_supervised_gan": Method("semi-supervised GAN", semi_supervised_gan, length=2),
    "triple_gan": Method("Triple-GAN", triple_gan, length=3),
    "stylegan2": Method("StyleGAN2", stylegan2, length=2),
    "pix2pix": Method("pix2pix", pix2pix, 8),
    "infilling_gan": Method("infilling GAN", infilling_gan, 8),
    "cyclegan": Method("CycleGAN", cyclegan, 8),
    "shape_consistent_gan": Method("shape-consistent GAN", shape_consistent_gan, 8),
    "td_gan": Method("task-driven GAN", td_gan, 8),
    "dcgan_3d": Method("DCGAN of volumes", dcgan_3d, volumes=True),
    "gan_3d": Method("3D-GAN", gan_3d, length=2, volumes=True),
}
DIFFUSIONS = {
    "ddpm": Method("DDPM", ddpm, 16),
    "fast_ddpm": Method("Fast-DDPM", fast_ddpm, 16),
}
METHODS = GANS | DIFFUSIONS


def slices(subjects: int, seed: int) -> simulated_brain.Slices:
    """Four slices of each subject; another seed is other subjects."""
    return simulated_brain.slices("train", subjects, each=4, size=SIZE[0], spacing=6.0, seed=seed)


@functools.cache
def volumes(count: int) -> np.ndarray:
    """T1 volumes of as many subjects as there are slices, as coarse."""
    return simulated_brain.volumes(count, size=VOLUME, spacing=6.0)


def volume_of(data: np.ndarray, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """What learners see of volumes."""
    return {"image": simulated_brain.scaled(data[chosen]), "index": chosen.astype(np.int32)}


def batch_of(data, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """What learners see of `simulated_brain.Slices`."""
    return {
        "image": simulated_brain.scaled(data.t1[chosen]),
        "other": simulated_brain.scaled(data.t2[chosen]),
        "tissue": data.tissue[chosen],
        "mask": holes(chosen),
        "label": data.slab[chosen],
        "index": chosen.astype(np.int32),
    }


@functools.cache
def programs(name: str, steps: int) -> short_runs.Programs:
    """The compiled parts of a method, shared by its seeds."""
    return short_runs.programs(METHODS[name].learner(steps))


def images_of(output) -> np.ndarray:
    """Generated images in a learner's output; CycleGAN's are those of the first kind."""
    images = output["image"] if isinstance(output, dict) else output
    return np.asarray(jax.tree.leaves(images)[0])
