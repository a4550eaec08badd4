"""Super-resolution that takes texture from a reference image."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.image.resize import enlarged, resized
from medjax.layers.conv import Conv, Size, per_axis, require_image
from medjax.layers.initialise import FAINT
from medjax.layers.residual import ResidualGroup
from medjax.layers.subpixel import SubPixel, scale_stages
from medjax.layers.texture import texture_transfer

Scales = list[tuple[int, ...]]


class TextureExtractor(nn.Module):
    """Features of an image on grids from the finest to the coarsest.

    Attributes:
        features: channels.
        steps: reduction from each grid to the next.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    steps: tuple[tuple[int, ...], ...]
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> list[Array]:
        """Features of a floating ``(batch, *spatial, channel)`` image."""
        maps = [nn.relu(Conv(self.features, dtype=self.dtype, name="conv0")(x))]
        for number, step in enumerate(self.steps, start=1):
            window = tuple(3 if s == 1 else 2 * s - 1 for s in step)
            conv = Conv(
                self.features,
                window,
                step,
                padding="half",
                dtype=self.dtype,
                name=f"conv{number}",
            )
            maps.append(nn.relu(conv(maps[-1])))
        return maps


class TextureTransformer(nn.Module):
    """Texture transformer for super-resolution, with a reference or by the image itself.

    Yang et al. 2020 (TTSR, arXiv:2006.04139). As in the paper: a learned extractor sees the
    enlarged image (queries), the reference made as coarse and enlarged (keys) and the reference
    (values); hard attention brings the reference's patches to where they fit, soft attention
    says how well they do; on each scale they join the features. It is the generator into which
    T-GAN (Du & Tian 2023, doi:10.26599/TST.2022.9010071, arXiv:2212.13068) puts a transformer of
    textures; `medjax.learners.adversarial.t_gan` trains it so. What differs: 2D and 3D and a
    scale for each axis, the extractor has a convolution a scale in place of VGG-19's first
    layers, and scales do not exchange features (the paper's cross-scale integration). Without
    a reference the enlarged image is its own, which is this implementation's choice.

    Attributes:
        scale: factor of enlargement, one number or one an axis.
        features: channels.
        blocks: residual blocks on each scale.
        texture: channels of the extractor.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 4
    features: int = 64
    blocks: int = 8
    texture: int = 64
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Array, reference: Array | None = None, train: bool = False
    ) -> Float[Array, "batch *larger channel"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image, 2D or 3D, by ``scale``.

        Args:
            x: image.
            reference: a fine image, ``(batch, *sizes, channel)`` with as many channels, of any
                sizes that are multiples of ``scale``; it need not be aligned.
            train: there is nothing that it changes.

        Raises:
            InputError: for another rank or dtype, or a reference that does not fit.
        """
        require_image(x, type(self).__name__)
        scale = per_axis(self.scale, x.ndim - 2, "scale")
        steps = scale_stages(scale)
        textures, relevance = self._textures(x, reference, scale, steps)
        y = Conv(self.features, dtype=self.dtype, name="start")(x)
        reached = (1,) * len(scale)
        for number, step in enumerate([reached, *steps]):
            if number:
                y = nn.relu(SubPixel(self.features, step, dtype=self.dtype, name=f"up{number}")(y))
            reached = tuple(r * s for r, s in zip(reached, step, strict=True))
            joined = jnp.concatenate([y, textures[reached].astype(y.dtype)], -1)
            options = {"kernel_init": FAINT, "dtype": self.dtype, "name": f"join{number}"}
            joined = Conv(self.features, **options)(joined)
            y = y + joined * enlarged(relevance, reached).astype(y.dtype)
            body = ResidualGroup(self.features, self.blocks, dtype=self.dtype, name=f"body{number}")
            y = body(y)
        return Conv(x.shape[-1], name="head")(y)

    def _textures(
        self, x: Array, reference: Array | None, scale: tuple[int, ...], steps: Scales
    ) -> tuple[dict[tuple[int, ...], Array], Array]:
        """The reference's textures on each grid by its scale, and their relevance."""
        fine = enlarged(x, scale)
        if reference is None:
            reference = fine
        same = reference.ndim == x.ndim and reference.shape[-1] == x.shape[-1]
        if not same or any(n % s for n, s in zip(reference.shape[1:-1], scale, strict=True)):
            expected = f"an image of {x.shape[-1]} channels and sizes that are multiples of {scale}"
            raise InputError("reference", expected, reference.shape)
        reference = reference.astype(jnp.float32)
        sizes = tuple(n // s for n, s in zip(reference.shape[1:-1], scale, strict=True))
        blurred = enlarged(resized(reference, sizes), scale)
        extract = TextureExtractor(
            self.texture, tuple(reversed(steps)), self.dtype, name="extractor"
        )
        query, key, maps = extract(fine)[-1], extract(blurred)[-1], extract(reference)
        reached = [
            tuple(math.prod(axis) for axis in zip(*steps[:count], strict=True)) or (1,) * len(scale)
            for count in reversed(range(len(steps) + 1))
        ]
        return texture_transfer(query, key, dict(zip(reached, maps, strict=True)))
