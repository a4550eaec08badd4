"""How good generated images are as a set: near the real ones, as varied, and no copies of them.

Every number is of features, and features carry the name of what extracted them:

    extractor = from_backbone(module, variables, name="resnet18, trained on ...")
    real, generated = extractor(real_images), extractor(generated_images)
    print(frechet_distance(real, generated))
    print(precision_recall(real, generated).recall)

Of medical images no extractor is the standard. Numbers of one are comparable among themselves
alone, at equal counts, and beside what real images that were held out score.
"""

from .diversity import ms_ssim_diversity
from .features import PIXELS, FeatureExtractor, FeatureSet, Score, from_backbone
from .frechet import Moments, frechet_distance, moments
from .inception import inception_score
from .kernel import kernel_distance
from .neighbours import (
    DensityCoverage,
    Neighbours,
    PrecisionRecall,
    density_coverage,
    nearest,
    precision_recall,
)

__all__ = [
    "PIXELS",
    "DensityCoverage",
    "FeatureExtractor",
    "FeatureSet",
    "Moments",
    "Neighbours",
    "PrecisionRecall",
    "Score",
    "density_coverage",
    "frechet_distance",
    "from_backbone",
    "inception_score",
    "kernel_distance",
    "moments",
    "ms_ssim_diversity",
    "nearest",
    "precision_recall",
]
