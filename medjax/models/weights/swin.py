"""How libraries name the tensors of a Swin transformer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from medjax.models.swin import Swin

from .catalogue import Entry
from .importer import Naming, Rule, Shapes
from .naming import convolution, dense, norm
from .transforms import grid, linear, vector

_THEIRS = r"layers\.(\d+)\.blocks\.(\d+)"


def _blocks(theirs: str, ours: str, up: str = "fc1", down: str = "fc2") -> tuple[Rule, ...]:
    """Rules of a block from the pattern of its name, its path, and what its MLP is called."""
    return (
        *norm(rf"{theirs}\.norm1", f"{ours}/norm1"),
        *norm(rf"{theirs}\.norm2", f"{ours}/norm2"),
        *dense(rf"{theirs}\.attn\.qkv", f"{ours}/attention/qkv"),
        *dense(rf"{theirs}\.attn\.proj", f"{ours}/attention/out"),
        *dense(rf"{theirs}\.mlp\.{up}", f"{ours}/mlp/up"),
        *dense(rf"{theirs}\.mlp\.{down}", f"{ours}/mlp/down"),
        Rule(
            rf"{theirs}\.attn\.relative_position_bias_table",
            f"params/{ours}/attention/relative_bias",
            grid,
        ),
        *(
            Rule(rf"{theirs}\.attn\.{name}", f"params/{ours}/attention/{leaf}", vector)
            for name, leaf in (
                ("logit_scale", "logit_scale"),
                ("q_bias", "query_bias"),
                ("v_bias", "value_bias"),
            )
        ),
        *dense(rf"{theirs}\.attn\.cpb_mlp\.0", f"{ours}/attention/bias_hidden"),
        *dense(rf"{theirs}\.attn\.cpb_mlp\.2", f"{ours}/attention/bias_out"),
    )


_COMPUTED = (
    # Which follow from the window's size.
    Rule(r".+\.(?:relative_position_index|relative_coords_table|attn_mask)", None),
    *norm("norm", "norm"),
)
_SHARED = (
    *convolution(r"patch_embed\.proj", "patch_embed"),
    *norm(r"patch_embed\.norm", "patch_norm"),
    *_blocks(_THEIRS, r"stage\1_block\2"),
    *_COMPUTED,
)


def _merge(theirs: str, stage: int) -> tuple[Rule, ...]:
    """Rules of a merge, which counts from the stage that it leads to."""
    reduction = f"params/merge{stage}/reduction/kernel"
    return (
        Rule(rf"{theirs}\.reduction\.weight", reduction, linear),
        *norm(rf"{theirs}\.norm", f"merge{stage}/norm"),
    )


def _merges(shift: int) -> tuple[Rule, ...]:
    """Rules of all merges; ``shift`` is added to the library's count."""
    theirs = ((stage, rf"layers\.{stage - shift}\.downsample") for stage in (1, 2, 3))
    return tuple(rule for stage, name in theirs for rule in _merge(name, stage))


def _without_key_bias(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    """The second version's biases apart; torchvision keeps one of keys, and sets it to zero."""
    if not any(path.endswith("/query_bias") for path in shapes):
        return tensors
    parts = {}
    for name, tensor in tensors.items():
        if name.endswith(".attn.qkv.bias") and len(tensor) % 3 == 0:
            layer = name.removesuffix("qkv.bias")
            parts[f"{layer}q_bias"], _, parts[f"{layer}v_bias"] = np.split(tensor, 3)
        else:
            parts[name] = tensor
    return parts


TIMM = Naming((*_SHARED, *_merges(0), *dense(r"head\.fc", "head")), head="head.fc")
"""timm's SwinTransformer and SwinTransformerV2."""

MICROSOFT = Naming((*_SHARED, *_merges(1), *dense("head", "head")))
"""Both versions as their authors release them."""

TORCHVISION = Naming(
    (
        *convolution(r"features\.0\.0", "patch_embed"),
        *norm(r"features\.0\.2", "patch_norm"),
        *(
            rule
            for stage in range(4)
            for rule in (
                *_blocks(rf"features\.{2 * stage + 1}\.(\d+)", rf"stage{stage}_block\1", "0", "3"),
                *_merge(rf"features\.{2 * stage}", stage),
            )
        ),
        *_COMPUTED,
        *dense("head", "head"),
    ),
    _without_key_bias,
)
"""torchvision's SwinTransformer, both versions."""


def inflate_merge(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A merge of four neighbours for eight: what each pair along depth shares, twice.

    A product's rows are halved, so that its sum stays; a norm's scale and bias are not.
    """
    if shape[0] != 2 * array.shape[0] or array.ndim != len(shape):
        return array
    # Neighbours come with the depth last but for the channels: the first axis runs fastest.
    parts = array.reshape(4, 1, array.shape[0] // 4, *array.shape[1:])
    twice = np.repeat(parts, 2, axis=1).reshape(2 * array.shape[0], *array.shape[1:])
    return twice / array.dtype.type(2) if array.ndim == 2 else twice


def inflate_offsets(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The first layer of a continuous bias, which does not see the offset along depth yet."""
    return np.concatenate([np.zeros_like(array[:1]), array]) if len(array) == 2 else array


INFLATIONS = (
    (r"merge\d/(?:reduction/kernel|norm/scale|norm/bias)$", inflate_merge),
    (r"bias_hidden/kernel$", inflate_offsets),
)
"""So that on a volume that does not change along depth all is as it was on the image."""


def _entry(namings: Mapping[str, Naming], size: str, image: int = 224, **fields: Any) -> Entry:
    backbone = partial(Swin.named, size, **fields)
    return Entry(backbone, (image, image), 3, "patch_embed", namings, INFLATIONS)


_BOTH = {"timm": TIMM, "microsoft": MICROSOFT}
_ALL = {**_BOTH, "torchvision": TORCHVISION}

ENTRIES: dict[str, Entry] = {
    **{f"swin_{size}_window7": _entry(_ALL, size) for size in "tsbl"},
    **{f"swin_{size}_window12": _entry(_BOTH, size, 384, window=12) for size in "bl"},
    **{f"swin_v2_{size}_window8": _entry(_ALL, size, 256, window=8, version=2) for size in "tsb"},
    **{
        f"swin_v2_{size}_window16": _entry(_BOTH, size, 256, window=16, version=2) for size in "tsb"
    },
}
"""The architectures whose weights can be imported by name."""
