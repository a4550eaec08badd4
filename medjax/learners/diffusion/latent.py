"""Any learner, on the latents of an autoencoder."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from medjax.core.types import Array, Batch, Float, Key, PyTree
from medjax.learners.learner import Learner, Phase

AUTOENCODER = "autoencoder"


def latent(
    learner: Learner,
    autoencoder: Any,
    variables: PyTree,
    *,
    factor: float = 1.0,
    images: tuple[str, ...] = ("image",),
) -> Learner:
    """Latent diffusion by composition (Rombach et al. 2022, arXiv:2112.10752, section 3).

    The learner sees latents in place of images, and what it predicts is decoded. The
    autoencoder stays as it is; its variables are kept in ``state.extras["autoencoder"]``, so
    that a run's checkpoint is all that is needed.

    Args:
        learner: `ddpm`, `edm` or any that predicts what it trains on.
        autoencoder: a module with methods ``encode(x)`` and ``decode(code)``, such as
            `medjax.models.generative.VAE`, whose ``encode`` is the mean.
        variables: of it, trained.
        factor: latents are multiplied by this: `latent_factor`, so that their deviation is one.
        images: the batch's entries that are images of the autoencoder: the learner's image, and
            a condition where it has one. `predict` does with those that are there.
    """

    def encoded(frozen: PyTree, batch: Batch) -> dict[str, Any]:
        def one(x: Array) -> Array:
            return factor * autoencoder.apply(frozen, x, method="encode")

        return {**batch, **{name: one(batch[name]) for name in images if name in batch}}

    def init(key: Key[Array, ""], batch: Batch):
        state = learner.init(key, encoded(variables, batch))
        # A copy: state is donated to the step, and the caller keeps the autoencoder.
        frozen = jax.tree.map(jnp.copy, variables)
        return state.replace(extras={**state.extras, AUTOENCODER: frozen})

    def prepared(phase: Phase) -> Phase:
        def gradients(state, batch, key):
            batch = encoded(state.extras[AUTOENCODER], batch)
            return phase.gradients(state, jax.lax.stop_gradient(batch), key)

        return phase._replace(gradients=gradients)

    def predict(state, batch):
        frozen = state.extras[AUTOENCODER]
        codes = learner.predict(state, encoded(frozen, batch))
        return autoencoder.apply(frozen, codes / factor, method="decode")

    return Learner(init, tuple(map(prepared, learner.phases)), predict)


def latent_factor(codes: Float[Array, "batch *rest"]) -> Float[Array, ""]:
    """One over the standard deviation of latents (Rombach et al. 2022, appendix G)."""
    return 1 / jnp.std(codes)
