"""Attention between tokens: of many heads, to itself or a context, softmax or linear."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Bool, Float

from .dense import Dense
from .layer_norm import LayerNorm

Implementation = Literal["xla", "cudnn"] | None
"""Of softmax attention: XLA's own operations; cuDNN's fused kernel, which never writes the
attention matrix and needs an NVIDIA GPU and bfloat16 or float16; None takes cuDNN's where
there is one that takes the arrays (`fits_cudnn`), and XLA's elsewhere. cuDNN's has no second
or forward-mode derivative, for which XLA's is to be named."""

AttentionKind = Literal["softmax", "linear"]

INIT = nn.initializers.truncated_normal(0.02)
"""Initialiser of transformers' kernels, as in the ViT and Swin of their authors."""


def linear_attention(
    query: Float[Array, "batch target head channel"],
    key: Float[Array, "batch source head channel"],
    value: Float[Array, "batch source head channel"],
) -> Float[Array, "batch target head channel"]:
    """Attention whose cost is linear in the number of tokens.

    Katharopoulos et al. 2020 (arXiv:2006.16236, eq. 5 and 7): the similarity of query and
    key is the product of ``elu + 1`` of each, so that keys and values are summed first.
    The computation is float32: sums over all tokens outgrow bfloat16.
    """
    query, key, values = (a.astype(jnp.float32) for a in (query, key, value))
    query, key = nn.elu(query) + 1, nn.elu(key) + 1
    context = jnp.einsum("bshc,bshd->bhcd", key, values)
    weight = jnp.einsum("bthc,bhc->bth", query, key.sum(axis=1))
    return (jnp.einsum("bthc,bhcd->bthd", query, context) / weight[..., None]).astype(value.dtype)


@functools.cache
def has_cudnn() -> bool:
    """Whether the default device is an NVIDIA GPU with a fused kernel (Ampere or newer)."""
    if jax.default_backend() != "gpu":
        return False
    capability = str(getattr(jax.devices()[0], "compute_capability", ""))
    return re.fullmatch(r"\d+\.\d+", capability) is not None and float(capability) >= 8


def fits_cudnn(query: Array, bias: Array | None, mask: Array | None) -> bool:
    """Whether cuDNN's kernel takes these; of biases and masks it takes some, and none here."""
    half = query.dtype in (jnp.bfloat16, jnp.float16)
    channels = query.shape[-1]
    return half and channels % 8 == 0 and channels <= 128 and bias is None and mask is None


def scored(
    query: Float[Array, "batch target head channel"],
    key: Float[Array, "batch source head channel"],
    value: Float[Array, "batch source head channel"],
    bias: Float[Array, "_ _ target source"] | None,
    mask: Bool[Array, "_ _ target source"] | None,
    scale: float | None,
) -> Float[Array, "batch target head channel"]:
    """`attend` by XLA's operations, through the matrix of all scores.

    The weights are divided by their sum after they have met the values: what is divided is
    then a vector a token, not the matrix, and in the backward pass likewise.
    """
    wide = jnp.promote_types(value.dtype, jnp.float32)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    # The fewer numbers are scaled, the queries; but not in half precision, which would round.
    early = query.dtype == wide
    score = jnp.einsum(
        "bthc,bshc->bhts", query * scale if early else query, key, preferred_element_type=wide
    )
    if not early:
        score *= scale
    if bias is not None:
        score += bias.astype(wide)
    if mask is not None:
        # Finite, so that a row that may see nothing is a mean of all and not a NaN.
        score = jnp.where(mask, score, 0.7 * jnp.finfo(wide).min)
    weight = jnp.exp(score - jax.lax.stop_gradient(score.max(axis=-1, keepdims=True)))
    y = jnp.einsum(
        "bhts,bshc->bhtc", weight.astype(value.dtype), value, preferred_element_type=wide
    )
    return (y / weight.sum(axis=-1, keepdims=True)).astype(value.dtype).swapaxes(1, 2)


def attend(
    query: Float[Array, "batch target head channel"],
    key: Float[Array, "batch source head channel"],
    value: Float[Array, "batch source head channel"],
    bias: Float[Array, "_ _ target source"] | None = None,
    mask: Bool[Array, "_ _ target source"] | None = None,
    *,
    scale: float | None = None,
    implementation: Implementation = None,
) -> Float[Array, "batch target head channel"]:
    """Softmax attention; the softmax is float32.

    Args:
        query: of one dtype with the others.
        key: what queries meet.
        value: what is averaged.
        bias: float32, added to the logits; batch and head axes may be 1.
        mask: false where a target must not see a source; axes likewise.
        scale: of the products; by default one over the root of the channels.
        implementation: see `Implementation`.
    """
    plain = functools.partial(scored, bias=bias, mask=mask, scale=scale)

    def fused(query: Array, key: Array, value: Array) -> Array:
        lengths = {}
        targets, sources = query.shape[1], key.shape[1]
        if bias is None and mask is None and (targets % 2 or sources % 2):
            # Its backward pass takes even numbers of tokens only, and a class token makes odd.
            query, key, value = (
                jnp.pad(a, [(0, 0), (0, a.shape[1] % 2), (0, 0), (0, 0)])
                for a in (query, key, value)
            )
            for name, count in (("query", targets), ("key_value", sources)):
                lengths[f"{name}_seq_lengths"] = jnp.full(query.shape[:1], count, jnp.int32)
        y = jax.nn.dot_product_attention(
            query, key, value, bias, mask, scale=scale, implementation="cudnn", **lengths
        )
        return y[:, :targets]

    # JAX works out the dtype of its sums by a promotion, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        if implementation is None and has_cudnn() and fits_cudnn(query, bias, mask):
            # By the platform that is compiled for, which may be another than the one at hand.
            # What one kept for the backward pass the other would have to keep as well: so
            # XLA's, which would keep the attention matrix, keeps nothing.
            elsewhere = jax.checkpoint(plain)
            return jax.lax.platform_dependent(query, key, value, cuda=fused, default=elsewhere)
        return (fused if implementation == "cudnn" else plain)(query, key, value)


class MultiHeadAttention(nn.Module):
    """Attention of several heads (Vaswani et al. 2017, arXiv:1706.03762).

    Queries, keys and values come from one product with a kernel ``(channel, 3, head,
    channel / head)``, or from two with a context, so that heads can be split over devices.

    Attributes:
        heads: number of heads, a divisor of the channels.
        qkv_bias: whether queries, keys and values have a bias.
        qk_norm: layer norm of queries and keys a head before their product, which keeps
            large models stable (Dehghani et al. 2023, arXiv:2302.05442, section 2.1).
        kind: "softmax" or "linear" (`linear_attention`, without bias and mask).
        implementation: see `Implementation`.
        epsilon: of the norms.
        dtype: of the computation and the output; parameters are float32.
        kernel_init: initialiser of the kernels.
    """

    heads: int
    qkv_bias: bool = True
    qk_norm: bool = False
    kind: AttentionKind = "softmax"
    implementation: Implementation = None
    epsilon: float = 1e-6
    dtype: jnp.dtype | type = jnp.float32
    kernel_init: nn.initializers.Initializer = INIT

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch target channel"],
        context: Float[Array, "batch source other"] | None = None,
        *,
        bias: Float[Array, "_ _ target source"] | None = None,
        mask: Bool[Array, "_ _ target source"] | None = None,
        rotate: Callable[[Array], Array] | None = None,
    ) -> Float[Array, "batch target channel"]:
        """Each token's mean of values, weighted by how its query meets the keys.

        Args:
            x: what asks, and what answers where there is no context.
            context: what answers in cross attention.
            bias: see `attend`.
            mask: likewise.
            rotate: applied to queries and keys, ``(batch, token, head, channel)``, before
                their product: `medjax.layers.position.rotary`.

        Raises:
            InputError: where the heads do not divide the channels, and for a bias or mask
                with linear attention.
        """
        channels = x.shape[-1]
        if channels % self.heads:
            raise InputError("heads", f"a divisor of the {channels} channels", self.heads)
        if self.kind == "linear" and (bias is not None or mask is not None):
            raise InputError("attention", "softmax attention for a bias or mask", repr(self.kind))

        def project(tokens: Array, parts: int, name: str) -> list[Array]:
            shape = (parts, self.heads, channels // self.heads)
            dense = Dense(
                shape,
                use_bias=self.qkv_bias,
                dtype=self.dtype,
                kernel_init=self.kernel_init,
                name=name,
            )
            # Split, and not indexed: gradients are then put together, not padded and added.
            return [part[:, :, 0] for part in jnp.split(dense(tokens), parts, axis=2)]

        if context is None:
            query, key, value = project(x, 3, "qkv")
        else:
            (query,), (key, value) = project(x, 1, "query"), project(context, 2, "key_value")
        if self.qk_norm:
            query = LayerNorm(self.epsilon, self.dtype, name="query_norm")(query)
            key = LayerNorm(self.epsilon, self.dtype, name="key_norm")(key)
        if rotate is not None:
            query, key = rotate(query), rotate(key)
        if self.kind == "linear":
            y = linear_attention(query, key, value)
        else:
            y = attend(query, key, value, bias, mask, implementation=self.implementation)
        out = Dense(channels, dtype=self.dtype, kernel_init=self.kernel_init, axes=2, name="out")
        return out(y)
