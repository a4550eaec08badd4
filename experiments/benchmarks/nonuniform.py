"""The non-uniform Fourier transform: time and error, beside FINUFFT and BART where installed.

    python experiments/benchmarks/nonuniform.py [--repeats 9]

101 spokes of 512 samples, 256 x 256 pixels, 8 coils. Each row is run in turn, compiled
before; medians in milliseconds. BART is a program: from its times those of the same
program on a tiny problem are subtracted (starting, reading and writing headers), which
leaves it the reading and writing of its data. Errors are in the 2-norm relative to the
direct sum in double precision, on three of the spokes without their outermost samples,
at which BART does not continue k-space.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from in_turn import medians

from medjax.physics.mri import FieldMap, radial
from medjax.physics.nonuniform import NonUniformFourier

SIZE, SPOKES, READOUT, COILS = 256, 101, 512, 8
SOME = (0, 17, 50)
FINUFFT = ("forward", "adjoint", "gradient in x", "gradient in k")


def direct(k: np.ndarray, x: np.ndarray) -> np.ndarray:
    pixel = np.arange(SIZE) - SIZE // 2
    y, x_ = (np.exp(-2j * np.pi * np.outer(k[..., axis], pixel)) for axis in (0, 1))
    sums = np.einsum("sy,cyx,sx->cs", y, x.astype(np.complex128), x_, optimize=True)
    return sums.reshape(len(x), *k.shape[:-1]) / SIZE


def write(path: Path, x: np.ndarray) -> None:
    sizes = " ".join(map(str, x.shape[::-1] + (1,) * (16 - x.ndim)))
    path.with_suffix(".hdr").write_text(f"# Dimensions\n{sizes}\n")
    x.astype(np.complex64).tofile(path.with_suffix(".cfl"))


def bart_rows(folder: Path, k: np.ndarray, x: np.ndarray) -> dict[str, Callable[[], None]]:
    """Forward and adjoint, and for each a tiny one."""
    for name, trajectory, images in (("full", k, x), ("tiny", k[:1, :2], x[:1, :8, :8])):
        cycles = np.zeros((*trajectory.shape[:-1], 3))
        cycles[..., :2] = trajectory[..., ::-1] * images.shape[-1]
        write(folder / f"{name}_k", cycles)
        write(folder / f"{name}_x", images[:, None])

    def run(name: str, *flags: str, source: str, result: str) -> Callable[[], None]:
        files = [str(folder / f"{name}_{letter}") for letter in ("k", source, result)]
        command = ["bart", "nufft", *flags, *files]
        quiet = subprocess.DEVNULL
        return lambda: subprocess.run(command, check=True, stdout=quiet, stderr=quiet)

    rows = {}
    for name, size in (("full", SIZE), ("tiny", 8)):
        back = ("-a", "-d", f"{size}:{size}:1")
        rows[f"forward {name}"] = run(name, source="x", result="y")
        rows[f"adjoint {name}"] = run(name, *back, source="y", result="z")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    print(
        f"jax {jax.__version__}, {jax.devices()[0].device_kind}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}"
    )
    k = radial(SPOKES, READOUT)
    parts = np.random.default_rng(0).standard_normal((2, COILS, SIZE, SIZE), np.float32)
    x = jnp.asarray(parts[0] + 1j * parts[1])
    a = NonUniformFourier(k, (SIZE, SIZE))
    y, convolution = jax.jit(lambda a, x: a(x))(a, x), jax.jit(lambda a: a.toeplitz())(a)
    field = jnp.asarray(np.random.default_rng(1).uniform(-50, 50, (SIZE, SIZE)), jnp.float32)
    times = jnp.linspace(0, 5e-3, READOUT, dtype=jnp.float32)

    def power(a, x):
        return jnp.sum(jnp.abs(a(x)) ** 2)

    functions = {
        "forward": (lambda a, x: a(x), x),
        "adjoint": (lambda a, y: a.H(y), y),
        "A^H A": (lambda a, x: a.gram(x), x),
        "gradient in x": (jax.grad(power, argnums=1), x),
        "gradient in k": (jax.grad(power), x),
        "field map, 6 segments": (lambda a, x: FieldMap(a, field, times, 6)(x), x),
    }
    rows = {}
    for name, (function, argument) in functions.items():
        compiled = jax.jit(function).lower(a, argument).compile()
        rows[name] = lambda f=compiled, v=argument: jax.block_until_ready(f(a, v))
    finufft = None
    if importlib.util.find_spec("jax_finufft"):
        finufft = dataclasses.replace(a, backend="finufft")
        for name in FINUFFT:
            function, argument = functions[name]
            compiled = jax.jit(function).lower(finufft, argument).compile()
            row = functools.partial(compiled, finufft, argument)
            rows[f"{name}, finufft"] = lambda row=row: jax.block_until_ready(row())
    apply = jax.jit(lambda t, x: t(x))
    rows["A^H A by convolution"] = lambda: jax.block_until_ready(apply(convolution, x))

    inner = np.asarray(k, np.float64)[SOME, 16:-16]
    expected = direct(inner, np.asarray(x))

    def error(samples) -> float:
        got = np.asarray(samples)[:, SOME, 16:-16]
        return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))

    with tempfile.TemporaryDirectory() as folder:
        bart = {}
        if shutil.which("bart"):
            bart = bart_rows(Path(folder), np.asarray(k), np.asarray(x))
        took = medians(rows | bart, repeats)
        for name in rows:
            print(f"{name:>24}  {took[name]:8.1f} ms")
        normal, by_convolution = a.gram(x), convolution(x)
        difference = jnp.linalg.norm(by_convolution - normal) / jnp.linalg.norm(normal)
        print(f"error of forward {error(y):.1e}, of the convolution to A^H A {difference:.1e}")
        if finufft:
            print(f"jax-finufft {version('jax-finufft')}, error of forward {error(finufft(x)):.1e}")
            for name in FINUFFT:
                ratio = took[name] / took[f"{name}, finufft"]
                print(f"{name:>24}  ours/finufft {ratio:.2f}")
        if bart:
            bart_version = subprocess.run(["bart", "version"], capture_output=True, text=True)
            print(f"BART {bart_version.stdout.strip()}")
            for name in ("forward", "adjoint"):
                net = took[f"{name} full"] - took[f"{name} tiny"]
                print(f"{name:>24}  {net:8.1f} ms  ours/BART {took[name] / net:.2f}")
            samples = np.fromfile(Path(folder) / "full_y.cfl", np.complex64)
            print(f"error of forward {error(samples.reshape(COILS, SPOKES, READOUT)):.1e}")


if __name__ == "__main__":
    main()
