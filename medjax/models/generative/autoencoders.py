"""Autoencoders: plain, stacked, variational, of a mixture, and of a codebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.types import Array, Float, Int
from medjax.layers.conv import Conv, ConvTranspose, require_image
from medjax.layers.pad import cropped, padded
from medjax.layers.quantise import Quantised, VectorQuantiser

from .codec import Codec


class Gaussian(NamedTuple):
    """Independent normal numbers."""

    mean: Float[Array, "..."]
    log_variance: Float[Array, "..."]

    @classmethod
    def split(cls, parameters: Array) -> Gaussian:
        """From means and log variances side by side in channels; these are kept in [-20, 10]."""
        mean, log_variance = jnp.split(parameters, 2, axis=-1)
        return cls(mean, jnp.clip(log_variance, -20, 10))

    def sample(self, key: Array) -> Array:
        """A draw through which gradients pass (Kingma & Welling 2014, arXiv:1312.6114, 2.4)."""
        noise = jax.random.normal(key, self.mean.shape, self.mean.dtype)
        return self.mean + jnp.exp(self.log_variance / 2) * noise


class Autoencoder(Codec):
    """An autoencoder: an image through a code that is smaller than it.

    `Codec` has the network. ``code_activation`` is applied to the code; sparse codes are
    between 0 and 1 by ``nn.sigmoid``.
    """

    code_activation: Callable[[Array], Array] | None = None

    def encode(self, x: Array, train: bool = False) -> Float[Array, "batch *grid latent"]:
        """The code of an image."""
        code = self.encoded(x, None, train)
        return code if self.code_activation is None else self.code_activation(code)

    def coded(self, x: Array, train: bool = False) -> tuple[Array, Array]:
        """The image again, and its code."""
        code = self.encode(x, train)
        return self.restored(code, x, None, train), code

    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial out"]:
        """Map a floating image ``(batch, *spatial, channel)`` to itself, float32."""
        return self.coded(x, train)[0]


class VAE(Codec):
    """A variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114), of classes or not.

    `Codec` has the network. With ``classes`` it is the conditional one (Kingma et al. 2014,
    arXiv:1406.5298, model M2 with known classes; Sohn et al. 2015): both halves are told the
    class. With ``attention`` it is that of latent
    diffusion, reduced.
    """

    def code_width(self) -> int:
        """A mean and a variance for each of the code's channels."""
        return 2 * self.latent

    def posterior(
        self, x: Array, label: Int[Array, " batch"] | None = None, train: bool = False
    ) -> Gaussian:
        """What codes an image may have."""
        return Gaussian.split(self.encoded(x, label, train))

    def encode(
        self, x: Array, label: Int[Array, " batch"] | None = None, train: bool = False
    ) -> Float[Array, "batch *grid latent"]:
        """The mean code of an image."""
        return self.posterior(x, label, train).mean

    def sampled(
        self, x: Array, label: Int[Array, " batch"] | None = None, train: bool = False
    ) -> tuple[Array, Gaussian]:
        """The image of a code drawn by rng "dropout", and what it was drawn from."""
        posterior = self.posterior(x, label, train)
        code = posterior.sample(self.make_rng("dropout"))
        return self.restored(code, x, label, train), posterior

    def __call__(
        self, x: Array, label: Int[Array, " batch"] | None = None, train: bool = False
    ) -> Float[Array, "batch *spatial out"]:
        """Map a floating image ``(batch, *spatial, channel)`` to that of its mean code."""
        return self.restored(self.encode(x, label, train), x, label, train)


class Mixture(NamedTuple):
    """What a `GMVAE` makes of an image in training.

    Attributes:
        image: of a code that was drawn.
        code: what it was drawn from, q(z | x).
        style: q(w | x).
        drawn: the code.
        components: p(z | w, c) with ``w`` drawn, ``(batch, *grid, component, latent)``.
    """

    image: Array
    code: Gaussian
    style: Gaussian
    drawn: Array
    components: Gaussian


class GMVAE(Codec):
    """A variational autoencoder whose codes come from a mixture.

    Dilokthanakul et al. 2016 (arXiv:1611.02648, section 3.1): a normal vector ``w`` becomes, by
    a small network, the means and variances of ``components`` normals of the code, of which one
    has made it. `Codec` has the rest of the network. Where the code is an image, each of its
    places has a ``w`` and a component of its own, as in You et al. 2019 (MIDL), who restore
    brain images by it.

    Attributes:
        components: of the mixture.
        style: channels of ``w``.
        hidden: channels of the network between.
    """

    components: int = 8
    style: int = 2
    hidden: int = 64

    def code_width(self) -> int:
        """Means and variances of the code and of ``w``."""
        return 2 * (self.latent + self.style)

    def setup(self):
        """Make the halves, and the network of the mixture."""
        super().setup()
        self.prior_hidden = nn.Dense(self.hidden)
        self.prior_out = nn.Dense(2 * self.components * self.latent)

    def mixture(self, style: Float[Array, "*place style"]) -> Gaussian:
        """The components, ``(*place, component, latent)``, by ``w``."""
        y = self.prior_out(nn.tanh(self.prior_hidden(style)))
        return Gaussian.split(y.reshape(*style.shape[:-1], self.components, 2 * self.latent))

    def posterior(self, x: Array, train: bool = False) -> tuple[Gaussian, Gaussian]:
        """What codes and ``w`` an image may have."""
        y = self.encoded(x, None, train)
        return Gaussian.split(y[..., : 2 * self.latent]), Gaussian.split(y[..., 2 * self.latent :])

    def encode(self, x: Array, train: bool = False) -> Float[Array, "batch *grid latent"]:
        """The mean code of an image."""
        return self.posterior(x, train)[0].mean

    def sampled(self, x: Array, train: bool = False) -> Mixture:
        """An image by a code and a ``w`` that are drawn by rng "dropout"."""
        code, style = self.posterior(x, train)
        drawn = code.sample(self.make_rng("dropout"))
        components = self.mixture(style.sample(self.make_rng("dropout")))
        return Mixture(self.restored(drawn, x, None, train), code, style, drawn, components)

    def responsibilities(self, x: Array) -> Float[Array, "batch *grid component"]:
        """How likely each component is to have made the mean code of an image."""
        code, style = self.posterior(x)
        return jax.nn.softmax(log_density(code.mean, self.mixture(style.mean)), axis=-1)

    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial out"]:
        """Map a floating image ``(batch, *spatial, channel)`` to that of its mean code."""
        if self.is_initializing():
            self.mixture(jnp.zeros((1, self.style)))
        return self.restored(self.encode(x, train), x, None, train)


def log_density(
    code: Float[Array, "*place latent"], components: Gaussian
) -> Float[Array, "*place component"]:
    """Of codes in each component, but for the constant that all have."""
    mean, log_variance = components
    square = (code[..., None, :] - mean) ** 2 * jnp.exp(-log_variance)
    return -0.5 * (square + log_variance).sum(axis=-1)


class VQVAE(Codec):
    """An autoencoder whose code is of a codebook's entries (van den Oord et al. 2017).

    arXiv:1711.00937. `Codec` has the network and `VectorQuantiser` the codebook.

    Attributes:
        entries: see `VectorQuantiser`, as for ``decay`` and ``restart``.
    """

    entries: int = 512
    decay: float = 0.99
    restart: float = 0.0

    def setup(self):
        """Make the halves and the codebook."""
        super().setup()
        self.quantiser = VectorQuantiser(self.entries, self.decay, self.restart)

    def encode(self, x: Array, train: bool = False) -> Float[Array, "batch *grid latent"]:
        """The entries that an image's code comes to."""
        return self.quantiser(self.encoded(x, None, train)).values

    def indices(self, x: Array) -> Int[Array, "batch *grid"]:
        """Which they are."""
        return self.quantiser(self.encoded(x)).indices

    def quantised(self, x: Array, train: bool = False) -> tuple[Array, Quantised]:
        """The image again, and its code; with ``train`` the codebook learns."""
        code = self.quantiser(self.encoded(x, None, train), train)
        return self.restored(code.values, x, None, train), code

    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial out"]:
        """Map a floating image ``(batch, *spatial, channel)`` to itself, float32."""
        return self.quantised(x, train)[0]


class StackedAutoencoder(nn.Module):
    """Autoencoders on top of each other: each codes the code of the one below.

    Bengio et al. 2006 (NIPS 19, 153), Vincent et al. 2010 (JMLR 11:3371). Each is one
    convolution to half the size and one back (Masci et al. 2011, doi:10.1007/978-3-642-21735-7_7,
    with strides for its pooling).

    Attributes:
        out_channels: channels of the images.
        features: channels of each code, from the image on.
        activation: of the codes.
    """

    out_channels: int
    features: tuple[int, ...] = (32, 64, 128)
    activation: Callable[[Array], Array] = nn.silu

    def setup(self):
        """Make the layers."""
        below = (self.out_channels, *self.features[:-1])
        self.encoders = [Conv(n, strides=2, padding="half") for n in self.features]
        self.decoders = [ConvTranspose(n) for n in below]

    def codes(self, x: Array) -> list[Array]:
        """The image padded to a multiple of the strides, and each layer's code."""
        codes = [padded(x, [2 ** len(self.features)] * (x.ndim - 2))[0].astype(jnp.float32)]
        for encoder in self.encoders:
            codes.append(self.activation(encoder(codes[-1])))
        return codes

    def encode(self, x: Array, train: bool = False) -> Float[Array, "batch *grid latent"]:
        """The last layer's code."""
        return self.codes(x)[-1]

    def decode(self, code: Array, train: bool = False) -> Array:
        """The image of the last layer's code."""
        for i in reversed(range(len(self.features))):
            code = self.decoders[i](code)
            code = self.activation(code) if i else code
        return code

    def layerwise(self, x: Array, train: bool = False) -> list[tuple[Array, Array]]:
        """What each layer makes of its input, and the input, which learns nothing from it."""
        pairs, below = [], self.codes(x)[0]
        for i, (encoder, decoder) in enumerate(zip(self.encoders, self.decoders, strict=True)):
            code = self.activation(encoder(below))
            again = decoder(code)
            pairs.append((self.activation(again) if i else again, below))
            below = jax.lax.stop_gradient(code)
        return pairs

    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial out"]:
        """Map a floating image ``(batch, *spatial, channel)`` to itself, through all layers."""
        require_image(x, type(self).__name__)
        before = padded(x, [2 ** len(self.features)] * (x.ndim - 2))[1]
        y = self.decode(self.encode(x))
        return cropped(y, before, x.shape[1:-1])
