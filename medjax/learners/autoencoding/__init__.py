"""Learning by coding: an image through a code that is smaller than it, and back."""

from .plain import (
    autoencoder,
    contractive_autoencoder,
    denoising_autoencoder,
    sparse_autoencoder,
    stacked_autoencoder,
)
from .variational import cvae, gmvae, kl_autoencoder, vae
from .vqvae import vqvae

__all__ = [
    "autoencoder",
    "contractive_autoencoder",
    "cvae",
    "denoising_autoencoder",
    "gmvae",
    "kl_autoencoder",
    "sparse_autoencoder",
    "stacked_autoencoder",
    "vae",
    "vqvae",
]
