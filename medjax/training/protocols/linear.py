"""The offline linear probe: logistic regression on features that are computed once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from medjax.core.types import Array, Float, Int

from .protocol import CHOICE, Classifier, Protocol
from .sets import Labelled

_CONSTANT = 1e-6  # a channel that varies less, relative to its size, is not scaled


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearProbe(Protocol):
    """Multinomial logistic regression, solved to the optimum.

    The objective is convex and the start is zero, so that there is no learning rate,
    schedule, augmentation or seed that could make the difference: only the penalty is
    chosen, as Radford et al. 2021 (arXiv:2103.00020, appendix A.3) do with theirs.

    Attributes:
        penalties: to choose from: ``w`` in ``mean cross-entropy + w / 2 |weights|^2``, the
            largest first; the bias is free.
        tolerance: the solver stops when no entry of the gradient is larger.
        iterations: or after so many.
    """

    title: ClassVar[str] = "linear probe on frozen features"
    fixed: ClassVar[tuple[str, ...]] = (
        "features standardised by the training samples' mean and standard deviation",
        "logistic regression by L-BFGS from zero",
        f"penalty {CHOICE}",
    )

    penalties: tuple[float, ...] = (10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4)
    tolerance: float = 1e-4
    iterations: int = 200

    def candidates(self) -> Sequence[Mapping[str, Any]]:
        return [{"penalty": w} for w in self.penalties]

    def fit(
        self, train: Labelled, classes: int, setting: Mapping[str, Any], seed: int
    ) -> Classifier:
        standard = standardiser(train.inputs)
        x = standard(train.inputs)
        # Filled up to the next power of two with samples that weigh nothing: label fractions
        # of many sizes then share few compiled programs.
        fill = (1 << (len(x) - 1).bit_length()) - len(x)
        kernel, bias = _regression(
            jnp.asarray(np.pad(x, ((0, fill), (0, 0)))),
            jnp.asarray(np.pad(train.labels, (0, fill)), jnp.int32),
            jnp.asarray(np.pad(np.ones(len(x), np.float32), (0, fill))),
            jnp.asarray(setting["penalty"], jnp.float32),
            classes,
            self.tolerance,
            self.iterations,
        )
        kernel, bias = np.asarray(kernel), np.asarray(bias)
        return lambda inputs: standard(inputs) @ kernel + bias


def standardiser(train: np.ndarray) -> Classifier:
    """``inputs -> (inputs - mean) / sd``, float32, by the training samples' mean and sd.

    Args:
        train: features, ``(sample, channel)``. A channel that does not vary is only centred.
    """
    mean = train.mean(axis=0, dtype=np.float64)
    sd = train.std(axis=0, dtype=np.float64)
    sd = np.where(sd > _CONSTANT * np.maximum(np.abs(mean), 1e-30), sd, 1.0)
    return lambda inputs: ((inputs - mean) / sd).astype(np.float32)


def _solve(
    x: Float[Array, "sample channel"],
    labels: Int[Array, " sample"],
    weights: Float[Array, " sample"],
    penalty: Float[Array, ""],
    classes: int,
    tolerance: float,
    iterations: int,
) -> tuple[Float[Array, "channel class"], Float[Array, " class"]]:
    """The minimum of the penalised mean cross-entropy."""

    def objective(params: tuple[Array, Array]) -> Array:
        kernel, bias = params
        logits = x @ kernel + bias[None]
        each = optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)
        fit = jnp.sum(weights * each) / jnp.sum(weights)
        return fit + 0.5 * penalty * jnp.sum(kernel**2)

    solver = optax.lbfgs()
    start = (jnp.zeros((x.shape[1], classes)), jnp.zeros((classes,)))

    def slope(state: Any) -> Array:
        gradient = optax.tree.get(state, "grad")
        return jnp.maximum(*(jnp.max(jnp.abs(g)) for g in gradient))

    def going(carry: tuple[Any, Any, Array]) -> Array:
        _, state, count = carry
        return (count == 0) | ((count < iterations) & (slope(state) > tolerance))

    value_and_gradient = optax.value_and_grad_from_state(objective)

    def step(carry: tuple[Any, Any, Array]) -> tuple[Any, Any, Array]:
        params, state, count = carry
        value, gradient = value_and_gradient(params, state=state)
        updates, state = solver.update(
            gradient, state, params, value=value, grad=gradient, value_fn=objective
        )
        return optax.apply_updates(params, updates), state, count + 1

    carry = (start, solver.init(start), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(going, step, carry)[0]


def _regression(*arguments: Any) -> tuple[Array, Array]:
    # Optax's line search mixes dtypes and ranks, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return _compiled(*arguments)


_compiled = jax.jit(_solve, static_argnums=(4, 5, 6))
