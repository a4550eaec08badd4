"""Writes inverted.npz: small MobileNets and EfficientNets of torchvision, and timm.

    pip install timm==1.0.31 torchvision==0.29.2 monai==1.6.1 torch==2.15.0 numpy==2.4.6
    python tests/reference/make_inverted.py

Weights are by formula (filling.py); what is stored is in classifiers.py.
"""

from classifiers import case, save
from timm.models import efficientnet as timm_efficientnet
from timm.models import mobilenetv3 as timm_mobilenetv3
from timm.models._efficientnet_builder import decode_arch_def
from torch import nn
from torchvision.models.efficientnet import EfficientNet, MBConvConfig
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3

V2 = [[1, 8, 1, 1], [6, 16, 2, 2], [6, 24, 1, 2]]
V3 = [
    (16, 3, 16, 16, True, "RE", 2),
    (16, 3, 40, 24, False, "RE", 2),
    (24, 5, 48, 24, True, "HS", 1),
]
B = [(1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 1)]

TIMM_V2 = [["ds_r1_k3_s1_c8"], ["ir_r2_k3_s2_e6_c16"], ["ir_r1_k3_s2_e6_c24"]]
TIMM_V3 = [
    ["ds_r1_k3_s2_e1_c16_se0.25_nre"],
    ["ir_r1_k3_s2_e2.5_c24_nre", "ir_r1_k5_s1_e2_c24_se0.25"],
    ["cn_r1_k1_s1_c144"],
]
TIMM_B = [
    ["ds_r1_k3_s1_e1_c16_se0.25"],
    ["ir_r2_k3_s2_e6_c24_se0.25"],
    ["ir_r1_k5_s2_e6_c40_se0.25"],
]


def timm_v2():
    return timm_efficientnet.EfficientNet(
        decode_arch_def(TIMM_V2), num_classes=5, num_features=1280, act_layer=nn.ReLU6
    )


def timm_v3():
    squeeze = timm_mobilenetv3.partial(
        timm_mobilenetv3.SqueezeExcite,
        gate_layer="hard_sigmoid",
        force_act_layer=nn.ReLU,
        rd_round_fn=timm_mobilenetv3.round_channels,
    )
    return timm_mobilenetv3.MobileNetV3(
        decode_arch_def(TIMM_V3),
        num_classes=5,
        stem_size=16,
        num_features=32,
        act_layer=nn.Hardswish,
        se_layer=squeeze,
    )


def timm_b():
    return timm_efficientnet.EfficientNet(
        decode_arch_def(TIMM_B), num_classes=5, num_features=64, act_layer=nn.SiLU
    )


def main() -> None:
    v2 = MobileNetV2(num_classes=5, inverted_residual_setting=V2)
    rows = [InvertedResidualConfig(*row, 1, 1.0) for row in V3]
    stages = [MBConvConfig(*row, 1.1, 1.2) for row in B]
    b = EfficientNet(stages, 0.0, num_classes=5, last_channel=64)
    save(
        __file__,
        case("v2", v2, 4, 3, 37, 32),
        case("v3", MobileNetV3(rows, last_channel=32, num_classes=5), 4, 3, 37, 32),
        case("efficientnet", b, 4, 3, 35, 32),
        case("timm_v2", timm_v2(), 4, 3, 32, 32),
        case("timm_v3", timm_v3(), 4, 3, 32, 32),
        case("timm_efficientnet", timm_b(), 4, 3, 32, 32),
    )


if __name__ == "__main__":
    main()
