"""Evaluation protocols of pretrained networks: every choice fixed, and printed with the result.

A protocol is a dataclass of its choices; called with labelled samples it chooses on the
validation part, reports on the test part, and gives an `Outcome` that prints itself:

    print(LinearProbe()(images.map(in_batches(features))))
    print(label_curve(NearestNeighbours(), features, fractions=(0.01, 0.1, 1.0)))
"""

from medjax.core.batches import in_batches
from medjax.core.registry import Registry

from .attentive import AttentiveProbe
from .curves import Curve, label_curve, label_subset
from .finetune import (
    RESNET_LAYERS,
    VIT_LAYERS,
    FineTuning,
    Layer,
    layer_scales,
    transplanted,
)
from .heads import ForestHead, LogisticHead, SVMHead
from .knn import NearestNeighbours
from .linear import LinearProbe
from .protocol import Outcome, Protocol, describe
from .sets import Labelled, Sets, extract

PROTOCOLS = Registry(
    "protocols",
    {
        "nearest_neighbours": "medjax.training.protocols.knn:NearestNeighbours",
        "linear_probe": "medjax.training.protocols.linear:LinearProbe",
        "attentive_probe": "medjax.training.protocols.attentive:AttentiveProbe",
        "fine_tuning": "medjax.training.protocols.finetune:FineTuning",
        "logistic_head": "medjax.training.protocols.heads:LogisticHead",
        "svm_head": "medjax.training.protocols.heads:SVMHead",
        "forest_head": "medjax.training.protocols.heads:ForestHead",
    },
)

__all__ = [
    "PROTOCOLS",
    "RESNET_LAYERS",
    "VIT_LAYERS",
    "AttentiveProbe",
    "Curve",
    "FineTuning",
    "ForestHead",
    "Labelled",
    "Layer",
    "LinearProbe",
    "LogisticHead",
    "NearestNeighbours",
    "Outcome",
    "Protocol",
    "SVMHead",
    "Sets",
    "describe",
    "extract",
    "in_batches",
    "label_curve",
    "label_subset",
    "layer_scales",
    "transplanted",
]
