"""A combinator that watches for collapse while features are learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Float
from medjax.metrics.representation import alignment, effective_rank, uniformity

from .learner import Learner, State

MONITORS = "monitors"


def monitored(
    learner: Learner,
    views: Sequence[str] = (),
    *,
    every: int = 10,
    samples: int = 256,
    features: Callable[[State, Batch], Float[Array, "batch channel"]] | None = None,
    image: str = "image",
) -> Learner:
    """Report how a representation stands, beside the loss, which can fall while it collapses.

    Scalars ``rank`` (`effective_rank`, RankMe, arXiv:2210.02885), ``uniformity`` and, of two
    views, ``alignment`` (arXiv:2005.10242; `medjax.metrics.representation`) of features as they
    are evaluated later: by `predict`, with running statistics, before the step's update. A rank
    towards 1 and a uniformity towards 0 are a collapse; an alignment that falls alone is one
    on its way.

    It goes within `augmented`, where views are in the batch:

        augmented(monitored(simclr(encoder, optimizer), ("first", "second")), views({...}))

    Args:
        learner: any whose `predict` gives features ``(batch, channel)``.
        views: the batch's entries that features are of: none for ``image`` itself, one, or two
            of the same samples, whose first then gives rank and uniformity.
        every: steps from one look to the next, as the experiment's ``log_every`` best; between
            them the last values are reported. The first step looks too.
        samples: at most so many, evenly over the batch. The rank is at most their number. It
            is by an SVD, which XLA compiles for TPUs in seconds up to 256 and in minutes beyond.
        features: ``(state, batch) -> (batch, channel)`` in the place of `predict`.
        image: the batch's entry that `predict` reads.

    Returns:
        A learner whose last values are ``state.extras["monitors"]``. Under `accumulated` they
        are means over micro-batches, and what is seen is a micro-batch.

    Raises:
        InputError: for more than two views, numbers below 1, or fewer than 2 samples; when
            called, for views that are not there, and outputs that are no features.
    """
    if len(views) > 2:
        raise InputError("views", "at most two entries of the batch", [*views])
    if every < 1:
        raise InputError("every", "a number of at least 1", every)
    if samples < 2:
        raise InputError("samples", "a number of at least 2", samples)
    names = ("rank", "uniformity", "alignment")[: 3 if len(views) == 2 else 2]
    predict = learner.predict if features is None else features
    *before, last = learner.phases

    def look(state: State, batch: Batch) -> dict[str, Array]:
        size = jax.tree.leaves(batch)[0].shape[0]
        # Every so many, not the first ones: a batch over devices stays where it is.
        few = jax.tree.map(lambda x: x[:: -(-size // samples)], dict(batch))
        seen = [predict(state, {**few, image: few[name]}) for name in (views or (image,))]
        x = seen[0]
        rank = jnp.where(jnp.any(x != 0), effective_rank(x), 0)  # of zeros it is no number
        values = [rank, uniformity(x)]
        if len(seen) == 2:
            values.append(jnp.mean(alignment(*seen)))
        return dict(zip(names, values, strict=True))

    def init(key, batch):
        state = learner.init(key, batch)
        start = {name: jnp.zeros(()) for name in names}
        return state.replace(extras={**state.extras, MONITORS: start})

    def gradients(state, batch, key):
        for name in views or (image,):
            if name not in batch:
                raise InputError(name, "an entry of the batch", f"entries {sorted(batch)}")
        now = (state.step == 0) | ((state.step + 1) % every == 0)
        values = jax.lax.cond(
            now, look, lambda state, batch: state.extras[MONITORS], state, dict(batch)
        )
        computed = last.gradients(state, batch, key)
        return computed._replace(scalars={**computed.scalars, **values})

    def update(state, computed):
        values = {name: computed.scalars[name] for name in names}
        state = last.update(state, computed)
        return state.replace(extras={**state.extras, MONITORS: values})

    phases = (*before, last._replace(gradients=gradients, update=update))
    return learner._replace(init=init, phases=phases)
