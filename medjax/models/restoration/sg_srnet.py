"""SG-SRNet: a transformer that looks only where a sparsity mask says there is something."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.image.resize import enlarged
from medjax.layers.conv import Conv, Size, per_axis, require_image
from medjax.layers.dense import Dense
from medjax.layers.initialise import FAINT
from medjax.layers.patch import PatchEmbed, from_patches, patch_grid, to_patches
from medjax.layers.position import grid_coordinates, sinusoidal
from medjax.layers.residual import ResidualGroup
from medjax.layers.subpixel import Upscale
from medjax.layers.transformer import Block


class SGSRNet(nn.Module):
    """Sparsity-guided network of Lu et al. 2025, with or without another modality beside.

    Information sparsity guided transformer for multi-modal medical image super-resolution,
    Expert Systems with Applications, doi:10.1016/j.eswa.2024.125428. As in the paper's abstract:
    medical images are empty in many places; a generator estimates a sparsity mask, and a
    transformer attends among the informative patches alone. This implementation's choice: the
    mask is a small network's, from the features of the enlarged image and of the other modality;
    the ``share`` of patches with the highest mean of it are tokens, and what the transformer
    says of them is weighted by that mean, so that the mask learns from the loss of the image.
    The paper's own "cross-sparsity" loss of the mask is not here: its formula was not to be had.
    The mask is kept as the intermediate "mask" for a loss that a caller may add. 2D and 3D.

    Attributes:
        scale: factor of enlargement, one number or one an axis.
        features: channels.
        blocks: residual blocks on the small image.
        patch: voxels of a token along each axis of the fine grid.
        width: channels of a token.
        depth: blocks of the transformer.
        heads: of its attention.
        share: of the patches that are tokens, above 0 and at most 1.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 2
    features: int = 64
    blocks: int = 8
    patch: Size = 4
    width: int = 128
    depth: int = 4
    heads: int = 4
    share: float = 0.5
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Array, reference: Array | None = None, train: bool = False
    ) -> Float[Array, "batch *larger channel"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image, 2D or 3D, by ``scale``.

        Args:
            x: image.
            reference: an aligned image of another modality on the fine grid, of any channels.
            train: there is nothing that it changes.

        Raises:
            InputError: for another rank or dtype, a reference of other sizes, or a share out of
                range.
        """
        require_image(x, type(self).__name__)
        if not 0 < self.share <= 1:
            raise InputError("share", "a number above 0 and at most 1", self.share)
        large = enlarged(x, per_axis(self.scale, x.ndim - 2, "scale"))
        y = Conv(self.features, dtype=self.dtype, name="start")(x)
        y = ResidualGroup(self.features, self.blocks, dtype=self.dtype, name="body")(y)
        y = Upscale(self.features, self.scale, dtype=self.dtype, name="upscale")(y)
        if reference is not None:
            if reference.shape[:-1] != large.shape[:-1]:
                raise InputError("reference", f"(*{large.shape[:-1]}, channel)", reference.shape)
            other = nn.relu(Conv(self.features, dtype=self.dtype, name="other0")(reference))
            y = y + Conv(self.features, dtype=self.dtype, name="other1")(other)
        mask = nn.relu(Conv(self.features, dtype=self.dtype, name="mask0")(y))
        mask = nn.sigmoid(Conv(1, name="mask1")(mask))
        self.sow("intermediates", "mask", mask)
        y = y + self._attended(y, mask)
        return large + Conv(x.shape[-1], kernel_init=FAINT, name="head")(y)

    def _attended(self, y: Array, mask: Array) -> Float[Array, "batch *larger features"]:
        """What the transformer adds to the features, zero outside of the chosen patches."""
        spatial = y.shape[1:-1]
        grid = patch_grid(spatial, self.patch)
        count = math.prod(grid)
        score = to_patches(mask, self.patch).mean(axis=-1).reshape(y.shape[0], count)
        chosen = max(1, round(self.share * count))
        # By sorting and looking up: a scatter, or top_k, would gather a batch over devices.
        order = jnp.argsort(score, axis=1, descending=True)
        index, rank = order[:, :chosen], jnp.argsort(order, axis=1)
        best = jnp.take_along_axis(score, index, axis=1)
        tokens = PatchEmbed(self.width, self.patch, dtype=self.dtype, name="embed")(y)
        places = sinusoidal(grid_coordinates(grid), self.width).astype(self.dtype)
        tokens = tokens.reshape(y.shape[0], count, self.width) + places[None]
        tokens = jnp.take_along_axis(tokens, index[..., None], axis=1)
        for number in range(self.depth):
            block = Block(self.heads, 2 * self.width, dtype=self.dtype, name=f"transformer{number}")
            tokens = block(tokens, None, 0.0, False)
        values = math.prod(per_axis(self.patch, len(spatial), "patch")) * y.shape[-1]
        found = Dense(values, dtype=self.dtype, name="unembed")(tokens)
        found = found * best[..., None].astype(found.dtype)
        found = jnp.pad(found, [(0, 0), (0, count - chosen), (0, 0)])
        patches = jnp.take_along_axis(found, rank[..., None], axis=1)
        return from_patches(patches.reshape(y.shape[0], *grid, values), self.patch, spatial)
