"""Norms, dense layers and their gradients against Flax's, and sums of an image against `jnp.sum`.

    python experiments/benchmarks/norm.py [--rounds 15] [--cpu]

SiLU of each norm of an image, as networks have it, and the gradient in the image and in the
parameters; the sum over all places that is the gradient of a bias; two dense layers of tokens and
their gradients. With XLA's defaults and with
the options of `medjax.training.on_all_cores`. Ways are timed in turn, and the medians printed
with the ratio of Flax's time to ours. Takes half a minute.
"""

import argparse
import time
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from in_turn import medians

from medjax.layers.dense import Dense
from medjax.layers.spread import total
from medjax.layers.standardise import BatchNorm, GroupNorm
from medjax.training import on_all_cores

SHAPES = ((8, 64, 64, 64), (8, 16, 16, 128))
TOKENS = (8, 256, 192)
OPTIONS = {"epsilon": 1e-5, "use_fast_variance": False}
NORMS = {
    "group": (GroupNorm(8), nn.GroupNorm(8, **OPTIONS)),
    "instance": (GroupNorm(0), nn.InstanceNorm(**OPTIONS)),
    "batch": (BatchNorm(train=True), nn.BatchNorm(False, momentum=0.9, **OPTIONS)),
}
DENSE = {
    "two dense layers": tuple(
        nn.Sequential([layer(4 * TOKENS[-1]), nn.silu, layer(TOKENS[-1])])
        for layer in (Dense, nn.Dense)
    )
}


def forward(module):
    def function(variables, x, ct):
        return nn.silu(module.apply(variables, x, mutable="batch_stats")[0])

    return function


def backward(module):
    def function(variables, x, ct):
        return jax.vjp(lambda v, x: forward(module)(v, x, ct), variables, x)[1](ct)

    return function


def works(shape):
    """By name: the arguments, and two functions of them."""
    x, ct = (
        jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32) for seed in (0, 1)
    )
    tokens = len(shape) == 3
    for name, pair in (DENSE if tokens else NORMS).items():
        variables = pair[1].init(jax.random.key(0, impl="rbg"), x)
        for kind, way in (("", forward), (", gradients", backward)):
            title = f"{name}{kind}" if tokens else f"{name} norm{kind}"
            yield title, (variables, x, ct), [way(module) for module in pair]
    if not tokens:
        yield "sum of a bias", (x,), [total, lambda x: x.sum((0, 1, 2))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cpu", action="store_true", help="processor time, for busy machines")
    asked = parser.parse_args()
    clock = time.process_time if asked.cpu else time.perf_counter
    kinds = {"defaults": None, "on_all_cores": on_all_cores(jax.default_backend())}
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}\n")
    print("| image | work | options | flax, ms | medjax, ms | flax / medjax |")
    print("|---|---|---|--:|--:|--:|")
    for shape in (*SHAPES, TOKENS):
        for name, args, functions in works(shape):
            for kind, options in kinds.items():
                compiled = [jax.jit(f, compiler_options=options) for f in functions]
                calls = {i: partial(run, *args) for i, run in enumerate(compiled)}
                own, other = medians(calls, asked.rounds, clock).values()
                size = " x ".join(map(str, shape))
                numbers = f"{other:.2f} | {own:.2f} | {other / own:.1f}"
                print(f"| {size} | {name} | {kind} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
