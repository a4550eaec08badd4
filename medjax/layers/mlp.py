"""The part of a transformer's block that looks at one token at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float

from .attention import INIT
from .dense import Dense

gelu = partial(nn.gelu, approximate=False)
"""GELU by the error function, as transformers' authors have it; not the tanh that imitates it."""


class MLP(nn.Module):
    """Two dense layers with an activation between.

    Attributes:
        hidden: channels between.
        gated: the first layer makes two halves, and the activation of one multiplies the
            other (Shazeer 2020, arXiv:2002.05202); with ``nn.silu`` it is SwiGLU.
        activation: elementwise function.
        dtype: of the computation and the output; parameters are float32.
    """

    hidden: int
    gated: bool = False
    activation: Callable[[Array], Array] = gelu
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "*batch channel"]:
        """Map ``(..., channel)`` to the same."""
        dense = {"dtype": self.dtype, "kernel_init": INIT}
        if self.gated:
            gate = Dense(self.hidden, **dense, name="gate")(x)
            y = self.activation(gate) * Dense(self.hidden, **dense, name="up")(x)
        else:
            y = self.activation(Dense(self.hidden, **dense, name="up")(x))
        return Dense(x.shape[-1], **dense, name="down")(y)
