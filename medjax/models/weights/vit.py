"""How libraries name the tensors of a vision transformer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from medjax.models.vit import ViT

from .catalogue import Entry
from .importer import Naming, Rule, Shapes
from .naming import convolution, dense, norm
from .transforms import grid, linear, vector

_BLOCK = "encoder/block/[\\1]"


def _gated(pattern: str) -> tuple[Rule, ...]:
    """The two halves of a SwiGLU's first layer, of which the activation sees the first."""
    gate, up = (f"params/{_BLOCK}/mlp/{part}" for part in ("gate", "up"))
    return (
        Rule(rf"{pattern}\.weight", (f"{gate}/kernel", f"{up}/kernel"), linear),
        Rule(rf"{pattern}\.bias", (f"{gate}/bias", f"{up}/bias"), vector),
    )


def _blocks(layer: str, names: Mapping[str, str]) -> tuple[Rule, ...]:
    """Rules of a block's dense layers and norms.

    Args:
        layer: pattern of a block's name, whose group is its number.
        names: medjax's name of each part to the library's pattern.
    """
    rules = []
    for ours, theirs in names.items():
        kind = norm if ours.split("/")[-1].endswith(("norm", "norm1", "norm2")) else dense
        rules += kind(rf"{layer}\.{theirs}", f"{_BLOCK}/{ours}")
    return tuple(rules)


def _fold_class_position(
    tensors: dict[str, np.ndarray], shapes: Shapes, *, token: str, positions: str
) -> dict[str, np.ndarray]:
    """The class token's position, which libraries keep before those of patches, added to it."""
    wanted = shapes.get("params/position/table")
    if token not in tensors or positions not in tensors or wanted is None:
        return tensors
    table = tensors[positions]
    count, cells = table.shape[-2], math.prod(wanted[:-1])
    side = round((count - 1) ** (1 / (len(wanted) - 1)))
    if count != cells and (count == cells + 1 or side ** (len(wanted) - 1) == count - 1):
        tensors[token] = tensors[token] + table[..., :1, :]
        tensors[positions] = table[..., 1:, :]
    return tensors


def _rename_gated(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    """timm's SwiGLU by the names of its authors, which tell it from a plain MLP."""
    if any("/mlp/gate/" in path for path in shapes):
        swaps = (("mlp.fc1.", "mlp.w12."), ("mlp.fc2.", "mlp.w3."))
        for old, new in swaps:
            tensors = {name.replace(old, new): a for name, a in tensors.items()}
    return _fold_class_position(tensors, shapes, token="cls_token", positions="pos_embed")


_TIMM_BLOCK = r"blocks\.(?:\d+\.)?(\d+)"  # the optional number is DINOv2's chunk of blocks
_SHARED = (
    Rule("cls_token", "params/class_token", vector),
    Rule("pos_embed", "params/position/table", grid),
    *convolution(r"patch_embed\.proj", "patch_embed"),
    *_blocks(
        _TIMM_BLOCK,
        {
            "norm1": "norm1",
            "norm2": "norm2",
            "attention/qkv": r"attn\.qkv",
            "attention/query_norm": r"attn\.q_norm",
            "attention/key_norm": r"attn\.k_norm",
            "attention/out": r"attn\.proj",
            "mlp/up": r"mlp\.fc1",
            "mlp/down": r"mlp\.(?:fc2|w3)",
        },
    ),
    *_gated(rf"{_TIMM_BLOCK}\.mlp\.w12"),
    *(Rule(rf"{_TIMM_BLOCK}\.ls{i}\.gamma", f"params/{_BLOCK}/scale{i}/scale") for i in (1, 2)),
    *norm("norm", "norm"),
    *dense("head", "head"),
)
_FOLDED = partial(_fold_class_position, token="cls_token", positions="pos_embed")

TIMM = Naming((Rule("reg_token", "params/registers", vector), *_SHARED), _rename_gated)
"""timm's VisionTransformer with a class token, and files that share its names: DeiT, MAE's."""

DINOV2 = Naming(
    (
        Rule("register_tokens", "params/registers", vector),
        # Stands for hidden patches while they are learned from.
        Rule("mask_token", None),
        *_SHARED,
    ),
    _FOLDED,
)
"""DINOv2 as its authors release it."""

MAE = Naming(
    (
        # Sines and cosines, which the module computes.
        Rule("(?:decoder_)?pos_embed", None),
        # What paints the hidden patches.
        Rule("mask_token|decoder_.+", None),
        *_SHARED,
    ),
)
"""MAE's encoder as its authors release it, with positions that are sinusoidal."""

TORCHVISION = Naming(
    (
        Rule("class_token", "params/class_token", vector),
        Rule(r"encoder\.pos_embedding", "params/position/table", grid),
        *convolution("conv_proj", "patch_embed"),
        *(
            Rule(
                rf"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.in_proj_{theirs}",
                f"params/{_BLOCK}/attention/qkv/{ours}",
                transform,
            )
            for theirs, ours, transform in (("weight", "kernel", linear), ("bias", "bias", vector))
        ),
        *_blocks(
            r"encoder\.layers\.encoder_layer_(\d+)",
            {
                "norm1": "ln_1",
                "norm2": "ln_2",
                "attention/out": r"self_attention\.out_proj",
                "mlp/up": r"mlp\.(?:0|linear_1)",
                "mlp/down": r"mlp\.(?:3|linear_2)",
            },
        ),
        *norm(r"encoder\.ln", "norm"),
        *dense(r"heads\.head", "head"),
    ),
    partial(_fold_class_position, token="class_token", positions="encoder.pos_embedding"),
    head="heads.head",
)
"""torchvision's VisionTransformer."""

MONAI = Naming(
    (
        Rule("cls_token", "params/class_token", vector),
        Rule(r"patch_embedding\.position_embeddings", "params/position/table", grid),
        *convolution(r"patch_embedding\.patch_embeddings", "patch_embed"),
        *_blocks(
            r"blocks\.(\d+)",
            {
                "norm1": "norm1",
                "norm2": "norm2",
                "attention/qkv": r"attn\.qkv",
                "attention/out": r"attn\.out_proj",
                "mlp/up": r"mlp\.linear1",
                "mlp/down": r"mlp\.linear2",
            },
        ),
        # Made with every block, used with cross attention only.
        Rule(r"blocks\.\d+\.(?:norm_cross_attn|cross_attn)\..+", None),
        *norm("norm", "norm"),
        *dense(r"classification_head(?:\.0)?", "head"),
    ),
    head="classification_head.0",
)
"""MONAI's ViT with patches by convolution. Its classifier's tanh is not part of the logits."""


def _entry(namings: Mapping[str, Naming], size: str, **fields: Any) -> Entry:
    image = fields.get("image_size", 224)
    return Entry(partial(ViT.named, size, **fields), (image, image), 3, "patch_embed", namings)


_BOTH = {"timm": TIMM, "torchvision": TORCHVISION}
_DINOV2 = {"dinov2": DINOV2, "timm": TIMM}
_DINOV2_FIELDS: dict[str, Any] = {"patch": 14, "image_size": 518, "layer_scale": 1e-5}

ENTRIES: dict[str, Entry] = {
    "vit_ti16": _entry({"timm": TIMM}, "ti"),
    "vit_s8": _entry({"timm": TIMM}, "s", patch=8),
    "vit_s16": _entry({"timm": TIMM}, "s"),
    "vit_s32": _entry({"timm": TIMM}, "s", patch=32),
    "vit_b8": _entry({"timm": TIMM}, "b", patch=8),
    "vit_b16": _entry(_BOTH, "b"),
    "vit_b32": _entry(_BOTH, "b", patch=32),
    "vit_l16": _entry(_BOTH, "l"),
    "vit_l32": _entry(_BOTH, "l", patch=32),
    "vit_h14": _entry(_BOTH, "h", patch=14),
    **{
        f"mae_vit_{size}{patch}": _entry({"mae": MAE}, size, patch=patch, positions="sinusoidal")
        for size, patch in (("b", 16), ("l", 16), ("h", 14))
    },
    **{f"dinov2_vit_{size}14": _entry(_DINOV2, size, **_DINOV2_FIELDS) for size in "sblg"},
    **{
        f"dinov2_vit_{size}14_reg4": _entry(_DINOV2, size, registers=4, **_DINOV2_FIELDS)
        for size in "sblg"
    },
    "monai_vit_b16": Entry(
        partial(ViT.named, "b", image_size=96, pool="mean", qkv_bias=False, epsilon=1e-5),
        (96, 96, 96),
        1,
        "patch_embed",
        {"monai": MONAI},
    ),
}
"""The architectures whose weights can be imported by name."""
