"""What is written about an image: its header's fields as labels that come for free."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
import optax

from medjax.core.errors import InputError
from medjax.core.types import Array
from medjax.learners.learner import Learner
from medjax.models.backbone import Backbone
from medjax.models.pretraining import Siamese

from .pretext import cross_entropy, pretext


def metadata(
    backbone: Backbone,
    optimizer: optax.GradientTransformation,
    *,
    targets: Mapping[str, int | None],
    image: str = "image",
) -> Learner:
    """Predict fields of the header from the image: view, body part, age, echo time.

    Proxy tasks by the metadata of cardiac MRI are proposed by Bai et al. 2019
    (arXiv:1907.02757), vertebrae by their level by Jamaludin et al. 2017
    (arXiv:1708.00367). Here it is any number of fields at a time: a linear head for each on
    the pooled features, cross-entropy for classes and squared errors for numbers, added up.

    Args:
        backbone: any, without head.
        optimizer: any Optax transformation.
        targets: the batch's entries, each ``(batch,)``, with the number of classes, of
            integers from 0; or None for floating numbers, best with a spread of about one. A
            class below 0 and a number that is not finite are missing and do not count.
        image: see `pretext`.

    Returns:
        A learner as `pretext` makes it; the backbone is ``state.params["backbone"]``.

    Raises:
        InputError: for no targets or fewer than two classes; when called, for entries of
            another kind.
    """
    if not targets:
        raise InputError("targets", "at least one entry of the batch", dict(targets))
    for name, classes in targets.items():
        if classes is not None and classes < 2:
            raise InputError(name, "at least two classes, or None for a number", classes)

    def task(keys, x, batch):
        for name, classes in targets.items():
            _check(name, classes, batch)
        heads = {name: classes or 1 for name, classes in targets.items()}
        return (x[:, None], heads), {name: batch[name] for name in targets}

    def loss(outputs, truth):
        total = jnp.zeros((), jnp.float32)
        for name, classes in targets.items():
            output, value = outputs[name], truth[name]
            known = value >= 0 if classes else jnp.isfinite(value)
            value = jnp.where(known, value, 0)
            if classes:
                error = cross_entropy(output, value)
            else:
                error = (output[:, 0] - value.astype(output.dtype)) ** 2
            total = total + jnp.where(known, error, 0)
        return total

    return pretext(Siamese(backbone), task, loss, optimizer, image=image)


def _check(name: str, classes: int | None, batch: Mapping[str, Array]) -> None:
    if name not in batch:
        raise InputError(name, "an entry of the batch", f"entries {sorted(batch)}")
    value = batch[name]
    kind = jnp.integer if classes else jnp.floating
    if value.ndim != 1 or not jnp.issubdtype(value.dtype, kind):
        wanted = "integers from 0" if classes else "floating numbers"
        raise InputError(name, f"{wanted}, one a sample", f"{value.dtype} {value.shape}")
