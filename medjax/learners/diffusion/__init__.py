"""Diffusion: learners of denoisers, and samplers from them and from what a scan adds to them.

Both halves are here. A learner's `predict` samples, and so samplers can be in no room above
`learners`; posterior samplers need `physics`, which knows nothing of noise levels.
"""

from medjax.core.registry import Registry

from .ddpm import ddpm, denoise_with, edm, fast_ddpm
from .diffdenoise import diffdenoise
from .latent import latent, latent_factor
from .levels import Levels, cosine, exploding, few, karras, linear, select
from .posterior import diffpir, dps, image_of
from .prediction import Coefficients, Denoise, Prediction, coefficients, denoiser, guided
from .sample import ddim, ddpm_sample, heun, symmetric_ddim

SAMPLERS = Registry(
    "samplers",
    {
        "ddpm": "medjax.learners.diffusion.sample:ddpm_sample",
        "ddim": "medjax.learners.diffusion.sample:ddim",
        "symmetric_ddim": "medjax.learners.diffusion.sample:symmetric_ddim",
        "heun": "medjax.learners.diffusion.sample:heun",
        "dps": "medjax.learners.diffusion.posterior:dps",
        "diffpir": "medjax.learners.diffusion.posterior:diffpir",
    },
)

__all__ = [
    "SAMPLERS",
    "Coefficients",
    "Denoise",
    "Levels",
    "Prediction",
    "coefficients",
    "cosine",
    "ddim",
    "ddpm",
    "ddpm_sample",
    "denoise_with",
    "denoiser",
    "diffdenoise",
    "diffpir",
    "dps",
    "edm",
    "exploding",
    "fast_ddpm",
    "few",
    "guided",
    "heun",
    "image_of",
    "karras",
    "latent",
    "latent_factor",
    "linear",
    "select",
    "symmetric_ddim",
]
