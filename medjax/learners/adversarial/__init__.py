"""Adversarial learning: one learner, and the GANs that are settings of it, a file a family.

Losses are in `medjax.losses.adversarial`, penalties in `medjax.losses.penalties`, augmentation
of what a discriminator sees in `medjax.augment.discriminator`, networks in
`medjax.models.generative`. What `game` returns is a learner as any other: `accumulated`,
`augmented` and the training loop take it as it is.
"""

from .adversarial import adversarial, entries_of, latents
from .classes import Judge, acgan, cgan, semi_supervised_gan
from .game import Outcome, Player, game
from .plain import dcgan, gan, stylegan2, wgan, wgan_gp
from .regularise import Penalty, Regulariser, path_length
from .translation import Both, cyclegan, pix2pix

__all__ = [
    "Both",
    "Judge",
    "Outcome",
    "Penalty",
    "Player",
    "Regulariser",
    "acgan",
    "adversarial",
    "cgan",
    "cyclegan",
    "dcgan",
    "entries_of",
    "game",
    "gan",
    "latents",
    "path_length",
    "pix2pix",
    "semi_supervised_gan",
    "stylegan2",
    "wgan",
    "wgan_gp",
]
