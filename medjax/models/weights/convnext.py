"""How libraries name the tensors of a ConvNeXt."""

from __future__ import annotations

from functools import partial

from medjax.models.classifiers.convnext import SIZES, ConvNeXt

from .catalogue import Entry
from .importer import Naming, Rule
from .naming import convolution, dense, norm
from .transforms import vector


def _block(pattern: str, ours: str, names: tuple[str, str, str, str, str]) -> tuple[Rule, ...]:
    """Rules of a block from what it calls its convolution, norm, two dense layers and scale."""
    depthwise, normed, up, down, scale = (rf"{pattern}\.{name}" for name in names)
    return (
        *convolution(depthwise, f"{ours}/depthwise"),
        *norm(normed, f"{ours}/norm"),
        *dense(up, f"{ours}/mlp/up"),
        *dense(down, f"{ours}/mlp/down"),
        Rule(scale, f"params/{ours}/scale/scale", vector),
    )


_TORCHVISION_BLOCK = (r"block\.0", r"block\.2", r"block\.3", r"block\.5", "layer_scale")
_TIMM_BLOCK = ("conv_dw", "norm", r"mlp\.fc1", r"mlp\.fc2", "gamma")
_AUTHORS_BLOCK = ("dwconv", "norm", "pwconv1", "pwconv2", "gamma")
_STAGES = range(1, 5)

TORCHVISION = Naming(
    (
        *convolution(r"features\.0\.0", "stem"),
        *norm(r"features\.0\.1", "stem_norm"),
        *(
            rule
            for stage in _STAGES
            for rule in (
                *_block(
                    rf"features\.{2 * stage - 1}\.(\d+)",
                    rf"stage{stage}_block\1",
                    _TORCHVISION_BLOCK,
                ),
                *norm(rf"features\.{2 * stage - 2}\.0", f"halving{stage}_norm"),
                *convolution(rf"features\.{2 * stage - 2}\.1", f"halving{stage}"),
            )
        ),
        *norm(r"classifier\.0", "last_norm"),
        *dense(r"classifier\.2", "head"),
    ),
    head="classifier.2",
)
"""torchvision's ConvNeXt."""

TIMM = Naming(
    (
        *convolution(r"stem\.0", "stem"),
        *norm(r"stem\.1", "stem_norm"),
        *(
            rule
            for stage in _STAGES
            for rule in (
                *_block(
                    rf"stages\.{stage - 1}\.blocks\.(\d+)", rf"stage{stage}_block\1", _TIMM_BLOCK
                ),
                *norm(rf"stages\.{stage - 1}\.downsample\.0", f"halving{stage}_norm"),
                *convolution(rf"stages\.{stage - 1}\.downsample\.1", f"halving{stage}"),
            )
        ),
        *norm(r"head\.norm", "last_norm"),
        *dense(r"head\.fc", "head"),
    ),
    head="head.fc",
)
"""timm's ConvNeXt."""

AUTHORS = Naming(
    (
        *convolution(r"downsample_layers\.0\.0", "stem"),
        *norm(r"downsample_layers\.0\.1", "stem_norm"),
        *(
            rule
            for stage in _STAGES
            for rule in (
                *_block(rf"stages\.{stage - 1}\.(\d+)", rf"stage{stage}_block\1", _AUTHORS_BLOCK),
                *norm(rf"downsample_layers\.{stage - 1}\.0", f"halving{stage}_norm"),
                *convolution(rf"downsample_layers\.{stage - 1}\.1", f"halving{stage}"),
            )
        ),
        *norm("norm", "last_norm"),
        *dense("head", "head"),
    ),
)
"""ConvNeXt as its authors release it."""

_NAMINGS = {"torchvision": TORCHVISION, "timm": TIMM, "authors": AUTHORS}

ENTRIES: dict[str, Entry] = {
    f"convnext_{size}": Entry(partial(ConvNeXt.named, size), (224, 224), 3, "stem", _NAMINGS)
    for size in SIZES
}
"""The architectures whose weights can be imported by name."""
