"""Convolutional networks that turn images into features, and features into logits."""

from .alexnet import AlexNet
from .convnext import ConvNeXt
from .densenet import DenseNet
from .efficientnet import EfficientNet
from .googlenet import GoogLeNet
from .mobilenet import MobileNet
from .resnet import ResNet
from .vgg import VGG

__all__ = [
    "VGG",
    "AlexNet",
    "ConvNeXt",
    "DenseNet",
    "EfficientNet",
    "GoogLeNet",
    "MobileNet",
    "ResNet",
]
