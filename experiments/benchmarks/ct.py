"""Parallel-beam projection and its adjoint beside SCICO and ASTRA, where they are installed.

    python experiments/benchmarks/ct.py [--size 256] [--views 180] [--repeats 15]

Prints medians in milliseconds, interleaved in one run, and the ratio to ours. SCICO's
``XRayTransform2D`` is jitted JAX as ours is; ASTRA's ``linear`` is Joseph's method on one
core of the CPU. Also prints a batch, and the gradient of a loss, which uses the adjoint.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import platform
import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from in_turn import medians

from medjax.physics.ct import ConeBeam, FanBeam, ParallelBeam, uniform_angles

Rows = dict[str, Callable[[], object]]


def peers(x: np.ndarray, y: np.ndarray, angles: np.ndarray) -> tuple[Rows, Rows]:
    """Forward and adjoint of whatever can be imported."""
    forward, adjoint = {}, {}
    if importlib.util.find_spec("scico"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from scico.linop.xray import XRayTransform2D

        a = XRayTransform2D(x.shape, angles, det_count=y.shape[1])
        image, sinogram = jnp.asarray(x), jnp.asarray(y)
        project, back_project = jax.jit(a.project), jax.jit(a.back_project)
        forward["scico"] = lambda: project(image).block_until_ready()
        adjoint["scico"] = lambda: back_project(sinogram).block_until_ready()
    if importlib.util.find_spec("astra"):
        import astra

        geometry = astra.create_proj_geom("parallel", 1.0, y.shape[1], angles)
        projector = astra.create_projector("linear", geometry, astra.create_vol_geom(*x.shape))

        def freed(function, data):
            identifier, _ = function(data, projector)
            astra.data2d.delete(identifier)

        forward["astra"] = lambda: freed(astra.create_sino, x)
        adjoint["astra"] = lambda: freed(astra.create_backprojection, y)
    return forward, adjoint


def compiled(function: Callable, *arguments) -> Callable[[], object]:
    function = jax.jit(function)
    return lambda: jax.block_until_ready(function(*arguments))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--views", type=int, default=180)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    n, bins = options.size, math.ceil(options.size * math.sqrt(2))
    print(
        f"jax {jax.__version__}, {jax.devices()[0].device_kind}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}"
    )
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, n), dtype=np.float32)
    angles = uniform_angles(options.views)
    y = rng.standard_normal((options.views, bins), dtype=np.float32)
    a = ParallelBeam(angles, shape=(n, n), bins=bins)
    image, sinogram = jnp.asarray(x), jnp.asarray(y)
    eight = jnp.asarray(np.broadcast_to(x, (8, n, n)))

    def loss(x, a):
        return jnp.sum(a(x) ** 2)

    forward, adjoint = peers(x, y, np.asarray(angles))
    tables = {
        "parallel": {"medjax": compiled(lambda a, x: a(x), a, image)} | forward,
        "parallel adjoint": {"medjax": compiled(lambda a, y: a.H(y), a, sinogram)} | adjoint,
        "parallel, more": {
            "eight images": compiled(lambda a, x: a(x), a, eight),
            "eight images, there and back": compiled(lambda a, x: a.gram(x), a, eight),
            "value and gradient in the image": compiled(jax.value_and_grad(loss), image, a),
            "value and gradient in the angles": compiled(jax.value_and_grad(loss, 1), image, a),
        },
    }
    turn = uniform_angles(options.views, 2 * math.pi)
    fan = FanBeam(turn, 2.0 * n, 3.0 * n, shape=(n, n), bins=bins, spacing=1.5)
    m = n // 4
    cone = ConeBeam(
        turn[::4], 2.0 * m, 3.0 * m, shape=(m, m, m), detector=(m, 2 * m), spacing=(1.5, 1.5)
    )
    volume = jnp.asarray(np.broadcast_to(x[:m, :m], (m, m, m)))
    tables["fan and cone"] = {
        "fan": compiled(lambda a, x: a(x), fan, image),
        "fan adjoint": compiled(lambda a, y: a.H(y), fan, sinogram),
        f"cone, {m}^3, {options.views // 4} views": compiled(lambda a, x: a(x), cone, volume),
    }
    print(f"{n} x {n}, {options.views} views, {bins} bins")
    for title, rows in tables.items():
        print(title)
        result = medians(rows, options.repeats)
        first = next(iter(result.values()))
        for name, value in result.items():
            ratio = f"  ours / it {first / value:5.2f}" if name in forward else ""
            print(f"  {name:>34}  {value:8.1f} ms{ratio}")


if __name__ == "__main__":
    main()
