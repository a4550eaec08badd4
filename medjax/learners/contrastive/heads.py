"""What stands on a backbone while it learns without labels, and is thrown away after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float
from medjax.layers.mlp import gelu
from medjax.layers.norm import normalization
from medjax.layers.standardise import BatchNorm
from medjax.losses.pairs import unit


class Embedding(NamedTuple):
    """What `Embedder` makes of images.

    Attributes:
        features: float32 ``(batch, channel)``, the encoder's.
        projection: ``(batch, dim)``, the projector's.
        prediction: ``(batch, dim)``, the predictor's; None where there is none.
    """

    features: Float[Array, "batch channel"]
    projection: Array
    prediction: Array | None


class Embedder(nn.Module):
    """An encoder and the heads that a method puts on it.

    Attributes:
        encoder: any module ``(images, train=...) -> (batch, channel)``.
        projector: ``(features, train) -> (batch, dim)``.
        predictor: likewise of the projection; only a student has one.
    """

    encoder: nn.Module
    projector: nn.Module
    predictor: nn.Module | None = None

    def __call__(self, x: Array, train: bool = False) -> Embedding:
        """All of it."""
        features, projection = self.project(x, train)
        prediction = None if self.predictor is None else self.predictor(projection, train)
        return Embedding(features, projection, prediction)

    def project(self, x: Array, train: bool = False) -> tuple[Array, Array]:
        """Features and projection: what a teacher needs."""
        features = self.encode(x, train)
        return features, self.projector(features, train)

    def encode(self, x: Array, train: bool = False) -> Float[Array, "batch channel"]:
        """The features, which are what stays."""
        return self.encoder(x, train=train).astype(jnp.float32)


class MLPHead(nn.Module):
    """Dense layers with an activation between them.

    Attributes:
        widths: outputs of each layer; of one number it is a linear map.
        norm: whether batch norm follows each layer but the last.
        last_norm: whether one follows the last too, without a learned scale and bias.
        activation: elementwise function.
        use_bias: whether layers without a norm have a bias.
    """

    widths: Sequence[int]
    norm: bool = False
    last_norm: bool = False
    activation: Callable[[Array], Array] = nn.relu
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "*batch out"]:
        """Map ``(..., channel)`` vectors, one by one or the places of a map."""
        last = len(self.widths) - 1
        for number, width in enumerate(self.widths):
            normed = self.norm if number < last else self.last_norm
            x = nn.Dense(width, use_bias=self.use_bias and not normed, name=f"dense{number}")(x)
            if number < last and normed:
                x = normalization("batch", width, train=train, name=f"norm{number}")(x)
            elif normed:
                x = BatchNorm(train, affine=False, name="norm_last")(x)
            x = x if number == last else self.activation(x)
        return x


class PrototypeHead(nn.Module):
    """DINO's head: an MLP, a unit vector, and its cosine with learned prototypes.

    Caron et al. 2021 (arXiv:2104.14294, appendix C): three layers with GELU and no norm, a
    bottleneck, and a last layer whose weights are unit vectors.

    Attributes:
        prototypes: number of logits.
        hidden: channels of the MLP.
        bottleneck: channels of the unit vector.
        layers: of the MLP, the one to the bottleneck among them.
        norm: whether batch norm follows each layer but the bottleneck, as the authors' code
            offers. Encoders without batch norm want it: where all images' features point in
            nearly one direction, so do their logits, and targets become even.
    """

    prototypes: int = 65536
    hidden: int = 2048
    bottleneck: int = 256
    layers: int = 3
    norm: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "*batch prototype"]:
        """Logits of ``(..., channel)`` features."""
        init = nn.initializers.truncated_normal(0.02)
        for number in range(self.layers):
            last = number == self.layers - 1
            width, normed = (self.bottleneck, False) if last else (self.hidden, self.norm)
            x = nn.Dense(width, use_bias=not normed, kernel_init=init, name=f"dense{number}")(x)
            if normed:
                x = normalization("batch", width, train=train, name=f"norm{number}")(x)
            x = x if last else gelu(x)
        shape = (self.prototypes, self.bottleneck)
        kernel = self.param("prototypes", nn.initializers.truncated_normal(0.02), shape)
        return jnp.einsum("...c,pc->...p", unit(x), unit(kernel))


def mlp(head: Any, *widths: int, norm: bool = False, last_norm: bool = False) -> Any:
    """`own` of ``head``, or where it is None an `MLPHead` of these widths."""
    return MLPHead(widths, norm=norm, last_norm=last_norm) if head is None else own(head)


def own(head: Any) -> Any:
    """A copy of a module: Linen takes one instance under two names for one set of parameters."""
    return head.clone()
