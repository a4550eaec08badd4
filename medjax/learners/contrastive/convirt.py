"""ConVIRT: images and the texts that were written of them."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax.augment import keyed
from medjax.core.arrays import with_rank
from medjax.core.types import Array, Batch, Float, Int, Key
from medjax.layers.attention import INIT, MultiHeadAttention
from medjax.layers.layer_norm import LayerNorm
from medjax.layers.mlp import MLP
from medjax.layers.position import sinusoidal
from medjax.learners.learner import Learner
from medjax.losses.contrastive import image_text

from .heads import mlp
from .passes import passes
from .pretrain import Outcome, collections_of, pretraining, spread


def convirt(
    encoder: Any,
    text_encoder: Any,
    optimizer: optax.GradientTransformation,
    *,
    projector: Any = None,
    text_projector: Any = None,
    temperature: float = 0.1,
    weight: float = 0.75,
    view: str = "view",
    text: str = "text",
    image: str = "image",
) -> Learner:
    """ConVIRT (Zhang et al. 2020, arXiv:2010.00747): a view of an image and a sentence of its text.

    As in the paper: one sentence of the report, drawn at random; a projector of one hidden
    layer each; the loss of `image_text` over the global batch. What differs: the text encoder
    is any module, where the paper takes ClinicalBERT with its first six layers frozen.

    Args:
        encoder: of images, as for `simclr`.
        text_encoder: any module ``(tokens, train=...) -> (batch, channel)`` of integers
            ``(batch, length)`` that are 0 behind the end, such as `TextEncoder`.
        optimizer: any Optax transformation.
        projector: of images' features; by default an MLP of 512 and 512.
        text_projector: of texts' features; likewise.
        temperature: see `image_text`.
        weight: see `image_text`.
        view: the batch's entry of augmented images.
        text: the batch's entry of tokens, ``(batch, length)``, or ``(batch, sentence, length)``
            to draw a sentence of; sentences of zeros are not there.
        image: see `simclr`.

    Returns:
        A learner as `simclr` makes it; `predict` gives the image encoder's features.
    """
    module = ImageText(
        encoder, text_encoder, mlp(projector, 512, 512), mlp(text_projector, 512, 512)
    )

    def objective(params, state, batch, key):
        tokens = sentence(jax.random.fold_in(key, _SENTENCE), batch, text)
        inputs = [(batch[view], tokens)]
        ((images, texts),), collections = passes(module, params, collections_of(state), inputs, key)
        values = image_text(images, texts, temperature=temperature, weight=weight)
        return Outcome(values, collections, {}, {"spread": spread(images)})

    def example(batch):
        return batch[view], sentence(jax.random.key(0), batch, text)

    return pretraining(module, objective, optimizer, example=example, image=image)


_SENTENCE = 0x7E87  # folded into the key, which dropout uses as it is


def sentence(key: Key[Array, ""], batch: Batch, name: str) -> Int[Array, "batch length"]:
    """One sentence of each text, evenly among those that are there; a lone one as it is."""
    tokens = batch[name]
    if tokens.ndim == 2:
        return tokens

    def one(key: Key[Array, ""], text: Array) -> Array:
        there = jnp.any(text != 0, -1)
        noise = jax.random.uniform(key, there.shape)
        return text[jnp.argmax(jnp.where(there, noise, -1))]

    return jax.vmap(one)(keyed(key, batch), tokens)


class ImageText(nn.Module):
    """Two encoders, and a head on each.

    Attributes:
        encoder: see `convirt`.
        text_encoder: see `convirt`.
        projector: see `convirt`.
        text_projector: see `convirt`.
    """

    encoder: nn.Module
    text_encoder: nn.Module
    projector: nn.Module
    text_projector: nn.Module

    def __call__(self, x: Array, tokens: Array, train: bool = False) -> tuple[Array, Array]:
        """Projections of images and of texts."""
        texts = self.text_encoder(tokens, train=train).astype(jnp.float32)
        return self.projector(self.encode(x, train), train), self.text_projector(texts, train)

    def encode(self, x: Array, train: bool = False) -> Float[Array, "batch channel"]:
        """The image features, which are what stays."""
        return self.encoder(x, train=train).astype(jnp.float32)


class TextEncoder(nn.Module):
    """A small transformer over tokens, and the maximum over those that are there.

    Pre-norm blocks (`medjax.layers`), sinusoidal positions; the maximum is ConVIRT's.

    Attributes:
        vocabulary: number of tokens, 0 (nothing) among them.
        width: channels.
        depth: number of blocks.
        heads: of attention.
    """

    vocabulary: int
    width: int = 256
    depth: int = 4
    heads: int = 4

    @nn.compact
    def __call__(
        self, tokens: Int[Array, "batch length"], train: bool = False
    ) -> Float[Array, "batch width"]:
        """Features of texts; those of an empty one are zeros."""
        there = tokens != 0
        x = nn.Embed(self.vocabulary, self.width, embedding_init=INIT, name="embed")(tokens)
        at = jnp.arange(tokens.shape[1], dtype=jnp.float32)[:, None]
        x = x + with_rank(sinusoidal(at, self.width), 3)
        for number in range(self.depth):
            y = LayerNorm(name=f"norm{number}_attention")(x)
            attention = MultiHeadAttention(self.heads, name=f"attention{number}")
            x = x + attention(y, mask=there[:, None, None] & there[:, None, :, None])
            y = LayerNorm(name=f"norm{number}_mlp")(x)
            x = x + MLP(4 * self.width, name=f"mlp{number}")(y)
        x = LayerNorm(name="norm")(x)
        largest = jnp.max(jnp.where(there[..., None], x, -jnp.inf), 1)
        return jnp.where(jnp.any(there, 1, keepdims=True), largest, 0)
