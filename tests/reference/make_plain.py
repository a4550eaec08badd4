"""Writes plain.npz: torchvision's AlexNet, VGG and GoogLeNet, and timm's VGG.

    pip install timm==1.0.31 torchvision==0.29.2 monai==1.6.1 torch==2.15.0 numpy==2.4.6
    python tests/reference/make_plain.py

Weights are by formula (filling.py), so that the networks are as published but for the
width of dense layers and the channels of VGG; what is stored is in classifiers.py.
"""

import torch
from classifiers import case, save
from timm.models.vgg import VGG as Timm
from timm.models.vgg import ConvMlp
from torch import nn
from torchvision.models import AlexNet, GoogLeNet
from torchvision.models.vgg import VGG, make_layers

NARROW = [8, "M", 12, 12, "M", 16, "M", 16, "M", 20, "M"]


def vgg(batch_norm: bool) -> nn.Module:
    model = VGG(make_layers(NARROW, batch_norm), num_classes=5, init_weights=False)
    model.classifier[0] = nn.Linear(20 * 49, 32)
    model.classifier[3] = nn.Linear(32, 24)
    model.classifier[6] = nn.Linear(24, 5)
    return model


def timm_vgg() -> nn.Module:
    model = Timm(NARROW, num_classes=5)
    model.pre_logits = ConvMlp(20, 24)
    model.head.fc = nn.Linear(24, 5)
    return model


def alexnet() -> nn.Module:
    model = AlexNet(num_classes=5)
    model.classifier[1] = nn.Linear(256 * 36, 32)
    model.classifier[4] = nn.Linear(32, 24)
    model.classifier[6] = nn.Linear(24, 5)
    return model


def main() -> None:
    torch.manual_seed(0)
    save(
        __file__,
        case("vgg", vgg(False), 2, 3, 64, 70),
        case("vgg_bn", vgg(True), 4, 3, 64, 70),
        case("vgg_timm", timm_vgg(), 2, 3, 224, 224),
        case("alexnet", alexnet(), 2, 3, 80, 96),
        case("googlenet", GoogLeNet(num_classes=5, init_weights=False), 4, 3, 64, 76),
    )


if __name__ == "__main__":
    main()
