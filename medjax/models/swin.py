"""The Swin transformer, both versions."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.attention import INIT, Implementation
from medjax.layers.conv import Size, per_axis
from medjax.layers.dense import Dense
from medjax.layers.drop import DropPath
from medjax.layers.layer_norm import LayerNorm
from medjax.layers.mlp import MLP
from medjax.layers.patch import PatchEmbed, to_patches
from medjax.layers.transformer import Remat, rematerialised
from medjax.layers.window import WindowAttention

from .backbone import Backbone, Features

SIZES: dict[str, dict[str, Any]] = {
    "t": {"width": 96, "depths": (2, 2, 6, 2), "heads": (3, 6, 12, 24)},
    "s": {"width": 96, "depths": (2, 2, 18, 2), "heads": (3, 6, 12, 24)},
    "b": {"width": 128, "depths": (2, 2, 18, 2), "heads": (4, 8, 16, 32)},
    "l": {"width": 192, "depths": (2, 2, 18, 2), "heads": (6, 12, 24, 48)},
}
"""Liu et al. 2021, section 3.3, and the same sizes of the second version."""


class Swin(Backbone):
    """Swin transformer, T to L, of Liu et al. 2021 (arXiv:2103.14030) and 2022 (arXiv:2111.09883).

    As in the papers: attention in windows that shift from block to block, patches merged by
    two along each axis between stages, and the mean of the last stage's normed patches. The
    second version has norms after each branch, cosine attention and a continuous bias. What
    differs: 2D and 3D by the input (all axes merge), images of any size (zeros fill the last
    patch and window, and are not attended to), and scales of the second version's norms that
    start at 1e-1, not 0, so that all parameters learn from the first step.

    `features` gives one map a stage, before it is merged; the last is normed.

    Attributes:
        width: channels of the first stage; each merge doubles them.
        depths: blocks of each stage.
        heads: of each stage.
        patch: size of a patch along each axis.
        window: size of a window in patches along each axis.
        mlp_ratio: channels within the MLPs over channels.
        version: 1 or 2.
        pretrained: windows of the pretraining, one a stage, where the second version is used
            with others (see `WindowAttention`).
        drop_path: chance of `DropPath` in the last block, growing from 0 in the first.
        implementation: see `medjax.layers.attention.Implementation`.
        remat: see `medjax.layers.transformer.Remat`; by block.
        epsilon: of the norms.
        dtype: of the computation. Parameters, the pooled vector and logits are float32.
    """

    width: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (3, 6, 12, 24)
    patch: Size = 4
    window: Size = 7
    mlp_ratio: int = 4
    version: int = 1
    pretrained: tuple[int, ...] | None = None
    drop_path: float = 0.0
    implementation: Implementation = None
    remat: Remat = "none"
    epsilon: float = 1e-5
    dtype: jnp.dtype | type = jnp.float32

    @classmethod
    def named(cls, size: str, **changes: Any) -> Swin:
        """A size of the literature.

        Args:
            size: "t", "s", "b" or "l", see `SIZES`.
            **changes: of any attribute, such as ``window=8, version=2``.

        Raises:
            InputError: for another size.
        """
        if size not in SIZES:
            raise InputError("size", f"one of {', '.join(SIZES)}", repr(size))
        return cls(**{**SIZES[size], **changes})

    @nn.compact
    def features(self, x: Array, train: bool = False) -> Features:
        """Maps of all stages, finest first, and the mean of the last.

        Args:
            x: floating ``(batch, *spatial, channel)``, 2D or 3D, of any size.
            train: whether stochastic depth acts.

        Raises:
            InputError: for another rank or dtype, or fields that do not fit each other.
        """
        stages = len(self.depths)
        if len(self.heads) != stages or self.version not in (1, 2):
            expected = f"heads for each of {stages} stages, and version 1 or 2"
            raise InputError("Swin", expected, f"heads {self.heads}, version {self.version}")
        if self.pretrained is not None and len(self.pretrained) != stages:
            raise InputError("pretrained", f"{stages} windows, one a stage", self.pretrained)
        y = PatchEmbed(self.width, self.patch, dtype=self.dtype, name="patch_embed")(x)
        y = LayerNorm(self.epsilon, self.dtype, name="patch_norm")(y)
        window = per_axis(self.window, y.ndim - 2, "window")
        rates = iter(np.linspace(0, self.drop_path, sum(self.depths)).tolist())
        # The module, its input and the rate; the last two are Python's.
        block = rematerialised(SwinBlock, self.remat, static=(2, 3))
        maps = []
        for stage, (depth, heads) in enumerate(zip(self.depths, self.heads, strict=True)):
            if stage:
                merge = PatchMerging(self.version, self.epsilon, self.dtype, name=f"merge{stage}")
                y = merge(y)
            for i in range(depth):
                made = block(
                    heads,
                    window,
                    bool(i % 2),
                    self.mlp_ratio,
                    self.version,
                    None if self.pretrained is None else (self.pretrained[stage],) * len(window),
                    self.implementation,
                    self.epsilon,
                    self.dtype,
                    name=f"stage{stage}_block{i}",
                )
                y = made(y, next(rates), train)
            maps.append(y)
        maps[-1] = LayerNorm(self.epsilon, self.dtype, name="norm")(y)
        pooled = maps[-1].mean(axis=tuple(range(1, y.ndim - 1)), dtype=jnp.float32)
        return Features(pooled, tuple(maps))


class SwinBlock(nn.Module):
    """Attention in windows, then an MLP, each added to its input.

    Norms are before each (version 1) or after, before it is added (version 2).

    Attributes:
        heads: see `WindowAttention`, as for ``window``, ``shifted``, ``pretrained`` and
            ``implementation``.
        mlp_ratio: see `Swin`, as for ``version``, ``epsilon`` and ``dtype``.
    """

    heads: int
    window: tuple[int, ...]
    shifted: bool
    mlp_ratio: int
    version: int
    pretrained: tuple[int, ...] | None
    implementation: Implementation
    epsilon: float
    dtype: jnp.dtype | type

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"], drop_path: float, train: bool
    ) -> Float[Array, "batch *spatial channel"]:
        """Apply to an image of tokens."""
        second = self.version == 2
        attention = WindowAttention(
            self.heads,
            self.window,
            self.shifted,
            second,
            self.pretrained,
            self.implementation,
            self.dtype,
            name="attention",
        )
        mlp = MLP(self.mlp_ratio * x.shape[-1], dtype=self.dtype, name="mlp")
        for i, part in enumerate((attention, mlp), start=1):
            initial = 0.1 if second else 1.0
            norm = LayerNorm(self.epsilon, self.dtype, initial, name=f"norm{i}")
            branch = norm(part(x)) if second else part(norm(x))
            x = x + DropPath(name=f"drop{i}")(branch, drop_path, train)
        return x


class PatchMerging(nn.Module):
    """Neighbours two by two, along each axis, to one token of twice the channels.

    Attributes:
        version: the norm comes before the product (1) or after it (2).
        epsilon: of the norm.
        dtype: of the computation and the output.
    """

    version: int
    epsilon: float
    dtype: jnp.dtype | type

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"]
    ) -> Float[Array, "batch *halved channels"]:
        """Apply to an image of tokens; zeros stand beside the last of an odd number."""
        channels, axes = x.shape[-1], x.ndim - 2
        y = to_patches(x, 2)
        # The authors have the first axis run fastest.
        y = y.reshape(*y.shape[:-1], *(2,) * axes, channels)
        first = y.ndim - axes - 1
        order = [*range(first), *reversed(range(first, y.ndim - 1)), y.ndim - 1]
        y = y.transpose(order).reshape(*y.shape[:first], -1)
        norm = LayerNorm(self.epsilon, self.dtype, name="norm")
        dense = Dense(
            2 * channels, use_bias=False, dtype=self.dtype, kernel_init=INIT, name="reduction"
        )
        return dense(norm(y)) if self.version == 1 else norm(dense(y))
