"""How the benchmarks time what they compare."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax


def medians(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median milliseconds of each, called in turn, so that what else the machine does meets all.

    Each is called once before, which compiles what has not been.
    """
    times = {name: [] for name in calls}
    for counts in [False] + [True] * rounds:
        for name, call in calls.items():
            began = clock()
            jax.block_until_ready(call())
            if counts:
                times[name].append(1e3 * (clock() - began))
    return {name: statistics.median(values) for name, values in times.items()}
