"""What all pretext tasks share: from a task and a loss to a learner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.augment import keyed
from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Bool, Float, Int, Key, PyTree
from medjax.layers.conv import require_image
from medjax.learners.learner import Learner, State
from medjax.learners.objective import descend
from medjax.models.backbone import Backbone

Task = Callable[[Key[Array, " batch"], Array, Batch], tuple[tuple[Any, ...], Any]]
"""``(keys, image, batch) -> (inputs, target)``: what the module sees and what it should say.

One key a sample; the image is the batch's entry, checked to be ``(batch, *spatial, channel)``."""


def pretext(
    module: Any,
    task: Task,
    loss: Callable[[Any, Any], Float[Array, " batch"]],
    optimizer: optax.GradientTransformation,
    *,
    image: str = "image",
    view: Callable[[Array], Array] = lambda x: x,
) -> Learner:
    """Minimise the mean over the batch of ``loss(module(*inputs), target)`` of a task.

    Args:
        module: a Flax module whose attribute ``backbone`` is the network to be pretrained.
        task: makes inputs and targets.
        loss: ``(output, target) -> (batch,)``.
        optimizer: any Optax transformation.
        image: the batch's entry, floating ``(batch, *spatial, channel)``, 2D or 3D. The batch
            also has ``index``, as any source gives it.
        view: what the backbone sees of an image when it predicts.

    Returns:
        A learner whose scalars are ``loss`` and ``gradient_norm``, and whose `predict`
        returns the pooled features ``(batch, channel)`` of a `Backbone`, or the output of
        any other network.

    Raises:
        InputError: when called, for a batch without such an image.
    """

    def posed(key: Key[Array, ""], batch: Batch) -> tuple[tuple[Any, ...], Any]:
        if image not in batch:
            raise InputError(image, "an entry of the batch", f"entries {sorted(batch)}")
        require_image(batch[image], image)
        return task(keyed(jax.random.fold_in(key, _TASK), batch), batch[image], batch)

    def objective(network, variables, batch, key):
        inputs, target = posed(key, batch)
        output, variables = network(variables, *inputs, key=key)
        return loss(output, target), variables

    def init(key, batch):
        inputs, _ = posed(key, batch)
        variables = dict(module.init(key, *inputs, train=False))
        params = variables.pop("params")
        return State(jnp.zeros((), jnp.int32), params, variables, optimizer.init(params))

    def predict(state, batch):
        backbone, variables = module.backbone, backbone_variables(state)
        if isinstance(backbone, Backbone):
            features = backbone.apply(variables, view(batch[image]), method="features")
            return features.pooled.astype(jnp.float32)
        return backbone.apply(variables, view(batch[image]), train=False)

    return Learner(init, (descend(module, objective, optimizer),), predict)


_TASK = 0x7A5C  # folded into the key, which dropout uses as it is


def backbone_variables(state: State) -> PyTree:
    """The variables of the network that was pretrained, as its own ``apply`` takes them.

    Args:
        state: of a learner whose module has a part "backbone".

    Returns:
        ``{"params": ..., ...}`` with the other collections that the backbone has.

    Raises:
        InputError: where there is no such part.
    """
    if "backbone" not in state.params:
        raise InputError("state", 'a part "backbone"', f"parts {sorted(state.params)}")
    collections = {"params": state.params, **state.variables}
    return {name: tree["backbone"] for name, tree in collections.items() if "backbone" in tree}


def masked_mean(error: Array, mask: Bool[Array, "..."]) -> Float[Array, " batch"]:
    """Each sample's mean of ``error`` where a mask is true.

    Args:
        error: floating, ``(batch, ..., channel)``.
        mask: of its shape but for the last axis, true somewhere in each sample.
    """
    axes = tuple(range(1, mask.ndim))
    total = jnp.sum(jnp.where(mask, error.mean(axis=-1), 0), axes)
    return total / jnp.sum(mask, axes, dtype=total.dtype)


def cross_entropy(
    logits: Float[Array, "batch class"], labels: Int[Array, " batch"]
) -> Float[Array, " batch"]:
    """Each sample's cross-entropy in nats."""
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)
