"""Distances of images by what a fixed network sees in them.

Features are a function ``images -> maps``, each ``(batch, *spatial, channel)``: `captured` takes
them from inside any module, `backbone_maps` from a backbone. Both networks and their variables
are the caller's, who chooses what they learned on: a network of photographs tells little of CT.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from medjax.core.arrays import at_least_single
from medjax.core.errors import InputError
from medjax.core.types import Array, Float, PyTree
from medjax.image.resize import gradient_magnitude
from medjax.image.similarity import mean_per_sample

from .combine import Loss
from .pixel import l1, l2

FeatureMaps = Callable[[Array], Sequence[Array]]
"""``images (batch, *spatial, channel) -> maps``, finest first."""


def backbone_maps(
    backbone: Any, variables: PyTree, maps: Sequence[int] | None = None
) -> FeatureMaps:
    """The feature maps of a backbone of `medjax.models`.

    Args:
        backbone: with a method ``features``.
        variables: its parameters and statistics.
        maps: which ones, 0 for the finest; all of them by default.
    """

    def features(images: Array) -> list[Array]:
        found = backbone.apply(variables, images, method="features").maps
        return list(found) if maps is None else [found[i] for i in maps]

    return features


def captured(module: Any, variables: PyTree, layers: Sequence[str]) -> FeatureMaps:
    """What layers inside a network give, by their names: "encoder0", or "stage1/block0".

    Args:
        module: ``(images) -> anything``.
        variables: its parameters and statistics.
        layers: paths of submodules as the parameters have them.

    Returns:
        A function that raises `InputError` for a layer that is not there or gives no array.
    """

    def features(images: Array) -> list[Array]:
        def wanted(inner: Any, method: str) -> bool:
            return method == "__call__" and "/".join(inner.path) in layers

        _, after = module.apply(
            variables, images, capture_intermediates=wanted, mutable=["intermediates"]
        )
        found = []
        for layer in layers:
            inside = after.get("intermediates", {})
            for name in (*layer.split("/"), "__call__"):
                inside = inside.get(name, {}) if isinstance(inside, dict) else {}
            if not inside or not isinstance(inside[0], jax.Array):
                raise InputError("layers", "names of submodules that give arrays", repr(layer))
            found.append(inside[0])
        return found

    return features


def perceptual(
    features: FeatureMaps, weights: Sequence[float] | None = None, distance: Loss = l2
) -> Loss:
    """Weighted distances of feature maps (Johnson et al. 2016, arXiv:1603.08155, eq. 2).

    Args:
        features: of a fixed network.
        weights: one a map; all 1 by default. MedSRGAN (Gu et al. 2020) has 1/2, 1/4, 1/8, 1/16
            and 1/16 on five maps of VGG-19 before their activations.
        distance: ``(maps, maps) -> (batch,)``; the mean square in most papers.

    Returns:
        A loss of images ``(batch, *spatial, channel)``. No gradient goes to the target.
    """

    def loss(prediction: Array, target: Array) -> Float[Array, " batch"]:
        own = features(prediction)
        wanted = jax.lax.stop_gradient(features(target))
        return matched(own, wanted, weights, distance)

    return loss


def matched(
    own: Sequence[Array],
    wanted: Sequence[Array],
    weights: Sequence[float] | None = None,
    distance: Loss = l2,
) -> Float[Array, " batch"]:
    """Weighted sum of the distances of maps, pair by pair.

    Raises:
        InputError: for other than one weight a map.
    """
    weights = (1.0,) * len(own) if weights is None else tuple(weights)
    if len(weights) != len(own):
        raise InputError("weights", f"{len(own)}, one for each feature map", weights)
    pairs = zip(weights, own, wanted, strict=True)
    return sum(w * distance(at_least_single(a), at_least_single(b)) for w, a, b in pairs)


def segmentation_perceptual(
    module: Any,
    variables: PyTree,
    layers: Sequence[str] = ("encoder0", "encoder1", "encoder2"),
    *,
    weight: float = 1.0,
    distance: Loss = l1,
) -> Loss:
    """Distance of images and of what a trained segmentation network sees in them.

    Zhu et al. 2023 (RDST, A residual dense vision transformer for medical image
    super-resolution with segmentation-based perceptual loss fine-tuning, arXiv:2302.11184): a
    U-Net that learned to segment the organ knows which structures matter. Its use as features
    and the sum with the pixels' distance are the paper's; which layers, all weights and the
    distance are this implementation's choice (the authors' example has 0.1 of the pixels).

    Args:
        module: that segments, such as `medjax.models.UNet`.
        variables: what it learned.
        layers: see `captured`; those of the U-Net's encoder.
        weight: of the features beside the pixels.
        distance: of pixels and of features.

    Returns:
        A loss of images ``(batch, *spatial, channel)``.
    """
    seen = perceptual(captured(module, variables, layers), distance=distance)

    def loss(prediction: Array, target: Array) -> Float[Array, " batch"]:
        return distance(prediction, target) + weight * seen(prediction, target)

    return loss


def on_gradients(loss: Loss) -> Loss:
    """A loss of the images' gradient maps, `medjax.image.resize.gradient_magnitude`.

    Ma et al. 2020 (SPSR, arXiv:2003.13081): edges should be where they are, and as steep. What
    differs from the authors' code: differences are halved, and the border is repeated, not zero.

    Args:
        loss: of images ``(batch, *spatial, channel)``.
    """

    def of_maps(prediction: Array, target: Array) -> Float[Array, " batch"]:
        return loss(gradient_magnitude(prediction), gradient_magnitude(target))

    return of_maps


def contextual(features: FeatureMaps, bandwidth: float = 0.5) -> Loss:
    """Distance of images as sets of features, wherever they are (Mechrez et al. 2018).

    arXiv:1803.02077, eq. 1 to 5: of cosine distances about the target's mean, each relative to
    the nearest, a softmax over the target's features says which one a feature is like; the loss
    is minus the logarithm of the mean, over the target's features, of the largest. Distances are
    halved, as in the authors' code, which matters only beside the 1e-5 added to the nearest.
    Memory grows with the square of the number of places.

    Args:
        features: of a fixed network, or images themselves: ``lambda x: [x]`` has no meaning for
            one channel, where all directions are alike.
        bandwidth: of the softmax.

    Returns:
        A loss of images ``(batch, *spatial, channel)``, the sum over maps.

    Raises:
        InputError: for a bandwidth that is not positive.
    """
    if not bandwidth > 0:
        raise InputError("bandwidth", "a number above 0", bandwidth)

    def of(own: Array, wanted: Array) -> Float[Array, " batch"]:
        own, wanted = (
            at_least_single(a).reshape(a.shape[0], -1, a.shape[-1]) for a in (own, wanted)
        )
        centre = wanted.mean(axis=1, keepdims=True)
        own, wanted = _directions(own - centre), _directions(wanted - centre)
        cosine = jnp.einsum("bnc,bmc->bnm", own, wanted, precision="highest")
        distance = jnp.maximum(1 - cosine, 0) / 2
        relative = distance / (distance.min(axis=2, keepdims=True) + 1e-5)
        alike = jax.nn.softmax((1 - relative) / bandwidth, axis=2)
        return -jnp.log(mean_per_sample(alike.max(axis=1)))

    def loss(prediction: Array, target: Array) -> Float[Array, " batch"]:
        wanted = jax.lax.stop_gradient(features(target))
        return sum(of(a, b) for a, b in zip(features(prediction), wanted, strict=True))

    return loss


def _directions(x: Array) -> Array:
    return x * jax.lax.rsqrt(jnp.square(x).sum(axis=-1, keepdims=True) + 1e-12)
