"""Writes densenet.npz: small densely connected networks of torchvision and MONAI.

    pip install timm==1.0.31 torchvision==0.29.2 monai==1.6.1 torch==2.15.0 numpy==2.4.6
    python tests/reference/make_densenet.py

Weights are by formula (filling.py); what is stored is in classifiers.py.
"""

from classifiers import case, save
from monai.networks.nets import DenseNet as MONAI
from torchvision.models import DenseNet

SMALL = {"growth_rate": 4, "block_config": (2, 3, 2, 1)}


def main() -> None:
    monai = MONAI(3, 1, 5, init_features=8, **SMALL)
    save(
        __file__,
        case("torchvision", DenseNet(**SMALL, num_init_features=8, num_classes=5), 4, 3, 70, 64),
        case("monai", monai, 2, 1, 40, 64, 36),
    )


if __name__ == "__main__":
    main()
