"""Writes convnext.npz: small ConvNeXts of torchvision and timm.

    pip install timm==1.0.31 torchvision==0.29.2 monai==1.6.1 torch==2.15.0 numpy==2.4.6
    python tests/reference/make_convnext.py

Weights are by formula (filling.py); what is stored is in classifiers.py.
"""

from classifiers import case, save
from timm.models.convnext import ConvNeXt as Timm
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

DEPTHS, WIDTHS = (1, 1, 2, 1), (8, 12, 16, 24)


def main() -> None:
    following = (*WIDTHS[1:], None)
    settings = [CNBlockConfig(*row) for row in zip(WIDTHS, following, DEPTHS, strict=True)]
    save(
        __file__,
        case("torchvision", ConvNeXt(settings, num_classes=5), 2, 3, 70, 64),
        case("timm", Timm(num_classes=5, depths=DEPTHS, dims=WIDTHS), 2, 3, 64, 64),
    )


if __name__ == "__main__":
    main()
