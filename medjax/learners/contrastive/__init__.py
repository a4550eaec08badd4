"""Learning without labels by contrast and self-distillation, a file a family of methods.

Views are made on the device, before: ``augmented(simclr(...), views({...}))`` with
`medjax.augment.views`. Backbones come out with `encoder_variables`.
"""

from .byol import byol
from .convirt import TextEncoder, convirt
from .dense import local_global
from .dino import dino
from .dinov2 import dinov2
from .heads import MLPHead, PrototypeHead
from .moco import moco_v1, moco_v2, moco_v3
from .patients import medaug, micle, patient_pair
from .pirl import jigsaw, pirl
from .pretrain import cosine, encoder_variables
from .simclr import simclr, supcon

__all__ = [
    "MLPHead",
    "PrototypeHead",
    "TextEncoder",
    "byol",
    "convirt",
    "cosine",
    "dino",
    "dinov2",
    "encoder_variables",
    "jigsaw",
    "local_global",
    "medaug",
    "micle",
    "moco_v1",
    "moco_v2",
    "moco_v3",
    "patient_pair",
    "pirl",
    "simclr",
    "supcon",
]
