"""Anomaly detection: what is normal is learned, and what is not stands out.

A system is a `Detector`: a learner, which is trained as any, and scores of images and of their
places. Most are made from learners of other rooms: autoencoders, GANs, diffusion,
self-supervision.
"""

from medjax.core.registry import Registry

from .detector import Detector, Scores, reconstruction
from .discrepancy import Members, ddad, oc_ssl
from .elbo import cvae_anomaly, elbo_gradient, gmvae_energy, vae_energy
from .gans import ano_vae_gan, anogan, f_anogan
from .masked import masked_error, ssl_error
from .one_class import deep_svdd
from .restoration import elbo_restoration
from .synomaly import synomaly, synomaly_noise

DETECTORS = Registry(
    "detectors",
    {
        "reconstruction": "medjax.learners.anomaly.detector:reconstruction",
        "anogan": "medjax.learners.anomaly.gans:anogan",
        "f_anogan": "medjax.learners.anomaly.gans:f_anogan",
        "ano_vae_gan": "medjax.learners.anomaly.gans:ano_vae_gan",
        "cvae_anomaly": "medjax.learners.anomaly.elbo:cvae_anomaly",
        "elbo_gradient": "medjax.learners.anomaly.elbo:elbo_gradient",
        "elbo_restoration": "medjax.learners.anomaly.restoration:elbo_restoration",
        "ddad": "medjax.learners.anomaly.discrepancy:ddad",
        "synomaly": "medjax.learners.anomaly.synomaly:synomaly",
        "deep_svdd": "medjax.learners.anomaly.one_class:deep_svdd",
        "masked_error": "medjax.learners.anomaly.masked:masked_error",
        "ssl_error": "medjax.learners.anomaly.masked:ssl_error",
    },
)

__all__ = [
    "DETECTORS",
    "Detector",
    "Members",
    "Scores",
    "ano_vae_gan",
    "anogan",
    "cvae_anomaly",
    "ddad",
    "deep_svdd",
    "elbo_gradient",
    "elbo_restoration",
    "f_anogan",
    "gmvae_energy",
    "masked_error",
    "oc_ssl",
    "reconstruction",
    "ssl_error",
    "synomaly",
    "synomaly_noise",
    "vae_energy",
]
