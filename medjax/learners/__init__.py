"""How parameters change: paradigms, and combinators that take a learner and return one.

Learning without labels is in two rooms of its own: `medjax.learners.contrastive` and
`medjax.learners.predictive`; autoencoders are in
`medjax.learners.autoencoding`, diffusion in `medjax.learners.diffusion`, and detectors of
anomalies, which are made of all of these, in `medjax.learners.anomaly`.
"""

from medjax.core.registry import Registry

from .combinators import accumulated, augmented, averaged, variables_of
from .equivariant import equivariant, random_flip, random_rotation, random_shift
from .learner import Gradients, Learner, Phase, State
from .monitored import monitored
from .noise2noise import noise2noise
from .noise2void import noise2void
from .objective import descend, minimize
from .smoothed import smoothed
from .ssdu import gaussian_selection, ssdu, uniform_selection
from .supervised import supervised
from .sure import stein_risk, sure

LEARNERS = Registry(
    "learners",
    {
        "supervised": "medjax.learners.supervised:supervised",
        "noise2noise": "medjax.learners.noise2noise:noise2noise",
        "noise2void": "medjax.learners.noise2void:noise2void",
        "sure": "medjax.learners.sure:sure",
        "ssdu": "medjax.learners.ssdu:ssdu",
        "equivariant": "medjax.learners.equivariant:equivariant",
        "simclr": "medjax.learners.contrastive.simclr:simclr",
        "supcon": "medjax.learners.contrastive.simclr:supcon",
        "moco_v1": "medjax.learners.contrastive.moco:moco_v1",
        "moco_v2": "medjax.learners.contrastive.moco:moco_v2",
        "moco_v3": "medjax.learners.contrastive.moco:moco_v3",
        "pirl": "medjax.learners.contrastive.pirl:pirl",
        "byol": "medjax.learners.contrastive.byol:byol",
        "dino": "medjax.learners.contrastive.dino:dino",
        "dinov2": "medjax.learners.contrastive.dinov2:dinov2",
        "local_global": "medjax.learners.contrastive.dense:local_global",
        "micle": "medjax.learners.contrastive.patients:micle",
        "medaug": "medjax.learners.contrastive.patients:medaug",
        "convirt": "medjax.learners.contrastive.convirt:convirt",
        "mae": "medjax.learners.predictive.masked:mae",
        "simmim": "medjax.learners.predictive.masked:simmim",
        "inpainting": "medjax.learners.predictive.restore:inpainting",
        "colourisation": "medjax.learners.predictive.colour:colourisation",
        "relative_patch": "medjax.learners.predictive.position:relative_patch",
        "jigsaw": "medjax.learners.predictive.puzzle:jigsaw",
        "rotation": "medjax.learners.predictive.rotation:rotation",
        "rubiks_cube": "medjax.learners.predictive.puzzle:rubiks_cube",
        "rubiks_cube_plus": "medjax.learners.predictive.puzzle:rubiks_cube_plus",
        "context_restoration": "medjax.learners.predictive.restore:context_restoration",
        "models_genesis": "medjax.learners.predictive.restore:models_genesis",
        "anatomical_position": "medjax.learners.predictive.position:anatomical_position",
        "metadata": "medjax.learners.predictive.metadata:metadata",
        "autoencoder": "medjax.learners.autoencoding.plain:autoencoder",
        "denoising_autoencoder": "medjax.learners.autoencoding.plain:denoising_autoencoder",
        "sparse_autoencoder": "medjax.learners.autoencoding.plain:sparse_autoencoder",
        "contractive_autoencoder": "medjax.learners.autoencoding.plain:contractive_autoencoder",
        "stacked_autoencoder": "medjax.learners.autoencoding.plain:stacked_autoencoder",
        "vae": "medjax.learners.autoencoding.variational:vae",
        "cvae": "medjax.learners.autoencoding.variational:cvae",
        "gmvae": "medjax.learners.autoencoding.variational:gmvae",
        "kl_autoencoder": "medjax.learners.autoencoding.variational:kl_autoencoder",
        "vqvae": "medjax.learners.autoencoding.vqvae:vqvae",
        "ddpm": "medjax.learners.diffusion.ddpm:ddpm",
        "fast_ddpm": "medjax.learners.diffusion.ddpm:fast_ddpm",
        "edm": "medjax.learners.diffusion.ddpm:edm",
        "diffdenoise": "medjax.learners.diffusion.diffdenoise:diffdenoise",
        "adversarial": "medjax.learners.adversarial.adversarial:adversarial",
        "gan": "medjax.learners.adversarial.plain:gan",
        "dcgan": "medjax.learners.adversarial.plain:dcgan",
        "wgan": "medjax.learners.adversarial.plain:wgan",
        "wgan_gp": "medjax.learners.adversarial.plain:wgan_gp",
        "stylegan2": "medjax.learners.adversarial.plain:stylegan2",
        "cgan": "medjax.learners.adversarial.classes:cgan",
        "acgan": "medjax.learners.adversarial.classes:acgan",
        "semi_supervised_gan": "medjax.learners.adversarial.classes:semi_supervised_gan",
        "pix2pix": "medjax.learners.adversarial.translation:pix2pix",
        "cyclegan": "medjax.learners.adversarial.translation:cyclegan",
        "cncl": "medjax.learners.adversarial.denoising:cncl",
        "pix2pix_efficientnet": "medjax.learners.adversarial.denoising:pix2pix_efficientnet",
        "gan_3d": "medjax.learners.adversarial.volumes:gan_3d",
        "triple_gan": "medjax.learners.adversarial.triple:triple_gan",
        "infilling_gan": "medjax.learners.adversarial.infilling:infilling_gan",
        "shape_consistent_gan": "medjax.learners.adversarial.task:shape_consistent_gan",
        "td_gan": "medjax.learners.adversarial.task:td_gan",
        "top_gan": "medjax.learners.top_gan:top_gan",
        "super_resolution_gan": "medjax.learners.adversarial.super_resolution:super_resolution_gan",
        "rirgan": "medjax.learners.adversarial.super_resolution:rirgan",
        "medsrgan": "medjax.learners.adversarial.super_resolution:medsrgan",
        "three_stage_gan": "medjax.learners.adversarial.super_resolution:three_stage_gan",
        "t_gan": "medjax.learners.adversarial.super_resolution:t_gan",
        "cycle_sr": "medjax.learners.adversarial.cycle_sr:cycle_sr",
        "oc_ssl": "medjax.learners.anomaly.discrepancy:oc_ssl",
        "augmented": "medjax.learners.combinators:augmented",
        "averaged": "medjax.learners.combinators:averaged",
        "accumulated": "medjax.learners.combinators:accumulated",
        "monitored": "medjax.learners.monitored:monitored",
        "smoothed": "medjax.learners.smoothed:smoothed",
    },
)

__all__ = [
    "LEARNERS",
    "Gradients",
    "Learner",
    "Phase",
    "State",
    "accumulated",
    "augmented",
    "averaged",
    "descend",
    "equivariant",
    "gaussian_selection",
    "minimize",
    "monitored",
    "noise2noise",
    "noise2void",
    "random_flip",
    "random_rotation",
    "random_shift",
    "smoothed",
    "ssdu",
    "stein_risk",
    "supervised",
    "sure",
    "uniform_selection",
    "variables_of",
]
