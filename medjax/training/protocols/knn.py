"""k nearest neighbours on frozen features."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from medjax.core.batches import in_batches
from medjax.metrics.representation import neighbour_votes

from .protocol import CHOICE, Classifier, Protocol
from .sets import Labelled


@dataclasses.dataclass(frozen=True, kw_only=True)
class NearestNeighbours(Protocol):
    """Weighted votes of the most similar training samples, as DINO has it.

    Wu et al. 2018 (arXiv:1805.01978) and Caron et al. 2021 (arXiv:2104.14294, appendix F.1):
    cosine similarity, each neighbour's vote weighted by ``exp(similarity / temperature)``.
    What differs: DINO's authors report the best of several numbers of neighbours on the
    test data; here validation chooses it.

    Attributes:
        neighbours: to choose from; more than there are training samples are left out, but
            for the smallest, which is then as many as there are.
        temperature: of the votes.
    """

    title: ClassVar[str] = "k nearest neighbours on frozen features"
    fixed: ClassVar[tuple[str, ...]] = (
        "cosine similarity of features as they are; votes exp(similarity / temperature)",
        f"number of neighbours {CHOICE}",
    )

    neighbours: tuple[int, ...] = (1, 5, 10, 20, 100, 200)
    temperature: float = 0.07

    def candidates(self) -> Sequence[Mapping[str, Any]]:
        return [{"neighbours": k} for k in self.neighbours]

    def usable(self, train: Labelled) -> Sequence[Mapping[str, Any]]:
        fit = [k for k in self.neighbours if k <= len(train)]
        return [{"neighbours": k} for k in fit or [len(train)]]

    def fit(
        self, train: Labelled, classes: int, setting: Mapping[str, Any], seed: int
    ) -> Classifier:
        votes = functools.partial(
            _votes,
            keys=jnp.asarray(train.inputs),
            labels=jnp.asarray(train.labels, jnp.int32),
            classes=classes,
            neighbours=setting["neighbours"],
            temperature=self.temperature,
        )
        return in_batches(votes, 1024)


_votes = jax.jit(neighbour_votes, static_argnames=("classes", "neighbours", "temperature"))
