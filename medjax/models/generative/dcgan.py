"""DCGAN: a generator from a vector, and its discriminator."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.batch_deviation import batch_deviation
from medjax.layers.conv import Conv, require_image
from medjax.layers.norm import Norm, normalization
from medjax.layers.spectral import SpectralConv
from medjax.layers.transposed import OverlappingTranspose
from medjax.models.backbone import Backbone, Features

INIT = nn.initializers.normal(0.02)
"""As DCGAN's authors have all weights."""


class DCGANGenerator(nn.Module):
    """DCGAN's generator (Radford et al. 2016, arXiv:1511.06434, figure 1).

    As there: a projection of the vector to a small map, transposed convolutions of window 4
    that double it, batch norm and ReLU, a last layer with tanh. What differs: 2D and 3D by
    ``size``, any number of doublings, and classes (Mirza & Osindero 2014, arXiv:1411.1784): the
    class joins the vector, one-hot.

    Attributes:
        size: spatial sizes of the images, multiples of 2 to the power of ``len(features)``.
        channels: of the images.
        features: channels of each map, coarsest first; each is half of the next one's size.
        norm: see `medjax.layers.Norm`.
        classes: how many there are, if it is given classes.
        activation: of the last layer; tanh makes images in [-1, 1].
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    size: tuple[int, ...]
    channels: int = 1
    features: tuple[int, ...] = (512, 256, 128, 64)
    norm: Norm = "batch"
    classes: int = 0
    activation: Callable[[Array], Array] = jnp.tanh
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, latent: Float[Array, "batch dim"], label: Array | None = None, train: bool = False
    ) -> Float[Array, "batch *spatial channel"]:
        """Make images.

        Args:
            latent: noise, floating.
            label: classes, integer ``(batch,)``, where there are ``classes``.
            train: whether batch norm uses and learns the batch's statistics.

        Raises:
            InputError: for a size that is no multiple, and classes that are missing or too many.
        """
        base = base_size(self.size, len(self.features))
        z = joined(latent, label, self.classes).astype(self.dtype)
        cells = 1
        for n in base:
            cells *= n
        # The norm that follows takes a bias away.
        plain = self.norm == "none"
        dense = nn.Dense(
            cells * self.features[0], plain, self.dtype, kernel_init=INIT, name="project"
        )
        x = dense(z).reshape(z.shape[0], *base, self.features[0])
        x = self._activated(x, train, 0)
        for level, width in enumerate(self.features[1:], start=1):
            conv = OverlappingTranspose(
                width, use_bias=plain, kernel_init=INIT, dtype=self.dtype, name=f"up{level}"
            )
            x = self._activated(conv(x), train, level)
        x = OverlappingTranspose(self.channels, kernel_init=INIT, name="head")(x)
        return self.activation(x)

    def _activated(self, x: Array, train: bool, level: int) -> Array:
        norm = normalization(self.norm, x.shape[-1], train=train, name=f"norm{level}")
        return nn.relu(x if norm is None else norm(x.astype(jnp.float32)).astype(self.dtype))


class DCGANDiscriminator(Backbone):
    """DCGAN's discriminator: strided convolutions of window 4, leaky ReLU, one dense layer.

    Radford et al. 2016 (arXiv:1511.06434): norms on all but the first convolution. What differs:
    2D and 3D by the input, and, where asked for, spectral normalisation (Miyato et al. 2018),
    minibatch deviation (Karras et al. 2018) and classes, which join the image as one-hot
    channels (as in Mirza & Osindero 2014 they join the input).

    `features` gives the last map, flattened, so that the sizes of its images are one.

    Attributes:
        classes: number of outputs: 1 is the logit "real"; more for `acgan` and
            `semi_supervised_gan`.
        widths: channels of the convolutions, each of which halves the image.
        norm: see `medjax.layers.Norm`. Batch norm has no place beside a gradient penalty.
        spectral: normalise the convolutions' weights; the norm is then best "none".
        deviation: samples a group of the minibatch deviation; 0 for none.
        labels: how many classes there are, if it is given classes.
        dtype: of the computation. Parameters and the output are float32.
    """

    classes: int = 1
    widths: tuple[int, ...] = (64, 128, 256, 512)
    norm: Norm = "batch"
    spectral: bool = False
    deviation: int = 0
    labels: int = 0
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def features(self, x: Array, train: bool = False) -> Features:
        """Features of a floating ``(batch, *spatial, channel)`` image, 2D or 3D.

        Raises:
            InputError: for another rank or dtype, and an image with nothing left after halving.
        """
        require_image(x, type(self).__name__)
        if min(x.shape[1:-1]) < 2 ** len(self.widths):
            raise InputError("image", f"sizes of {2 ** len(self.widths)} at least", x.shape[1:-1])
        maps = []
        for level, width in enumerate(self.widths):
            kind = self.norm if level else "none"
            norm = normalization(kind, width, train=train, name=f"norm{level}")
            options = {
                "use_bias": norm is None,
                "padding": "half",
                "kernel_init": INIT,
                "dtype": self.dtype,
                "name": f"conv{level}",
            }
            if self.spectral:
                x = SpectralConv(width, 4, 2, **options)(x, train)
            else:
                x = Conv(width, 4, 2, **options)(x)
            x = x if norm is None else norm(x.astype(jnp.float32)).astype(self.dtype)
            x = nn.leaky_relu(x, 0.2)
            maps.append(x)
        if self.deviation:
            x = batch_deviation(x, self.deviation)
        return Features(x.reshape(x.shape[0], -1).astype(jnp.float32), tuple(maps))

    def __call__(
        self, x: Array, label: Array | None = None, train: bool = False
    ) -> Float[Array, "batch out"]:
        """Logits of images.

        Args:
            x: floating ``(batch, *spatial, channel)``.
            label: classes, integer ``(batch,)``, where there are ``labels``.
            train: whether batch norm and power iterations move on.

        Returns:
            float32 ``(batch, classes)``, or the pooled features where there are none.

        Raises:
            InputError: as `features`, and for classes that are missing or too many.
        """
        require_image(x, type(self).__name__)
        if label is not None or self.labels:
            one_hot = joined(jnp.zeros((x.shape[0], 0), x.dtype), label, self.labels)
            one_hot = one_hot.reshape(x.shape[0], *(1,) * (x.ndim - 2), self.labels)
            x = jnp.concatenate(
                [x, jnp.broadcast_to(one_hot, (*x.shape[:-1], self.labels))], axis=-1
            )
        pooled = self.features(x, train).pooled
        return self.classify(pooled, train) if self.classes else pooled


def base_size(size: tuple[int, ...], halvings: int) -> tuple[int, ...]:
    """The size of the coarsest map.

    Raises:
        InputError: for another number of axes than 2 or 3, and sizes that are no multiples.
    """
    factor = 2**halvings
    if len(size) not in (2, 3) or any(n < factor or n % factor for n in size):
        raise InputError("size", f"2 or 3 multiples of {factor}", size)
    return tuple(n // factor for n in size)


def joined(vector: Array, label: Array | None, classes: int) -> Float[Array, "batch more"]:
    """A vector with a one-hot class behind it.

    Raises:
        InputError: where there are classes and no label, or a label and no classes.
    """
    if (label is None) == bool(classes):
        raise InputError("label", f"classes below {classes}" if classes else "none", label)
    if label is None:
        return vector
    if label.shape != vector.shape[:1] or not jnp.issubdtype(label.dtype, jnp.integer):
        raise InputError("label", f"integers ({vector.shape[0]},)", f"{label.dtype} {label.shape}")
    return jnp.concatenate([vector, jax.nn.one_hot(label, classes, dtype=vector.dtype)], -1)
