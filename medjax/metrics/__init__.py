"""How good a result is: pure functions of arrays, one value a sample.

What belongs to a set of images, as those of a generative model, is in a room of its own,
`medjax.metrics.generative`.

A metric is for people to read, so it says what it cannot say: a sample without
anything to score gives NaN, never a number that looks like a score.
"""

from medjax.core.registry import Registry

from .image import mae, ms_ssim, mse, nmse, psnr, rmse, ssim
from .overlap import dice, iou

METRICS = Registry(
    "metrics",
    {
        "mae": "medjax.metrics.image:mae",
        "mse": "medjax.metrics.image:mse",
        "rmse": "medjax.metrics.image:rmse",
        "nmse": "medjax.metrics.image:nmse",
        "psnr": "medjax.metrics.image:psnr",
        "ssim": "medjax.metrics.image:ssim",
        "ms_ssim": "medjax.metrics.image:ms_ssim",
        "dice": "medjax.metrics.overlap:dice",
        "iou": "medjax.metrics.overlap:iou",
        "average_precision": "medjax.metrics.anomaly:average_precision",
        "best_dice": "medjax.metrics.anomaly:best_dice",
        "auroc": "medjax.metrics.anomaly:auroc",
        "frechet_distance": "medjax.metrics.generative.frechet:frechet_distance",
        "kernel_distance": "medjax.metrics.generative.kernel:kernel_distance",
        "inception_score": "medjax.metrics.generative.inception:inception_score",
        "precision_recall": "medjax.metrics.generative.neighbours:precision_recall",
        "density_coverage": "medjax.metrics.generative.neighbours:density_coverage",
        "mode_collapse": "medjax.metrics.generative.collapse:mode_collapse",
        "data_copying": "medjax.metrics.generative.memorisation:data_copying",
        "membership_advantage": "medjax.metrics.generative.membership:membership_advantage",
        "ms_ssim_diversity": "medjax.metrics.generative.diversity:ms_ssim_diversity",
    },
)

__all__ = ["METRICS", "dice", "iou", "mae", "ms_ssim", "mse", "nmse", "psnr", "rmse", "ssim"]
