"""One-class classification: features of the normal are drawn together."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.core.errors import InputError
from medjax.core.types import Array, Float, PyTree
from medjax.learners.combinators import variables_of
from medjax.learners.learner import Phase, State
from medjax.learners.objective import descend, minimize

from .detector import Detector, Scores, blurred

SPHERE = "sphere"


def deep_svdd(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    soft: float | None = None,
    warmup: int = 10,
    margin: float = 0.1,
    image: str = "image",
    sigma: float = 1.0,
) -> Detector:
    """Deep support vector data description, Deep SVDD (Ruff et al. 2018, PMLR 80:4393).

    As in the paper (eq. 4, or eq. 3 with ``soft``): features of normal images are drawn to a
    centre, which is their mean under the network's first parameters, with coordinates near zero
    moved away from it; softly, only those outside of a sphere are, whose radius is the quantile
    of distances that leaves the share ``soft`` outside. The squared distance scores an image,
    less the squared radius. A network with biases or an activation that saturates may learn to
    map all to the centre (propositions 2 and 3): use none. What differs: the centre is the mean
    over the first ``warmup`` batches, in which nothing is learned, where the authors take all
    training images; the radius follows from each batch, and from the first step on. Places are
    scored by the distance's slope in them, which the paper has not.

    Args:
        module: ``(images, train) -> (batch, channel)``, without biases.
        optimizer: any Optax transformation; the paper's has weight decay.
        soft: the share of images that may be outside (nu); None for the first of the two.
        warmup: steps that find the centre.
        margin: least magnitude of the centre's coordinates.
        image: the batch's entry of images.
        sigma: of a Gaussian blur of the map, in voxels; 0 for none.

    Returns:
        A detector whose learner keeps the centre and the radius in
        ``state.variables["sphere"]``, and predicts the images' scores.

    Raises:
        InputError: for a share outside (0, 1), or fewer steps than one.
    """
    if soft is not None and not 0 < soft < 1:
        raise InputError("soft", "a share between 0 and 1, or None", soft)
    if warmup < 1:
        raise InputError("warmup", "at least 1", warmup)

    def distance(x: Array, sphere: PyTree) -> Float[Array, " batch"]:
        centre = sphere["centre"]
        away = jnp.where(centre < 0, -1, 1) * jnp.maximum(jnp.abs(centre), margin)
        return jnp.sum((x - away[None]) ** 2, axis=1)

    def objective(network, variables, batch, key):
        own, sphere = _split(variables)
        x, own = network(own, batch[image], key=key)
        x = x.astype(jnp.float32)
        warming = sphere["count"] < warmup
        share = 1 / (sphere["count"] + 1).astype(jnp.float32)
        mean = sphere["centre"] + share * (x.mean(0) - sphere["centre"])
        centre = jax.lax.stop_gradient(jnp.where(warming, mean, sphere["centre"]))
        far = distance(x, {"centre": centre})
        values, radius = far, sphere["radius"]
        if soft is not None:
            values = radius**2 + jax.nn.relu(far - radius**2) / soft
            radius = jnp.sqrt(jnp.quantile(jax.lax.stop_gradient(far), 1 - soft))
        values = jnp.where(warming, jax.lax.stop_gradient(values), values)
        after = {"centre": centre, "radius": radius, "count": sphere["count"] + 1}
        return values, {**own, SPHERE: after}

    plain = descend(module, objective, optimizer)

    def update(state, computed):
        after = plain.update(state, computed)
        warming = computed.variables[SPHERE]["count"] <= warmup

        # Without this a weight decay would move what the centre is the mean of.
        def kept(old: PyTree, new: PyTree) -> PyTree:
            return jax.tree.map(lambda a, b: jnp.where(warming, a, b), old, new)

        return after.replace(
            params=kept(state.params, after.params),
            optimizer=kept(state.optimizer, after.optimizer),
        )

    learner = minimize(module, objective, optimizer, (image,))

    def init(key, batch):
        state = learner.init(key, batch)
        variables = {"params": state.params, **state.variables}
        shape = jax.eval_shape(lambda x: module.apply(variables, x, train=False), batch[image])
        sphere = {
            "centre": jnp.zeros(shape.shape[1:], jnp.float32),
            "radius": jnp.zeros((), jnp.float32),
            "count": jnp.zeros((), jnp.int32),
        }
        return state.replace(variables={**state.variables, SPHERE: sphere})

    def beyond(state: State, x: Array) -> Float[Array, " batch"]:
        variables = variables_of(state)
        sphere = variables.pop(SPHERE)
        found = module.apply(variables, x, train=False).astype(jnp.float32)
        return distance(found, sphere) - sphere["radius"] ** 2

    def scores(state, batch, key):
        x = batch[image]
        slope = jax.grad(lambda x: jnp.sum(beyond(state, x)))(x)
        return Scores(beyond(state, x), blurred(jnp.abs(slope).mean(axis=-1), sigma))

    def predict(state, batch):
        return beyond(state, batch[image])

    phases = (Phase(plain.gradients, update),)
    return Detector(learner._replace(init=init, phases=phases, predict=predict), scores)


def _split(variables: PyTree) -> tuple[PyTree, PyTree]:
    """The module's own collections, and the sphere."""
    own = dict(variables)
    return own, own.pop(SPHERE)
