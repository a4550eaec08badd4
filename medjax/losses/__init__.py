"""What training minimises: pure functions ``(prediction, target) -> (batch,)``.

Unlike a metric, a loss is finite with finite gradients for every finite input,
also where there is nothing to score.
"""

from medjax.core.registry import Registry

from .combine import Loss, weighted
from .overlap import cross_entropy, dice, dice_cross_entropy
from .pixel import l1, l2, rmse, ssim
from .regularity import low_rank, vectorial_total_variation

LOSSES = Registry(
    "losses",
    {
        "l1": "medjax.losses.pixel:l1",
        "l2": "medjax.losses.pixel:l2",
        "rmse": "medjax.losses.pixel:rmse",
        "ssim": "medjax.losses.pixel:ssim",
        "dice": "medjax.losses.overlap:dice",
        "cross_entropy": "medjax.losses.overlap:cross_entropy",
        "dice_cross_entropy": "medjax.losses.overlap:dice_cross_entropy",
        "low_rank": "medjax.losses.regularity:low_rank",
        "vectorial_total_variation": "medjax.losses.regularity:vectorial_total_variation",
    },
)

__all__ = [
    "LOSSES",
    "Loss",
    "cross_entropy",
    "dice",
    "dice_cross_entropy",
    "l1",
    "l2",
    "low_rank",
    "rmse",
    "ssim",
    "vectorial_total_variation",
    "weighted",
]
