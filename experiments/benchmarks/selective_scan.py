"""How the time of a selective scan grows with the number of tokens.

    python experiments/benchmarks/selective_scan.py [--channels 32] [--chunks 16 64]

Times `medjax.layers.selective_scan.selective_scan`, forward and with all gradients, for 1,024
to 16,384 tokens, and prints medians and the exponent of a power law through them: 1 is linear.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from medjax.layers.selective_scan import selective_scan

ROUNDS = 3
TOKENS = (1024, 2048, 4096, 8192, 16384)
STATE = 16


def arguments(tokens, channels):
    rng = np.random.default_rng(0)
    x, noise = rng.standard_normal((2, 1, tokens, channels))
    write, read = rng.standard_normal((2, 1, tokens, STATE))
    decay = -np.broadcast_to(np.arange(1.0, STATE + 1), (channels, STATE))
    step = 0.01 * np.log1p(np.exp(noise))
    return [jnp.asarray(a, jnp.float32) for a in (x, step, decay, write, read)]


def programs(chunk):
    def scan(*a):
        return selective_scan(*a, chunk=chunk)

    gradient = jax.grad(lambda *a: (scan(*a) ** 2).sum(), (0, 1, 2, 3, 4))
    return {"forward": jax.jit(scan), "gradient": jax.jit(gradient)}


def median(function, arrays):
    times = []
    for measured in [False] + [True] * ROUNDS:
        start = time.perf_counter()
        jax.block_until_ready(function(*arrays))
        if measured:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--chunks", type=int, nargs="+", default=[16])
    options = parser.parse_args()
    device = jax.devices()[0].device_kind
    print(f"jax {jax.__version__}, {device}, {os.cpu_count()} cores, {options.channels} channels")
    header = "  ".join(f"{n:>8}" for n in TOKENS)
    print(f"chunk  what      {header}  exponent   (ms)")
    for chunk in options.chunks:
        for what, function in programs(chunk).items():
            times = [1e3 * median(function, arguments(n, options.channels)) for n in TOKENS]
            exponent = np.polyfit(np.log(TOKENS), np.log(times), 1)[0]
            row = "  ".join(f"{t:8.1f}" for t in times)
            print(f"{chunk:5}  {what:8}  {row}  {exponent:8.2f}", flush=True)


if __name__ == "__main__":
    main()
