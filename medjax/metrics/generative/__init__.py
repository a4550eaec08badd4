"""How good generated images are as a set: near the real ones, as varied, and no copies of them.

Every number is of features, and features carry the name of what extracted them:

    extractor = from_backbone(module, variables, name="resnet18, trained on ...")
    real, generated = extractor(real_images), extractor(generated_images)
    print(frechet_distance(real, generated))
    print(precision_recall(real, generated).recall)

Of medical images no extractor is the standard. Numbers of one are comparable among themselves
alone, at equal counts, and beside what real images that were held out score.
"""

from .collapse import COLLAPSED, Collapse, Share, mode_collapse
from .diversity import ms_ssim_diversity
from .features import PIXELS, FeatureExtractor, FeatureSet, Score, from_backbone
from .frechet import Moments, frechet_distance, moments
from .inception import inception_score
from .kernel import kernel_distance
from .membership import Membership, membership_advantage
from .memorisation import Copies, data_copying
from .neighbours import (
    DensityCoverage,
    Neighbours,
    PrecisionRecall,
    density_coverage,
    nearest,
    precision_recall,
)

__all__ = [
    "COLLAPSED",
    "PIXELS",
    "Collapse",
    "Copies",
    "DensityCoverage",
    "FeatureExtractor",
    "FeatureSet",
    "Membership",
    "Moments",
    "Neighbours",
    "PrecisionRecall",
    "Score",
    "Share",
    "data_copying",
    "density_coverage",
    "frechet_distance",
    "from_backbone",
    "inception_score",
    "kernel_distance",
    "membership_advantage",
    "mode_collapse",
    "moments",
    "ms_ssim_diversity",
    "nearest",
    "precision_recall",
]
