"""Networks that make images, and the discriminators that judge them."""

from .autoencoders import GMVAE, VAE, VQVAE, Autoencoder, StackedAutoencoder
from .dcgan import DCGANDiscriminator, DCGANGenerator
from .diffusion_unet import DiffusionUNet
from .patchgan import PatchGAN
from .stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from .swin_denoiser import SwinDenoiser
from .translation import TranslationResNet

__all__ = [
    "GMVAE",
    "VAE",
    "VQVAE",
    "Autoencoder",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DiffusionUNet",
    "PatchGAN",
    "StackedAutoencoder",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "SwinDenoiser",
    "TranslationResNet",
]
