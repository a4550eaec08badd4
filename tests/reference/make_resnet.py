"""Writes resnet.npz: small residual networks of torchvision, timm and MONAI.

    pip install timm==1.0.31 torchvision==0.29.2 monai==1.6.1 torch==2.15.0 numpy==2.4.6
    python tests/reference/make_resnet.py

Weights are by formula (filling.py); what is stored is in classifiers.py.
"""

from classifiers import case, save
from monai.networks.nets import ResNet as MONAI
from timm.layers import get_attn
from timm.models.resnet import BasicBlock, Bottleneck
from timm.models.resnet import ResNet as Timm
from torch import nn
from torchvision.models import resnet

WIDTHS = (8, 12, 16, 24)


class Narrow(resnet.ResNet):
    """torchvision's blocks and stages, of other widths than its own."""

    def __init__(self, block, layers, classes, inner=1):
        super().__init__(block, layers, classes, width_per_group=64 * inner)
        self.inplanes = WIDTHS[0]
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        for i, (width, depth) in enumerate(zip(WIDTHS, layers, strict=True), start=1):
            stride = 1 if i == 1 else 2
            setattr(self, f"layer{i}", self._make_layer(block, width, depth, stride=stride))
        self.fc = nn.Linear(WIDTHS[-1] * block.expansion, classes)


def timm(block, layers, **options):
    options = {"stem_width": WIDTHS[0], **options}
    return Timm(block, layers, num_classes=5, channels=WIDTHS, **options)


def main() -> None:
    deep = {"stem_type": "deep", "stem_width": 4, "avg_down": True}
    attention = {"block_args": {"attn_layer": get_attn("se")}}
    volumes = {"block_inplanes": list(WIDTHS), "n_input_channels": 1, "num_classes": 5}
    save(
        __file__,
        case("basic", Narrow(resnet.BasicBlock, [2, 1, 1, 1], 5), 4, 3, 65, 64),
        case("wide", Narrow(resnet.Bottleneck, [1, 2, 1, 1], 5, inner=2), 4, 3, 64, 64),
        case("d", timm(BasicBlock, (1, 1, 1, 1), **deep), 4, 3, 70, 64),
        case("se", timm(Bottleneck, (1, 1, 1, 1), **attention), 4, 3, 64, 64),
        case("monai", MONAI("bottleneck", [1, 1, 1, 1], **volumes), 2, 1, 24, 32, 20),
    )


if __name__ == "__main__":
    main()
