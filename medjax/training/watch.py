"""Watching a training's scalars for signs that it goes wrong.

A rule is a pure function of the scalars that were recorded so far. What to do about what it
finds, an experiment says with ``on_unstable``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from medjax.core.errors import InputError, MedjaxError

Record = Mapping[str, float]

Rule = Callable[[Sequence[Record]], str]
"""``records -> what is wrong``, "" for nothing. Records are names to finite numbers, one a logged
step, oldest first: at most the last hundred, of this process."""

POLICIES = ("warn", "stop", "ignore")
_REMEMBERED = 100


class Unstable(MedjaxError):
    """A rule found the training unstable and the experiment stops at that; it has saved itself."""


class UnstableWarning(UserWarning):
    """A rule found the training unstable, and the experiment goes on."""


def leaves(name: str, *, low: float = -math.inf, high: float = math.inf, records: int = 10) -> Rule:
    """A scalar is outside ``[low, high]`` in so many records in a row.

    Args:
        name: of the scalar.
        low: the least that is well.
        high: the most that is well.
        records: in a row; of fewer nothing is said.

    Raises:
        InputError: for fewer than one record; when called, for a scalar that is not reported.
    """
    _at_least_one(records)

    def rule(seen: Sequence[Record]) -> str:
        last = _values(seen, name)[-records:]
        if len(last) < records or any(low <= value <= high for value in last):
            return ""
        side = f"above {high:g}" if last[-1] > high else f"below {low:g}"
        return f"{name} is {last[-1]:.4g}, {side} for {records} records"

    return rule


def jumps(name: str, *, factor: float = 100.0, records: int = 10) -> Rule:
    """A scalar's magnitude is so many times its median over the records before.

    Args:
        name: of the scalar.
        factor: how many times.
        records: that the median is of; of fewer nothing is said.

    Raises:
        InputError: for fewer than one record; when called, for a scalar that is not reported.
    """
    _at_least_one(records)

    def rule(seen: Sequence[Record]) -> str:
        *before, last = (abs(value) for value in _values(seen, name)[-records - 1 :])
        usual = median(before) if len(before) == records else math.inf
        if last <= factor * usual:
            return ""
        return f"{name} is {last:.4g}, usual were {usual:.4g}"

    return rule


def all_of(*rules: Rule) -> Rule:
    """What all of some rules find at once; nothing where one of them finds nothing."""

    def rule(seen: Sequence[Record]) -> str:
        found = [one(seen) for one in rules]
        return " and ".join(found) if all(found) else ""

    return rule


def adversarial_rules(*, records: int = 20, smooth: bool = False) -> tuple[Rule, ...]:
    """Rules of `medjax.learners.adversarial`: one player has won, or gradients run away.

    The numbers are choices, not results: a discriminator that tells 99 % of both kinds apart
    has little left to teach, and a generator whose gradient is a hundred times its usual one
    has most likely lost what it learned. Not for critics (`wgan`, `wgan_gp`), which are to tell
    all apart: for them there are the rules of gradients.

    Args:
        records: in a row, or before.
        smooth: go by the averages of `medjax.learners.smoothed`.
    """
    prefix = "smooth/" if smooth else ""
    won = (
        leaves(f"{prefix}{kind}_accuracy", high=0.99, records=records) for kind in ("real", "fake")
    )
    lost = (
        leaves(f"{prefix}{kind}_accuracy", low=0.01, records=records) for kind in ("real", "fake")
    )
    return (
        all_of(*won),
        all_of(*lost),
        *(
            jumps(f"{side}_gradient_norm", records=records)
            for side in ("generator", "discriminator")
        ),
        leaves("generator_gradient_norm", low=1e-7, records=records),
    )


class Watch:
    """Applies rules to scalars as they come, and says each trouble once while it lasts.

    It knows what this process has seen: a run that went on after a stop is given as many
    records as the rules take before they speak again. On several hosts all see the same
    scalars, and so find the same.

    Args:
        rules: in order.
    """

    def __init__(self, rules: Sequence[Rule]):
        self._rules, self._said = tuple(rules), [False] * len(rules)
        self._seen: deque[Record] = deque(maxlen=_REMEMBERED)

    def __call__(self, values: Record) -> list[str]:
        """What the rules find with these scalars and did not find with the last ones."""
        if not self._rules:
            return []
        self._seen.append(values)
        found = [rule(tuple(self._seen)) for rule in self._rules]
        new = [text for text, said in zip(found, self._said, strict=True) if text and not said]
        self._said = [bool(text) for text in found]
        return new


def _values(seen: Sequence[Record], name: str) -> list[float]:
    if name not in seen[-1]:
        raise InputError("rules", f"scalars among {', '.join(seen[-1])}", name)
    return [record[name] for record in seen if name in record]


def _at_least_one(records: int) -> None:
    if not 1 <= records < _REMEMBERED:
        raise InputError("records", f"1 to {_REMEMBERED - 1}", records)
