"""StyleGAN2: mapping, synthesis and discriminator."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.arrays import with_rank
from medjax.core.types import Array, Float
from medjax.layers.batch_deviation import batch_deviation
from medjax.layers.conv import require_image
from medjax.layers.equalised import EqualisedConv, EqualisedDense, scaled_leaky_relu
from medjax.layers.fir import upsample
from medjax.layers.modulated import ModulatedConv, with_noise
from medjax.layers.spread import biased

from .dcgan import base_size

STATISTICS = "statistics"
"""The collection of the mean style, which truncation draws styles towards."""


class Mapping(nn.Module):
    """From noise to a style (Karras et al. 2019, arXiv:1812.04948, section 2).

    Attributes:
        layers: dense ones.
        width: of each, and of the style.
        rate: their learning rate relative to the rest's.
    """

    layers: int = 8
    width: int = 512
    rate: float = 0.01

    @nn.compact
    def __call__(self, latent: Float[Array, "batch dim"]) -> Float[Array, "batch width"]:
        """The style of each noise, which is brought to a mean square of 1 first."""
        x = latent * jax.lax.rsqrt(jnp.mean(latent**2, -1, keepdims=True) + 1e-8)
        for number in range(self.layers):
            dense = EqualisedDense(
                self.width, rate=self.rate, activation=scaled_leaky_relu, name=f"dense{number}"
            )
            x = dense(x)
        return x


class StyledConv(nn.Module):
    """Modulated convolution, noise, bias, activation.

    Attributes:
        features: output channels.
        up: enlarge each axis twice.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    up: bool = False
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Array, style: Float[Array, "batch dim"]
    ) -> Float[Array, "batch *spatial features"]:
        """Apply to an image; noise where the rng "noise" is given."""
        y = ModulatedConv(self.features, up=self.up, dtype=self.dtype, name="conv")(x, style)
        strength = self.param("noise", nn.initializers.zeros, (), jnp.float32)
        if self.has_rng("noise"):
            y = with_noise(y, strength, self.make_rng("noise"))
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return scaled_leaky_relu(biased(y, bias))


class Synthesis(nn.Module):
    """From styles to an image, by sums of images of each size (StyleGAN2, figure 7b, "skip").

    Attributes:
        size: spatial sizes of the images.
        channels: of the images.
        features: channels of each size, coarsest first.
        dtype: of the computation; the sum of images is float32.
    """

    size: tuple[int, ...]
    channels: int
    features: tuple[int, ...]
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, styles: Float[Array, "batch layer dim"]
    ) -> Float[Array, "batch *spatial channel"]:
        """Make images of one style a layer; there are two layers a size."""
        base = base_size(self.size, len(self.features) - 1)
        shape = (*base, self.features[0])
        start = self.param("start", nn.initializers.normal(1.0), shape, jnp.float32)
        x = jnp.broadcast_to(start.astype(self.dtype)[None], (styles.shape[0], *shape))
        image, layer = None, 0
        for level, width in enumerate(self.features):
            if level:
                x = StyledConv(width, True, self.dtype, name=f"up{level}")(x, styles[:, layer])
                layer += 1
            x = StyledConv(width, False, self.dtype, name=f"conv{level}")(x, styles[:, layer])
            layer += 1
            # The image of a size shares its style with the next size's first layer.
            part = ModulatedConv(
                self.channels, 1, demodulate=False, dtype=self.dtype, name=f"image{level}"
            )(x, styles[:, layer]).astype(jnp.float32)
            bias = self.param(
                f"image{level}_bias", nn.initializers.zeros, (self.channels,), jnp.float32
            )
            part = part + with_rank(bias, part.ndim)
            image = part if image is None else upsample(image) + part
        return image


class StyleGAN2Generator(nn.Module):
    """StyleGAN2's generator (Karras et al. 2020, arXiv:1912.04958, figure 2 and 7).

    As in the paper: mapping, modulated convolutions with demodulation, noise, skips of images,
    style mixing, truncation. What differs: 2D and 3D by ``size``, of which the sides need not
    be equal; float32 throughout unless ``dtype`` says otherwise; no classes.

    Attributes:
        size: spatial sizes of the images, multiples of 2 to the power of the doublings; the
            coarsest map is of 4 an axis in the paper.
        channels: of the images.
        features: channels of each size, coarsest first: one doubling fewer than entries.
        layers: of the mapping.
        width: of the mapping and of styles.
        mixing: chance that a sample in training has two styles, of the coarse layers and of the
            fine ones, where the rng "style" is given.
        dtype: of the convolutions. Parameters, styles and the output are float32.
    """

    size: tuple[int, ...]
    channels: int = 1
    features: tuple[int, ...] = (512, 512, 512, 512, 256)
    layers: int = 8
    width: int = 512
    mixing: float = 0.9
    dtype: jnp.dtype | type = jnp.float32

    def setup(self):
        """Make the parts."""
        self.mapping = Mapping(self.layers, self.width)
        self.synthesis = Synthesis(self.size, self.channels, self.features, self.dtype)
        self.mean_style = self.variable(STATISTICS, "style", jnp.zeros, (self.width,), jnp.float32)

    def __call__(
        self, latent: Float[Array, "batch dim"], train: bool = False, truncation: float = 1.0
    ) -> Float[Array, "batch *spatial channel"]:
        """Make images.

        Args:
            latent: noise, float32.
            train: whether styles are mixed and their mean learns.
            truncation: how far a style may be from the mean one; below 1 the images are
                better and more alike.

        Returns:
            float32; nothing holds them to a range.

        Raises:
            InputError: for a size that is no multiple.
        """
        styles = self.styles(latent, train)
        if truncation != 1:
            mean = self.mean_style.value[None, None]
            styles = mean + truncation * (styles - mean)
        return self.synthesise(styles)

    def styles(
        self, latent: Float[Array, "batch dim"], train: bool = False
    ) -> Float[Array, "batch layer width"]:
        """The style of each layer."""
        style = self.mapping(latent)
        if train and self.is_mutable_collection(STATISTICS):
            mean = jnp.mean(jax.lax.stop_gradient(style), 0)
            self.mean_style.value += (1 - 0.995) * (mean - self.mean_style.value)
        count = 2 * len(self.features)
        styles = jnp.broadcast_to(style[:, None], (latent.shape[0], count, self.width))
        if not train or not self.mixing or not self.has_rng("style"):
            return styles
        noise, cut, chance = jax.random.split(self.make_rng("style"), 3)
        other = self.mapping(jax.random.normal(noise, latent.shape, latent.dtype))
        first = jax.random.randint(cut, latent.shape[:1], 1, count)
        mixed = jax.random.bernoulli(chance, self.mixing, latent.shape[:1])
        first = jnp.where(mixed, first, count)
        fine = jnp.arange(count)[None] >= first[:, None]
        return jnp.where(fine[..., None], other[:, None], styles)

    def synthesise(
        self, styles: Float[Array, "batch layer width"]
    ) -> Float[Array, "batch *spatial channel"]:
        """Images of styles."""
        return self.synthesis(styles)


class StyleGAN2Discriminator(nn.Module):
    """StyleGAN2's discriminator (figure 7c, "residual"): 2D and 3D by the input.

    As in the paper: filtered reductions, residual blocks, minibatch deviation, an equalised
    learning rate. The images it sees are of one size, since its last layers are dense.

    Attributes:
        features: channels of each size, finest first: one halving fewer than entries.
        deviation: samples a group of the minibatch deviation; 0 for none.
        dtype: of the convolutions. Parameters, the last layers and the output are float32.
    """

    features: tuple[int, ...] = (256, 512, 512, 512, 512)
    deviation: int = 4
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch 1"]:
        """A logit for each floating ``(batch, *spatial, channel)`` image.

        Raises:
            InputError: for another rank or dtype, or sizes that are no multiples.
        """
        require_image(x, type(self).__name__)
        base_size(x.shape[1:-1], len(self.features) - 1)
        conv = {"dtype": self.dtype}
        y = EqualisedConv(self.features[0], 1, name="start", **conv)(x)
        for level, width in enumerate(self.features[1:]):
            skip = EqualisedConv(
                width,
                1,
                down=True,
                use_bias=False,
                activation=None,
                name=f"skip{level}",
                **conv,
            )(y)
            y = EqualisedConv(y.shape[-1], name=f"conv{level}", **conv)(y)
            y = EqualisedConv(width, down=True, name=f"down{level}", **conv)(y)
            y = (y + skip) / math.sqrt(2)
        y = y.astype(jnp.float32)
        if self.deviation:
            y = batch_deviation(y, self.deviation)
        y = EqualisedConv(self.features[-1], name="last")(y)
        y = y.reshape(y.shape[0], -1)
        y = EqualisedDense(self.features[-1], activation=scaled_leaky_relu, name="hidden")(y)
        return EqualisedDense(1, name="head")(y)
