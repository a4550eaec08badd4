"""Self-supervision by prediction: a part of the image is taken away and has to be guessed.

Targets and corruptions are made on the device from the image, the step's key and each
sample's ``index``. All learners here keep the network that is pretrained as the part
"backbone": its parameters are ``state.params["backbone"]``, and `backbone_variables` takes
all of it out. `predict` gives that network's own output: pooled features of a `Backbone`,
the image of an encoder and decoder.
"""

from .colour import colourisation
from .masked import mae, simmim
from .metadata import metadata
from .position import anatomical_position, relative_patch
from .pretext import backbone_variables, pretext
from .puzzle import jigsaw, permutations, rubiks_cube, rubiks_cube_plus
from .restore import context_restoration, inpainting, models_genesis
from .rotation import rotation

__all__ = [
    "anatomical_position",
    "backbone_variables",
    "colourisation",
    "context_restoration",
    "inpainting",
    "jigsaw",
    "mae",
    "metadata",
    "models_genesis",
    "permutations",
    "pretext",
    "relative_patch",
    "rotation",
    "rubiks_cube",
    "rubiks_cube_plus",
    "simmim",
]
