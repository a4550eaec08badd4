"""The attentive probe: one query that looks at all of a frozen network's patches."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from medjax.core.batches import in_batches
from medjax.core.errors import InputError
from medjax.core.random import generator
from medjax.core.types import Array, Float, Int, Key

from .protocol import CHOICE, Classifier, Protocol
from .sets import Labelled

Params = dict[str, Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentiveProbe(Protocol):
    """Cross-attention with one learned query, and a linear layer, on frozen patches.

    A linear probe asks for the answer in one pooled vector, which methods that predict
    patches never trained. This probe learns what to look at: V-JEPA's (Bardes et al. 2024,
    arXiv:2404.08471) without its second block (MLP), as in CAPI (Darcet et al. 2025,
    arXiv:2502.08769). Inputs are patches or the places of a feature map, ``(sample, token,
    channel)``.

    Attributes:
        rates: learning rates to choose from, the smallest first.
        weight_decay: of AdamW.
        heads: of attention; must divide the channels.
        steps: of training, for any number of samples.
        batch_size: at most; each pass over the samples is in a new order.
    """

    title: ClassVar[str] = "attentive probe on frozen patches"
    fixed: ClassVar[tuple[str, ...]] = (
        "patches standardised by the training patches' mean and standard deviation",
        "one query; keys, values and output projected; linear head",
        "AdamW, learning rate warmed up over a tenth of the steps, then a cosine to 0; "
        "the last step counts",
        f"learning rate {CHOICE}",
    )
    seeded: ClassVar[bool] = True

    rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    weight_decay: float = 0.05
    heads: int = 4
    steps: int = 300
    batch_size: int = 128

    def candidates(self) -> Sequence[Mapping[str, Any]]:
        return [{"rate": rate} for rate in self.rates]

    def fit(
        self, train: Labelled, classes: int, setting: Mapping[str, Any], seed: int
    ) -> Classifier:
        if train.inputs.ndim != 3 or train.inputs.shape[-1] % self.heads:
            expected = f"patches (sample, token, channel) with a multiple of {self.heads} channels"
            raise InputError("inputs", expected, train.inputs.shape)
        mean = train.inputs.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
        sd = train.inputs.std(axis=(0, 1), dtype=np.float64).astype(np.float32)
        sd = np.where(sd > 0, sd, np.float32(1))

        def standard(inputs: np.ndarray) -> np.ndarray:
            return ((inputs - mean) / sd).astype(np.float32)

        order = passes(len(train), self.batch_size, self.steps, seed)
        params = _train(
            self,
            jnp.asarray(standard(train.inputs)),
            jnp.asarray(train.labels, jnp.int32),
            jnp.asarray(order),
            jnp.asarray(setting["rate"], jnp.float32),
            jax.random.key(seed),
            classes,
        )
        return in_batches(lambda inputs: _logits(params, jnp.asarray(standard(inputs)), self.heads))


def passes(samples: int, batch_size: int, steps: int, seed: int) -> np.ndarray:
    """Which samples each step sees: one permutation of all after the other.

    Args:
        samples: how many there are.
        batch_size: at most; with fewer samples every step sees all.
        steps: how many.
        seed: of the permutations.

    Returns:
        int32 ``(step, min(batch_size, samples))``.
    """
    size = min(batch_size, samples)
    rng = generator(seed, 0x0DE7)
    rounds = -(-steps * size // samples)
    order = np.concatenate([rng.permutation(samples) for _ in range(rounds)])
    return order[: steps * size].reshape(steps, size).astype(np.int32)


def _init(key: Key[Array, ""], channels: int, classes: int) -> Params:
    names = ("query", "key", "value", "output", "head")
    keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))

    def normal(name: str, *shape: int) -> Array:
        return jax.random.normal(keys[name], shape) * 0.02

    return {
        "query": normal("query", channels),
        **{name: normal(name, channels, channels) for name in ("key", "value", "output")},
        "head": normal("head", channels, classes),
        "bias": jnp.zeros((classes,)),
    }


@functools.partial(jax.jit, static_argnums=2)
def _logits(
    params: Params, patches: Float[Array, "batch token channel"], heads: int
) -> Float[Array, "batch class"]:
    shape = (*patches.shape[:2], heads, -1)
    keys = (patches @ params["key"]).reshape(shape)
    values = (patches @ params["value"]).reshape(shape)
    query = params["query"].reshape(heads, -1) * keys.shape[-1] ** -0.5
    weights = jax.nn.softmax(jnp.einsum("hc,bthc->bth", query, keys), axis=1)
    pooled = jnp.einsum("bth,bthc->bhc", weights, values).reshape(len(patches), -1)
    return pooled @ params["output"] @ params["head"] + params["bias"][None]


@functools.partial(jax.jit, static_argnums=(0, 6))
def _train(
    probe: AttentiveProbe,
    patches: Float[Array, "sample token channel"],
    labels: Int[Array, " sample"],
    order: Int[Array, "step batch"],
    rate: Float[Array, ""],
    key: Key[Array, ""],
    classes: int,
) -> Params:
    schedule = warm_cosine(probe.steps)
    optimizer = optax.adamw(lambda count: rate * schedule(count), weight_decay=probe.weight_decay)
    params = _init(key, patches.shape[-1], classes)

    def loss(params: Params, chosen: Array) -> Array:
        logits = _logits(params, patches[chosen], probe.heads)
        each = optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels[chosen])
        return jnp.mean(each)

    def step(carry: tuple[Params, Any], chosen: Array) -> tuple[tuple[Params, Any], None]:
        params, state = carry
        grads = jax.grad(loss)(params, chosen)
        # Optax raises floats to integer powers, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimizer.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, optimizer.init(params)), order)[0][0]


def warm_cosine(steps: int) -> optax.Schedule:
    """From 0 to 1 over a tenth of the steps, then half a cosine to 0."""
    return optax.warmup_cosine_decay_schedule(0.0, 1.0, max(1, steps // 10), max(2, steps))
