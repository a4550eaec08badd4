"""The loop, placement on devices, checkpoints and records."""

from .checkpoint import Checkpoints
from .evaluate import NETWORK, Judge, Results
from .experiment import Control, Evaluation, Experiment, Metric
from .loop import CHECKPOINTS, Diverged, Stopped, fit
from .placement import (
    PLACEMENTS,
    Placement,
    data_parallel,
    fully_sharded,
    replicate,
    replicated,
    shard_largest,
)
from .samples import Samples
from .setup import Placed, on_all_cores, place
from .watch import Rule, Unstable, UnstableWarning, adversarial_rules, all_of, jumps, leaves

__all__ = [
    "CHECKPOINTS",
    "NETWORK",
    "PLACEMENTS",
    "Checkpoints",
    "Control",
    "Diverged",
    "Evaluation",
    "Experiment",
    "Judge",
    "Metric",
    "Placed",
    "Placement",
    "Results",
    "Rule",
    "Samples",
    "Stopped",
    "Unstable",
    "UnstableWarning",
    "adversarial_rules",
    "all_of",
    "data_parallel",
    "fit",
    "fully_sharded",
    "jumps",
    "leaves",
    "on_all_cores",
    "place",
    "replicate",
    "replicated",
    "shard_largest",
]
