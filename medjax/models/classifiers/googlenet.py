"""GoogLeNet."""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.attend import ImageAttention, block_attention, stage_attention
from medjax.layers.conv_norm import ConvNorm
from medjax.layers.norm import Norm
from medjax.layers.pool import adaptive_average_pool, global_average_pool, max_pool
from medjax.models.backbone import Backbone, Features


class Branches(NamedTuple):
    """Channels of an inception block; ``reduced`` are those of the 1x1 convolution before.

    Attributes:
        one: of the 1x1 branch.
        three_reduced: before the 3x3 branch.
        three: of the 3x3 branch.
        five_reduced: before the 5x5 branch.
        five: of the 5x5 branch.
        pooled: of the branch that pools.
    """

    one: int
    three_reduced: int
    three: int
    five_reduced: int
    five: int
    pooled: int


V1 = (
    (Branches(64, 96, 128, 16, 32, 32), Branches(128, 128, 192, 32, 96, 64)),
    (
        Branches(192, 96, 208, 16, 48, 64),
        Branches(160, 112, 224, 24, 64, 64),
        Branches(128, 128, 256, 24, 64, 64),
        Branches(112, 144, 288, 32, 64, 64),
        Branches(256, 160, 320, 32, 128, 128),
    ),
    (Branches(256, 160, 320, 32, 128, 128), Branches(384, 192, 384, 48, 128, 128)),
)
"""Szegedy et al. 2015, table 1: inception 3a to 5b."""

EPSILON = 1e-3  # of the weights at large


class Inception(nn.Module):
    """Windows of 1, 3 and 5 and a maximum of 3, side by side.

    Attributes:
        branches: their channels.
        large_kernel: window of the branch of 5.
        norm: see `medjax.layers.Norm`.
        dtype: of the computation and the output.
    """

    branches: Branches
    large_kernel: int = 5
    norm: Norm = "batch"
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial out"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image."""

        def conv(y: Array, name: str, features: int, window: int = 1) -> Array:
            options = {"norm": self.norm, "epsilon": EPSILON, "dtype": self.dtype}
            return ConvNorm(features, window, **options, name=name)(y, train)

        b = self.branches
        three = conv(conv(x, "three_reduced", b.three_reduced), "three", b.three, 3)
        five = conv(x, "five_reduced", b.five_reduced)
        five = conv(five, "five", b.five, self.large_kernel)
        pooled = conv(max_pool(x, 3, 1, padding=1), "pooled", b.pooled)
        return jnp.concatenate([conv(x, "one", b.one), three, five, pooled], axis=-1)


class AuxiliaryHead(nn.Module):
    """A classifier in the middle of the network, which brings gradients there.

    Attributes:
        classes: of the logits.
        features: channels of the convolution.
        hidden: channels of the dense layer.
        norm: see `medjax.layers.Norm`.
        dropout: chance of dropping a value that the last layer reads.
        dtype: of the computation; logits are float32.
    """

    classes: int
    features: int = 128
    hidden: int = 1024
    norm: Norm = "batch"
    dropout: float = 0.7
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch classes"]:
        """Logits of a ``(batch, *spatial, channel)`` image; needs rng "dropout" to train."""
        x = adaptive_average_pool(x, 4)
        common = {"norm": self.norm, "epsilon": EPSILON, "dtype": self.dtype}
        x = ConvNorm(self.features, 1, **common, name="conv")(x, train)
        axes = tuple(range(1, x.ndim))
        dense = nn.DenseGeneral(self.hidden, axis=axes, dtype=self.dtype, name="dense")
        x = nn.relu(dense(x)).astype(jnp.float32)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.classes, name="head")(x)


class GoogLeNet(Backbone):
    """GoogLeNet (inception v1) of Szegedy et al. 2015 (arXiv:1409.4842).

    As in the paper, but with batch norm after each convolution in the place of its local
    response norm. 2D and 3D by the input.

    `features` gives the mean of the last map, and five maps: the first convolution's
    (reduced by 2), the stem's (by 4) and each stage's (by 8, 16 and 32).

    Attributes:
        stages: channels of the inception blocks between poolings.
        stem: channels of the three convolutions before.
        large_kernel: window of the inception blocks' branch of 5; torchvision's weights have 3.
        auxiliary: whether the two classifiers in the middle of the second stage exist, after
            its first block and the last but one; `with_auxiliary` gives their logits.
        dropout: chance of dropping a value that the head reads.
        auxiliary_dropout: likewise of the auxiliary heads.
        norm: see `medjax.layers.Norm`.
        attention: see `medjax.layers.attend.ImageAttention`: after each inception block;
            "nonlocal" after the first two stages.
        dtype: of the computation. Parameters, the pooled vector and logits are float32.
    """

    stages: tuple[tuple[Branches, ...], ...] = V1
    stem: tuple[int, int, int] = (64, 64, 192)
    large_kernel: int = 5
    auxiliary: bool = False
    dropout: float = 0.2
    auxiliary_dropout: float = 0.7
    norm: Norm = "batch"
    attention: ImageAttention = "none"
    dtype: jnp.dtype | type = jnp.float32

    def setup(self):
        """Make the heads."""
        super().setup()
        self.drop = nn.Dropout(self.dropout)
        if self.auxiliary:
            if not self.classes:
                raise InputError("auxiliary", "a network with classes", "classes=0")
            make = {"norm": self.norm, "dropout": self.auxiliary_dropout, "dtype": self.dtype}
            self.auxiliary1 = AuxiliaryHead(self.classes, **make)
            self.auxiliary2 = AuxiliaryHead(self.classes, **make)

    def features(self, x: Array, train: bool = False) -> Features:
        """Features of a floating ``(batch, *spatial, channel)`` image, 2D or 3D.

        Raises:
            InputError: for another rank or dtype.
        """
        return self._features(x, train)[0]

    @nn.compact
    def _features(self, x: Array, train: bool) -> tuple[Features, list[Array]]:
        """Features, and the outputs of the second stage's blocks."""
        common = {"norm": self.norm, "epsilon": EPSILON, "dtype": self.dtype}
        x = ConvNorm(self.stem[0], 7, 2, **common, name="stem0")(x, train)
        maps = [x]
        x = max_pool(x, 3, 2, ceil=True)
        x = ConvNorm(self.stem[1], 1, **common, name="stem1")(x, train)
        x = ConvNorm(self.stem[2], 3, **common, name="stem2")(x, train)
        maps.append(x)
        middle = []
        for stage, blocks in enumerate(self.stages, start=1):
            # The last pooling has a smaller window, where the weights at large have it.
            x = max_pool(x, 2 if stage == 3 else 3, 2, ceil=True)
            for i, branches in enumerate(blocks):
                name = f"stage{stage}_block{i}"
                x = Inception(branches, self.large_kernel, self.norm, self.dtype, name=name)(
                    x, train
                )
                name = f"{name}_attention"
                attention = block_attention(self.attention, x.shape[-1], self.dtype, name)
                if attention is not None:
                    x = attention(x)
                if stage == 2:
                    middle.append(x)
            attention = stage_attention(self.attention, self.dtype, f"stage{stage}_attention")
            if attention is not None and stage < 3:
                x = attention(x)
            maps.append(x)
        return Features(global_average_pool(x), tuple(maps)), middle

    def classify(
        self, pooled: Float[Array, "batch channel"], train: bool = False
    ) -> Float[Array, "batch classes"]:
        """Logits of pooled features; needs rng "dropout" to train."""
        return self.head(self.drop(pooled, deterministic=not train))

    def with_auxiliary(
        self, x: Array, train: bool = False
    ) -> tuple[Float[Array, "batch classes"], ...]:
        """Logits of the head and of the two auxiliary heads, float32.

        The paper weights the latter's losses by 0.3.

        Args:
            x: floating ``(batch, *spatial, channel)``.
            train: whether dropout acts and batch norm learns.

        Raises:
            InputError: where ``auxiliary`` is false.
        """
        if not self.auxiliary:
            raise InputError("auxiliary", "a network with auxiliary=True", False)
        features, middle = self._features(x, train)
        first, second = self.auxiliary1(middle[0], train), self.auxiliary2(middle[-2], train)
        return self.classify(features.pooled, train), first, second

    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch out"]:
        """Map images to logits, or to pooled features where there are no classes."""
        if self.auxiliary and self.is_initializing():
            return self.with_auxiliary(x, train)[0]
        return super().__call__(x, train)
