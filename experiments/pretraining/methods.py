"""What is pretrained here, on which network, from which views: all hyper-parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax

from medjax import augment, learners
from medjax.augment import views
from medjax.learners import contrastive, predictive
from medjax.models.classifiers import ResNet
from medjax.models.pretraining import MAEDecoder
from medjax.models.vit import ViT
from medjax.training import protocols

ENTRIES = {"image": augment.Image(channels="last")}
PAIR = ("first", "second")
SMALL = 2  # small views of DINO
PROTOTYPES = 256


def standardised(image):
    """Each image with mean 0 and standard deviation 1: what every network here sees."""
    axes = tuple(range(1, image.ndim))
    mean, sd = image.mean(axes, keepdims=True), image.std(axes, keepdims=True)
    return (image - mean) / (sd + 1e-3)


def resnet(dimensions: int, classes: int = 0) -> ResNet:
    """Six convolutions in three stages; half as many channels in 3D."""
    width = 16 if dimensions == 2 else 8
    return ResNet(
        classes=classes,
        depths=(1, 1, 1),
        block="basic",
        widths=(width, 2 * width, 4 * width),
        stem=width,
        stem_kernel=3,
        stem_strides=2,
        stem_pool=False,
        norm="group",
    )


def vit(dimensions: int, classes: int = 0) -> ViT:
    """Four blocks of width 64 on 16 patches of an image or 32 of a box."""
    return ViT(
        classes=classes,
        width=64,
        depth=4,
        heads=4,
        patch=8 if dimensions == 2 else 4,
        image_size=32 if dimensions == 2 else (16, 8, 16),
        positions="sinusoidal",
        pool="mean",
    )


NETWORKS = {"resnet": resnet, "vit": vit}
LAYERS = {"resnet": protocols.RESNET_LAYERS, "vit": protocols.VIT_LAYERS}


def view(modality: str, size: tuple[int, ...], crop: tuple[float, float], *, intensity=True):
    """A random view; as `medjax.augment.policy` says for MRI but for the costly parts.

    No mirroring from front to back or top to bottom of a brain, whose regions those are;
    tiles have no direction.
    """
    parts = [views.resized_crop(size, crop, entries=ENTRIES)]
    if modality == "mri":
        parts.append(augment.flip(-len(size), entries=ENTRIES))  # left to right
    else:
        parts += [augment.flip(entries=ENTRIES), augment.rotate90(entries=ENTRIES)]
    if intensity:
        parts += [
            augment.gamma(0.6, entries=ENTRIES),
            augment.contrast(0.4, entries=ENTRIES),
            augment.noise(0.08, entries=ENTRIES),
        ]
        if modality == "mri":
            parts.append(augment.bias_field(0.4, entries=ENTRIES))
    return augment.chain(*parts, on_image(standardised))


def on_image(function):
    """A function of images as a transform of batches."""
    return lambda key, batch: {**batch, "image": function(batch["image"])}


def adamw(steps: int, rate: float) -> optax.GradientTransformation:
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, max(1, steps // 10), max(2, steps))
    return optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.95, weight_decay=0.05)
    )


@dataclasses.dataclass(frozen=True)
class Method:
    """A method, the network it trains, and how to take that out of the learner's state.

    Attributes:
        label: as printed.
        network: a name of `NETWORKS`.
        learner: ``(module, modality, image size, steps) -> learner`` of batches with
            ``image`` and ``index``.
        variables: ``state -> variables`` of the network.
        longer: times the steps of SimCLR, for methods whose step is cheaper in 2D: one of MoCo
            has one view with gradients, one of MAE a quarter of the patches.
    """

    label: str
    network: str
    learner: Callable[[Any, str, tuple[int, ...], int], learners.Learner]
    variables: Callable[[learners.State], Any]
    longer: int = 1


def projector(*widths: int) -> contrastive.MLPHead:
    return contrastive.MLPHead(widths)


def simclr(module, modality, size, steps):
    one = view(modality, size, (0.4, 1.0))
    learner = contrastive.simclr(
        module, adamw(steps, 2e-3), projector=projector(256, 64), temperature=0.2
    )
    return learners.augmented(learner, views.views(dict.fromkeys(PAIR, one)))


def moco(module, modality, size, steps):
    one = view(modality, size, (0.4, 1.0))
    learner = contrastive.moco_v2(
        module, adamw(steps, 2e-3), projector=projector(256, 64), queue=256, momentum=0.98
    )
    return learners.augmented(learner, views.views(dict.fromkeys(PAIR, one)))


def dino(module, modality, size, steps):
    half = tuple(n // 2 for n in size)
    large, small = view(modality, size, (0.5, 1.0)), view(modality, half, (0.2, 0.5))
    learner = contrastive.dino(
        module,
        adamw(steps, 1e-3),
        projector=contrastive.PrototypeHead(PROTOTYPES, hidden=256, bottleneck=64, norm=True),
        momentum=contrastive.cosine(0.98, 1.0, steps),
        held_steps=steps // 20,
        small=views.small_names(SMALL),
    )
    return learners.augmented(learner, views.multi_crop(large, small, count=SMALL))


def mae(module, modality, size, steps):
    one = view(modality, size, (0.5, 1.0), intensity=False)
    decoder = MAEDecoder(width=64, depth=2, heads=4)
    learner = predictive.mae(module, adamw(steps, 2e-3), decoder=decoder)
    return learners.augmented(learner, one)


METHODS = {
    "simclr": Method("SimCLR", "resnet", simclr, contrastive.encoder_variables),
    "moco": Method("MoCo v2", "resnet", moco, contrastive.encoder_variables, longer=3),
    "dino": Method(
        "DINO",
        "resnet",
        dino,
        lambda state: contrastive.encoder_variables(state, teacher=True),
    ),
    "mae": Method("MAE", "vit", mae, predictive.backbone_variables, longer=4),
}


def features(module):
    """``(variables, images) -> pooled features``, to be jitted."""
    return lambda variables, images: module.apply(
        variables, standardised(images), method="features"
    ).pooled.astype(jnp.float32)


def patches(module):
    """``(variables, images) -> (batch, place, channel)`` of the last map, to be jitted."""

    def function(variables, images):
        found = module.apply(variables, standardised(images), method="features").maps[-1]
        return found.reshape(found.shape[0], -1, found.shape[-1]).astype(jnp.float32)

    return function
