"""Adversarial learning: one learner, and the GANs that are settings of it, a file a family.

Losses are in `medjax.losses.adversarial`, penalties in `medjax.losses.penalties`, augmentation
of what a discriminator sees in `medjax.augment.discriminator`, networks in
`medjax.models.generative`. What `game` returns is a learner as any other: `accumulated`,
`augmented` and the training loop take it as it is.
"""

from .adversarial import adversarial, entries_of, latents
from .classes import Judge, acgan, cgan, semi_supervised_gan
from .cycle import Both
from .cycle_sr import cycle_sr
from .denoising import cncl, pix2pix_efficientnet
from .game import Outcome, Player, game, generator_variables
from .infilling import Infiller, infilling_gan
from .plain import dcgan, gan, stylegan2, wgan, wgan_gp
from .regularise import Penalty, Regulariser, path_length
from .super_resolution import medsrgan, rirgan, super_resolution_gan, t_gan, three_stage_gan
from .task import Parsing, shape_consistent_gan, td_gan
from .translation import cyclegan, pix2pix
from .triple import Makers, triple_gan
from .volumes import gan_3d, resting

__all__ = [
    "Both",
    "Infiller",
    "Judge",
    "Makers",
    "Outcome",
    "Parsing",
    "Penalty",
    "Player",
    "Regulariser",
    "acgan",
    "adversarial",
    "cgan",
    "cncl",
    "cycle_sr",
    "cyclegan",
    "dcgan",
    "entries_of",
    "game",
    "gan",
    "gan_3d",
    "generator_variables",
    "infilling_gan",
    "latents",
    "medsrgan",
    "path_length",
    "pix2pix",
    "pix2pix_efficientnet",
    "resting",
    "rirgan",
    "semi_supervised_gan",
    "shape_consistent_gan",
    "stylegan2",
    "super_resolution_gan",
    "t_gan",
    "td_gan",
    "three_stage_gan",
    "triple_gan",
    "wgan",
    "wgan_gp",
]
