"""How much faster convolutions are on CPU in the forms that medjax gives them.

    python experiments/benchmarks/convolution.py

Times XLA's own 3D convolution and `medjax.layers.conv.convolve_folded` in turn,
forward and with the gradient of input and kernel, for shapes of a small 3D
U-Net, and prints medians and their ratios. Then 2D convolutions and their two gradients, of JAX
and of `medjax.layers.correlate`, in the open and inside a `cond`, with XLA's defaults and with
the options of `medjax.training.on_all_cores`. Then, with those options, what enlarges images and
volumes twice: a transposed convolution with a window of 4, against JAX's with zeros between the
inputs, and a convolution with a window of 3 against one after nearest neighbours. Takes three
minutes.
"""

from __future__ import annotations

import os
from functools import partial

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jaxlib
import numpy as np
from in_turn import medians

from medjax.layers.conv import convolve, convolve_folded
from medjax.layers.correlate import correlate
from medjax.layers.transposed import convolve_resized, convolve_transposed
from medjax.training import on_all_cores

ROUNDS = 7
# batch, square, input channels, output channels, window
PLANES = [(8, 64, 64, 64, 3), (8, 64, 64, 32, 3), (8, 64, 32, 64, 3), (8, 16, 128, 128, 3)]
PLANES += [(4, 64, 32, 1, 7), (4, 64, 1, 32, 7), (8, 64, 64, 32, 1)]
# cube, input channels, output channels, stride
SHAPES = [(32, 1, 16, 1), (32, 16, 16, 1), (32, 16, 32, 2), (16, 32, 32, 1), (8, 64, 64, 1)]

# batch, side, axes, input channels, output channels
ENLARGED = [(8, 32, 2, 64, 64), (8, 16, 2, 128, 128), (4, 32, 2, 64, 32), (1, 16, 3, 64, 32)]
ENLARGED += [(2, 8, 3, 64, 64), (1, 32, 3, 16, 16)]


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


def timed(functions, *arguments):
    """Median milliseconds of each."""
    return medians({name: partial(f, *arguments) for name, f in functions.items()}, ROUNDS)


def plane(x, kernel):
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)


def ours(x, kernel):
    edge = (kernel.shape[0] // 2,) * 2
    return correlate(x, kernel, (1, 1), (edge, edge), (1, 1))


def plane_program(convolution, what, lazily, options):
    """``(x, kernel, cotangent, due) -> `` the output or a gradient, which alone is computed."""

    def work(x, kernel, cotangent):
        if what == "output":
            return convolution(x, kernel)
        transposed = jax.vjp(convolution, x, kernel)[1]
        return transposed(cotangent)[what == "kernel"]

    def program(x, kernel, cotangent, due):
        if not lazily:
            return work(x, kernel, cotangent)
        same = {"output": cotangent, "image": x, "kernel": kernel}[what]
        return jax.lax.cond(due, lambda: work(x, kernel, cotangent), lambda: same)

    return jax.jit(program, compiler_options=options)


def planes():
    """Milliseconds of 2D convolutions and of their gradients."""
    print("\nimage          in out window  what    inside  options       JAX's ms  ours  ratio")
    rng = np.random.default_rng(0)
    kinds = {"defaults": None, "on_all_cores": on_all_cores("cpu")}
    for shape in PLANES:
        batch, size, channels, features, window = shape
        x, cotangent = (
            rng.standard_normal((batch, size, size, n), np.float32) for n in (channels, features)
        )
        kernel = rng.standard_normal((window, window, channels, features), np.float32)
        for what in ("output", "image", "kernel"):
            for lazily in (False, True) if shape == PLANES[0] else (False,):
                for label, options in kinds.items():
                    functions = {
                        key: plane_program(convolution, what, lazily, options)
                        for key, convolution in (("native", plane), ("ours", ours))
                    }
                    t = timed(functions, x, kernel, cotangent, np.bool_(True))
                    row = (
                        f"{batch} x {size:2d} x {size:2d}  {channels:4d} {features:3d} {window:6d}"
                    )
                    row += f"  {what:7s} {'cond' if lazily else '':7s} {label:12s}"
                    ratio = t["native"] / t["ours"]
                    print(
                        f"{row} {t['native']:9.1f} {t['ours']:5.1f} {ratio:6.1f}",
                        flush=True,
                    )


def transposed(x, kernel):
    ndim = x.ndim - 2
    axes = "DHW"[-ndim:]
    return jax.lax.conv_general_dilated(
        x,
        jax.numpy.flip(kernel, range(ndim)),
        (1,) * ndim,
        [(k - 1, k - 1) for k in kernel.shape[:ndim]],
        lhs_dilation=(2,) * ndim,
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
    )


def repeated(x, kernel):
    for axis in range(1, x.ndim - 1):
        x = jax.numpy.repeat(x, 2, axis)
    return convolve(x, kernel)


def enlarging_program(convolution, what):
    """``(x, kernel, cotangent) -> `` the output, or both gradients."""

    def program(x, kernel, cotangent):
        if what == "output":
            return convolution(x, kernel)
        return jax.vjp(convolution, x, kernel)[1](cotangent)

    return jax.jit(program, compiler_options=on_all_cores("cpu"))


def enlarging():
    """Milliseconds of convolutions whose output is twice as large, and of their two gradients."""
    print("\nimage              in out  what                  work       other ms  ours  ratio")
    rng = np.random.default_rng(0)
    pairs = {
        "transposed, window 4": (4, transposed, convolve_transposed),
        "resized, window 3": (3, repeated, convolve_resized),
    }
    for batch, side, ndim, channels, features in ENLARGED:
        x = rng.standard_normal((batch, *(side,) * ndim, channels), np.float32)
        for name, (window, other, own) in pairs.items():
            kernel = rng.standard_normal((*(window,) * ndim, channels, features), np.float32)
            cotangent = rng.standard_normal(jax.eval_shape(own, x, kernel).shape, np.float32)
            for what in ("output", "gradients"):
                functions = {"other": enlarging_program(other, what)}
                functions["ours"] = enlarging_program(own, what)
                t = timed(functions, x, kernel, cotangent)
                image = f"{batch} x {' x '.join([str(side)] * ndim)}"
                row = f"{image:16s} {channels:4d} {features:3d}  {name:20s}  {what:9s}"
                ratio = t["other"] / t["ours"]
                print(f"{row} {t['other']:9.1f} {t['ours']:5.1f} {ratio:6.1f}", flush=True)


def main():
    print(f"jax {jax.__version__}, jaxlib {jaxlib.__version__}, {os.cpu_count()} cores")
    print("cube  in  out  stride  what       native ms  folded ms  ratio")
    rng = np.random.default_rng(0)
    for size, channels, features, stride in SHAPES:
        x = rng.standard_normal((1, size, size, size, channels), np.float32)
        kernel = rng.standard_normal((3, 3, 3, channels, features), np.float32)
        folded, theirs = (programs(f, (stride,) * 3) for f in (convolve_folded, native))
        for what in folded:
            t = timed({"native": theirs[what], "folded": folded[what]}, x, kernel)
            ratio = t["native"] / t["folded"]
            row = f"{size:4d} {channels:3d} {features:4d} {stride:7d}  {what:9s}"
            print(f"{row} {t['native']:10.1f} {t['folded']:10.1f} {ratio:6.1f}")
    planes()
    enlarging()


if __name__ == "__main__":
    main()
