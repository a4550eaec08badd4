"""How libraries name the tensors of a Swin transformer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from medjax.models.swin import Swin

from .catalogue import Entry
from .importer import Naming, Rule
from .naming import convolution, dense, norm
from .transforms import linear, vector

_THEIRS = r"layers\.(\d+)\.blocks\.(\d+)"
_OURS = r"stage\1_block\2"
_SHARED = (
    *convolution(r"patch_embed\.proj", "patch_embed"),
    *norm(r"patch_embed\.norm", "patch_norm"),
    *norm(rf"{_THEIRS}\.norm1", f"{_OURS}/norm1"),
    *norm(rf"{_THEIRS}\.norm2", f"{_OURS}/norm2"),
    *dense(rf"{_THEIRS}\.attn\.qkv", f"{_OURS}/attention/qkv"),
    *dense(rf"{_THEIRS}\.attn\.proj", f"{_OURS}/attention/out"),
    *dense(rf"{_THEIRS}\.mlp\.fc1", f"{_OURS}/mlp/up"),
    *dense(rf"{_THEIRS}\.mlp\.fc2", f"{_OURS}/mlp/down"),
    *(
        Rule(rf"{_THEIRS}\.attn\.{theirs}", f"params/{_OURS}/attention/{ours}", vector)
        for theirs, ours in (
            ("relative_position_bias_table", "relative_bias"),
            ("logit_scale", "logit_scale"),
            ("q_bias", "query_bias"),
            ("v_bias", "value_bias"),
        )
    ),
    *dense(rf"{_THEIRS}\.attn\.cpb_mlp\.0", f"{_OURS}/attention/bias_hidden"),
    *dense(rf"{_THEIRS}\.attn\.cpb_mlp\.2", f"{_OURS}/attention/bias_out"),
    # Which follow from the window's size, and are computed.
    Rule(r".+\.(?:relative_position_index|relative_coords_table|attn_mask)", None),
    *norm("norm", "norm"),
)


def _merges(shift: int) -> tuple[Rule, ...]:
    """Merges count from the stage that they lead to; ``shift`` is added to the library's."""
    rules: list[Rule] = []
    for stage in (1, 2, 3):
        theirs = rf"layers\.{stage - shift}\.downsample"
        rules.append(
            Rule(rf"{theirs}\.reduction\.weight", f"params/merge{stage}/reduction/kernel", linear)
        )
        rules += norm(rf"{theirs}\.norm", f"merge{stage}/norm")
    return tuple(rules)


TIMM = Naming((*_SHARED, *_merges(0), *dense(r"head\.fc", "head")), head="head.fc")
"""timm's SwinTransformer and SwinTransformerV2."""

MICROSOFT = Naming((*_SHARED, *_merges(1), *dense("head", "head")))
"""Both versions as their authors release them."""


def _entry(size: str, image: int = 224, **fields: Any) -> Entry:
    namings: Mapping[str, Naming] = {"timm": TIMM, "microsoft": MICROSOFT}
    backbone = partial(Swin.named, size, **fields)
    return Entry(backbone, (image, image), 3, "patch_embed", namings)


ENTRIES: dict[str, Entry] = {
    **{f"swin_{size}_window7": _entry(size) for size in "tsbl"},
    **{f"swin_{size}_window12": _entry(size, 384, window=12) for size in "bl"},
    **{f"swin_v2_{size}_window8": _entry(size, 256, window=8, version=2) for size in "tsb"},
    **{f"swin_v2_{size}_window16": _entry(size, 256, window=16, version=2) for size in "tsb"},
}
"""The architectures whose weights can be imported by name."""
