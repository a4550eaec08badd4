"""Rules for the layers that PyTorch libraries share.

``pattern`` is of the layer's name, ``target`` the path of the layer without collection.
"""

from __future__ import annotations

from .importer import Rule
from .transforms import Transform, conv, keep, linear, vector


def dense(pattern: str, target: str, transform: Transform = linear) -> tuple[Rule, ...]:
    """A linear layer: weight ``(out, in)`` and bias."""
    return (
        Rule(rf"{pattern}\.weight", f"params/{target}/kernel", transform),
        Rule(rf"{pattern}\.bias", f"params/{target}/bias", vector),
    )


def convolution(pattern: str, target: str) -> tuple[Rule, ...]:
    """A convolution: weight ``(out, in, *window)`` and bias."""
    return dense(pattern, target, conv)


def norm(pattern: str, target: str) -> tuple[Rule, ...]:
    """A layer, group or instance norm: weight and bias."""
    return (
        Rule(rf"{pattern}\.weight", f"params/{target}/scale", keep),
        Rule(rf"{pattern}\.bias", f"params/{target}/bias", keep),
    )


def batch_norm(pattern: str, target: str) -> tuple[Rule, ...]:
    """A batch norm, with its running statistics; the count of batches says nothing."""
    return (
        *norm(pattern, target),
        Rule(rf"{pattern}\.running_mean", f"batch_stats/{target}/mean", keep),
        Rule(rf"{pattern}\.running_var", f"batch_stats/{target}/var", keep),
        Rule(rf"{pattern}\.num_batches_tracked", None),
    )
