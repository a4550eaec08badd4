"""A stack of transformer blocks, compiled as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .attention import AttentionKind, Implementation, MultiHeadAttention
from .drop import DropPath, LayerScale
from .layer_norm import LayerNorm
from .mlp import MLP, gelu
from .position import rotary

Remat = Literal["none", "full", "dots"]
"""What the backward pass computes anew: nothing; each block from its input, in the least
memory; all of a block but its products with parameters, which cost the most to repeat."""


def rematerialised(call: Any, remat: str, static: Sequence[int] = ()) -> Any:
    """A module's class, or a function of a module, that keeps for the backward pass what is said.

    Args:
        call: what is changed.
        remat: see `Remat`.
        static: places of the arguments that are Python values; the module's is 0.

    Raises:
        InputError: for another ``remat``.
    """
    if remat not in get_args(Remat):
        raise InputError("remat", f"one of {', '.join(get_args(Remat))}", repr(remat))
    if remat == "none":
        return call
    # Attention matrices are the products with batch dimensions: large, and quick to repeat.
    policy = jax.checkpoint_policies.dots_with_no_batch_dims_saveable if remat == "dots" else None
    return nn.remat(call, policy=policy, static_argnums=tuple(static), prevent_cse=False)


class Block(nn.Module):
    """Attention, then an MLP, each after a norm and added to its input (pre-norm).

    The block of Dosovitskiy et al. 2021 (arXiv:2010.11929, eq. 2 and 3).

    Attributes:
        heads: see `MultiHeadAttention`, as for ``qkv_bias``, ``qk_norm``, ``kind`` and
            ``implementation``.
        hidden: channels within the MLP.
        swiglu: see `MLP`.
        layer_scale: first value of `LayerScale` after each part; none where it is None.
        epsilon: of the norms.
        dtype: of the computation and the output; parameters are float32.
    """

    heads: int
    hidden: int
    qkv_bias: bool = True
    qk_norm: bool = False
    swiglu: bool = False
    layer_scale: float | None = None
    kind: AttentionKind = "softmax"
    implementation: Implementation = None
    epsilon: float = 1e-6
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch token channel"],
        coordinates: Float[Array, "*batch placed axis"] | None,
        drop_path: float | Float[Array, ""],
        train: bool,
    ) -> Float[Array, "batch token channel"]:
        """Apply to tokens.

        Args:
            x: in ``dtype``.
            coordinates: of the last tokens, which `rotary` is to turn; those before them are
                nowhere, and not turned. None turns none.
            drop_path: see `DropPath`.
            train: likewise.
        """

        def normed(name: str, x: Array) -> Array:
            return LayerNorm(self.epsilon, self.dtype, name=name)(x)

        def added(x: Array, branch: Array, index: int) -> Array:
            if self.layer_scale is not None:
                branch = LayerScale(self.layer_scale, name=f"scale{index}")(branch)
            return x + DropPath(name=f"drop{index}")(branch, drop_path, train)

        def rotate(y: Array) -> Array:
            first = y.shape[1] - coordinates.shape[-2]
            return jnp.concatenate([y[:, :first], rotary(y[:, first:], coordinates)], axis=1)

        attention = MultiHeadAttention(
            self.heads,
            self.qkv_bias,
            self.qk_norm,
            self.kind,
            self.implementation,
            self.epsilon,
            self.dtype,
            name="attention",
        )
        y = attention(normed("norm1", x), rotate=None if coordinates is None else rotate)
        x = added(x, y, 1)
        activation = nn.silu if self.swiglu else gelu
        mlp = MLP(self.hidden, self.swiglu, activation, self.dtype, name="mlp")
        return added(x, mlp(normed("norm2", x)), 2)


class Transformer(nn.Module):
    """Blocks in a row, their parameters stacked along a first axis.

    One block is compiled and scanned over, so that the time to compile does not grow with
    the depth, and one layer's gathered parameters are on a device at a time.

    Attributes:
        block: the block that is repeated, made with ``parent=None``.
        depth: number of blocks.
        drop_path: chance of `DropPath` in the last block; it grows from 0 in the first in
            equal steps (Huang et al. 2016, eq. 4).
        remat: see `Remat`.
        unroll: blocks that are laid out one after the other in each turn of the scan: more
            of them run a little faster and compile longer.
    """

    block: Block
    depth: int
    drop_path: float = 0.0
    remat: Remat = "none"
    unroll: int = 1

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch token channel"],
        coordinates: Float[Array, "*batch placed axis"] | None = None,
        train: bool = False,
    ) -> Float[Array, "batch token channel"]:
        """Apply all blocks; see `Block`."""

        def one(block: Block, x: Array, rate: Array | None) -> tuple[Array, None]:
            return block(x, coordinates, 0.0 if rate is None else rate, train), None

        rates = None
        if self.drop_path and train:
            steps = np.linspace(0, self.drop_path, self.depth, dtype=np.float32)
            rates = jnp.asarray(steps)
        scan = nn.scan(
            rematerialised(one, self.remat),
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            length=self.depth,
            unroll=self.unroll,
        )
        return scan(self.block, x, rates)[0]
