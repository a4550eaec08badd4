"""Ensembles that know the normal, and ensembles that saw all: where they disagree."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from medjax.core.errors import InputError
from medjax.core.types import Array, Float, PyTree
from medjax.image.similarity import mean_per_sample
from medjax.learners.autoencoding.methods import Loss
from medjax.learners.combinators import variables_of
from medjax.learners.learner import Learner
from medjax.learners.objective import minimize
from medjax.losses.pixel import l2

from .detector import Detector, Scores, blurred


class Members(NamedTuple):
    """A module many times over, each with parameters of its own: outputs have a first axis more.

    Attributes:
        module: a Flax module.
        count: how many members there are.
    """

    module: Any
    count: int

    def init(self, key: Array, *inputs: Array, train: bool = False) -> PyTree:
        """Variables whose first axis is the member."""
        return jax.vmap(lambda key: self.module.init(key, *inputs, train=train))(
            jax.random.split(key, self.count)
        )

    def apply(
        self,
        variables: PyTree,
        *inputs: Array,
        rngs: dict[str, Array] | None = None,
        **options: Any,
    ) -> Any:
        """Outputs of all members, and their collections where some are mutable."""
        keys = {name: jax.random.split(key, self.count) for name, key in (rngs or {}).items()}
        # One after the other, and not by a loop of the program: convolutions with a batch of
        # kernels, and convolutions in loops, are many times slower on CPUs.
        outputs = []
        for i in range(self.count):
            own, rngs = jax.tree.map(lambda a, i=i: a[i], (variables, keys))
            outputs.append(self.module.apply(own, *inputs, rngs=rngs, **options))
        return jax.tree.map(lambda *parts: jnp.stack(parts), *outputs)


def oc_ssl(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    members: int = 3,
    loss: Loss = l2,
    known: str = "known",
    image: str = "image",
) -> Learner:
    """One-class semi-supervised learning by two ensembles of autoencoders (Cai et al. 2023).

    Dual-distribution discrepancy with self-supervised refinement for anomaly detection in
    medical images, arXiv:2210.04227: some images are known to be normal, and the
    others may be anything, which one-class methods leave unused. One ensemble learns to give
    again the normal ones (the normative module), the other all (the unknown one). As there:
    members differ by their first parameters. What differs: all of them see the same batches.

    Args:
        module: ``(x, train) -> images``, such as `medjax.models.generative.Autoencoder`.
        optimizer: any Optax transformation; one that acts on each number by itself, since
            members share it (a norm of all gradients would be of all members).
        members: of each ensemble; 3 in the paper.
        loss: between the image that comes out and the one of the batch.
        known: the batch's entry of what is known to be normal, bool ``(batch,)``.
        image: the entry of images.

    Returns:
        A learner whose parameters have a first axis of ``2 members``, those of the normative
        module first; whose `predict` gives the normative module's mean image.

    Raises:
        InputError: for fewer members than one.
    """
    if members < 1:
        raise InputError("members", "at least 1", members)
    both = Members(module, 2 * members)

    def objective(network, variables, batch, key):
        again, variables = network(variables, batch[image], key=key)
        values = jax.vmap(lambda again: loss(again, batch[image]))(again)
        normal = batch[known].astype(values.dtype)
        # The mean over known samples, so that few of them count as much as many.
        normal = normal / jnp.maximum(normal.mean(), 1 / normal.size)
        return (values[:members].mean(0) * normal + values[members:].mean(0)) / 2, variables

    learner = minimize(both, objective, optimizer, (image,))

    def predict(state, batch):
        return learner.predict(state, batch)[:members].mean(0)

    return learner._replace(predict=predict)


KINDS = ("inter", "intra", "reconstruction")


def ddad(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    members: int = 3,
    kind: str = "inter",
    loss: Loss = l2,
    known: str = "known",
    image: str = "image",
    sigma: float = 0.0,
) -> Detector:
    """Dual-distribution discrepancy, DDAD (Cai et al. 2022, arXiv:2206.03935; 2023).

    Scores of `oc_ssl`: "inter" is how far the mean images of the two modules are
    apart, for anomalies that the unknown module has seen are given again by it and not by the
    normative one; "intra" is the standard deviation among the normative module's members, which
    agree on what they know. "reconstruction" is the usual error of the normative mean. An image
    has the mean of its places. Not built: the autoencoder that predicts its own variance, and
    the network that refines the scores by synthetic anomalies (ASR-Net, 2023).

    Args:
        module: see `oc_ssl`.
        optimizer: see there.
        members: see there; two or more for "intra".
        kind: see above.
        loss: see `oc_ssl`.
        known: see there; needed to train, and not to score.
        image: see there.
        sigma: of a Gaussian blur of the map, in voxels; 0 for none.

    Raises:
        InputError: for another kind, or one member that should disagree with itself.
    """
    if kind not in KINDS:
        raise InputError("kind", f"one of {', '.join(KINDS)}", repr(kind))
    if kind == "intra" and members < 2:
        raise InputError("members", "two or more for their disagreement", members)
    learner = oc_ssl(module, optimizer, members=members, loss=loss, known=known, image=image)

    def scores(state, batch, key):
        again = Members(module, 2 * members).apply(variables_of(state), batch[image], train=False)
        pixel = blurred(discrepancy(again, batch[image], kind), sigma)
        return Scores(mean_per_sample(pixel), pixel)

    return Detector(learner, scores)


def discrepancy(
    again: Float[Array, "members batch *spatial channel"], x: Array, kind: str
) -> Float[Array, "batch *spatial"]:
    """How two halves of an ensemble disagree about images, by the kinds of `ddad`."""
    half = again.shape[0] // 2
    normal, unknown = again[:half].astype(jnp.float32), again[half:].astype(jnp.float32)
    match kind:
        case "inter":
            apart = jnp.abs(normal.mean(0) - unknown.mean(0))
        case "intra":
            apart = jnp.std(normal, axis=0, ddof=1)
        case _:
            apart = (normal.mean(0) - x) ** 2
    return apart.mean(axis=-1)
