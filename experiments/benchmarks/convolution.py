"""How much faster convolutions are on CPU in the forms that medjax gives them.

    python experiments/benchmarks/convolution.py

Times XLA's own 3D convolution and `medjax.layers.conv.convolve_folded` in turn,
forward and with the gradient of input and kernel, for shapes of a small 3D
U-Net, and prints medians and their ratios. Then the gradients of a 2D convolution: JAX's own
derivatives and those of `medjax.layers.correlate`, in the open and inside a `cond`, with XLA's
defaults and with the options of `medjax.training.on_all_cores`. Takes a minute.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jaxlib
import numpy as np

from medjax.layers.conv import convolve_folded
from medjax.layers.correlate import correlate
from medjax.training import on_all_cores

ROUNDS = 7
# cube, input channels, output channels, stride
SHAPES = [(32, 1, 16, 1), (32, 16, 16, 1), (32, 16, 32, 2), (16, 32, 32, 1), (8, 64, 64, 1)]


def native(x, kernel, strides):
    layout = ("NDHWC", "DHWIO", "NDHWC")
    return jax.lax.conv_general_dilated(x, kernel, strides, "SAME", dimension_numbers=layout)


def programs(convolution, strides):
    """Forward, and forward and backward, as jitted functions of input and kernel."""

    def energy(x, kernel):
        return (convolution(x, kernel, strides) ** 2).sum()

    return {
        "forward": jax.jit(lambda x, kernel: convolution(x, kernel, strides)),
        "gradient": jax.jit(jax.grad(energy, (0, 1))),
    }


def medians(functions, *arguments):
    """Median seconds of each, run in turn so that all see the same disturbances."""
    times = {name: [] for name in functions}
    for measured in [False] + [True] * ROUNDS:
        for name, function in functions.items():
            start = time.perf_counter()
            jax.block_until_ready(function(*arguments))
            if measured:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def plane(x, kernel):
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)


def ours(x, kernel):
    return correlate(x, kernel, (1, 1), ((1, 1), (1, 1)), (1, 1))


def gradient_of(convolution, argument, lazily, options):
    """``(x, kernel, cotangent, due) -> gradient``; that alone is computed, the rest is linear."""

    def gradient(x, kernel, cotangent, due):
        transposed = jax.vjp(convolution, x, kernel)[1]
        if not lazily:
            return transposed(cotangent)[argument]
        return jax.lax.cond(
            due, lambda: transposed(cotangent)[argument], lambda: (x, kernel)[argument]
        )

    return jax.jit(gradient, compiler_options=options)


def gradients():
    """Milliseconds of the two gradients of a 2D convolution, by what makes and compiles them."""
    print("\ngradient of  inside  options       JAX's ms  medjax's ms  ratio")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 32, 32, 64), np.float32)
    kernel = rng.standard_normal((3, 3, 64, 64), np.float32)
    kinds = {"defaults": None, "on_all_cores": on_all_cores("cpu")}
    for argument, name in enumerate(("image", "kernel")):
        for lazily in (False, True):
            for label, options in kinds.items():
                functions = {
                    key: gradient_of(convolution, argument, lazily, options)
                    for key, convolution in (("native", plane), ("ours", ours))
                }
                t = medians(functions, x, kernel, x, np.bool_(True))
                row = f"{name:12s} {'cond' if lazily else '':7s} {label:12s}"
                ratio = t["native"] / t["ours"]
                print(f"{row} {t['native'] * 1e3:9.1f} {t['ours'] * 1e3:12.1f} {ratio:6.1f}")


def main():
    print(f"jax {jax.__version__}, jaxlib {jaxlib.__version__}, {os.cpu_count()} cores")
    print("cube  in  out  stride  what       native ms  folded ms  ratio")
    rng = np.random.default_rng(0)
    for size, channels, features, stride in SHAPES:
        x = rng.standard_normal((1, size, size, size, channels), np.float32)
        kernel = rng.standard_normal((3, 3, 3, channels, features), np.float32)
        folded, theirs = (programs(f, (stride,) * 3) for f in (convolve_folded, native))
        for what in folded:
            t = medians({"native": theirs[what], "folded": folded[what]}, x, kernel)
            ratio = t["native"] / t["folded"]
            row = f"{size:4d} {channels:3d} {features:4d} {stride:7d}  {what:9s}"
            print(f"{row} {t['native'] * 1e3:10.1f} {t['folded'] * 1e3:10.1f} {ratio:6.1f}")
    gradients()


if __name__ == "__main__":
    main()
