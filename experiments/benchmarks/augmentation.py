"""Augmentation against other libraries, side by side in one run.

    python experiments/benchmarks/augmentation.py [--peers PYTHON ...] [--write augmentation.md]

Each library runs in a process of its own, in this interpreter or in one named by
``--peers``; those that are not installed are left out. All augment the same arrays in
memory, every transform on every sample (probability 1, flips one half), on all cores:
medjax a jitted batch; MONAI and TorchIO sample by sample, once with as many threads as
there are cores inside their operations and once in as many worker processes of a
DataLoader. Works are timed in turn, round after round, so that what else the machine
does meets all alike, and medians are compared.
"""

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
AUGMENTERS = ("medjax_", "monai_", "torchio_")
SHAPES = {"3D": (2, 96, 96, 96), "2D": (16, 256, 256)}
WORKS = {
    "spatial": "affine, elastic, flips; image and labels",
    "intensity": "gamma, brightness, contrast, noise, blur, bias field",
    "both": "spatial, then intensity",
}


def data(kind):
    """Images from 0 to 1, smooth enough to have borders, and labels of four classes."""
    rng, shape = np.random.default_rng(0), SHAPES[kind]
    coarse = rng.random((shape[0], *(n // 16 for n in shape[1:])), np.float32)
    image = coarse
    for axis in range(1, len(shape)):
        image = np.repeat(image, 16, axis)
    image = 0.9 * image + 0.1 * rng.random(shape, np.float32)
    return {"image": image, "label": (4 * image).astype(np.int32).clip(0, 3)}


def answer():
    """What a library's process does: prepare a work, then time it as often as asked."""
    name = sys.argv[2]
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is not an answer
    augmenter = importlib.import_module(f"augmenters.{name}")
    print(json.dumps({"version": augmenter.VERSION, "ways": augmenter.WAYS}), file=answers)
    answers.flush()
    run = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "work" in order:
                run = None  # ends the worker processes of the work before
                run = augmenter.prepare(order["kind"], order["work"], order["way"], data)
                reply = {"skip": True} if run is None else {}
                if run is not None:
                    run()
            else:
                started = time.perf_counter()
                count = run()
                reply = {"ms": 1e3 * (time.perf_counter() - started) / count}
        except Exception as error:  # a library that cannot do a work is a row that says so
            reply = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        print(json.dumps(reply), file=answers)
        answers.flush()


class Library:
    """A library in its process, used in one of its ways; without a version if not installed."""

    def __init__(self, name, interpreters, way=None):
        self.version = None
        for python in interpreters:
            self.process = subprocess.Popen(
                [python, __file__, "--answer", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            hello = self.process.stdout.readline()
            if hello:
                self.__dict__.update(json.loads(hello))
                break
        self.way = way
        self.name = name.rstrip("_") + (f", {way}" if way else "")

    def ask(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline() or '{"error": "the process ended"}')


def compare(libraries, kind, work, rounds):
    """Milliseconds a sample of each library, or why there are none."""
    times, errors, at_work = {}, {}, []
    for x in libraries:
        reply = x.ask(kind=kind, work=work, way=x.way)
        if not reply.get("skip"):
            at_work.append(x)
            times[x.name], errors[x.name] = [], reply.get("error")
    for _ in range(rounds):
        for x in at_work:
            if not errors[x.name]:
                reply = x.ask(run=True)
                errors[x.name] = reply.get("error")
                times[x.name].append(reply.get("ms", np.nan))
    return {n: errors[n] or statistics.median(t) for n, t in times.items()}


def table(rows):
    """Markdown; rows from the fastest to the slowest."""
    lines = [
        "| library | ms a sample | samples a second | medjax is faster by |",
        "|---|--:|--:|--:|",
    ]
    order = sorted(rows.items(), key=lambda r: r[1] if isinstance(r[1], float) else np.inf)
    for name, ms in order:
        if isinstance(ms, str):
            lines.append(f"| {name} | {ms} | | |")
        else:
            lines.append(f"| {name} | {ms:.1f} | {1e3 / ms:.1f} | {ms / rows['medjax']:.1f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", nargs="*", default=[], help="other interpreters to look in")
    parser.add_argument("--kinds", nargs="*", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", type=Path, help="a file for the tables")
    options = parser.parse_args()
    libraries = []
    for name in AUGMENTERS:
        first = Library(name, [sys.executable, *options.peers])
        if first.version:
            ways = first.ways or [None]
            others = [Library(name, [sys.executable, *options.peers], way) for way in ways[1:]]
            first.way = ways[0]
            first.name += f", {ways[0]}" if ways[0] else ""
            libraries += [first, *others]
    versions = dict.fromkeys(x.version for x in libraries)
    text = [f"{'; '.join(versions)}; Python {platform.python_version()}, {os.cpu_count()} cores"]
    print(text[0], flush=True)
    for kind in options.kinds:
        shape = SHAPES[kind]
        for work, title in WORKS.items():
            size = " x ".join(map(str, shape[1:]))
            rows = compare(libraries, kind, work, options.rounds)
            text.append(f"{kind}, {size}: {title}\n\n{table(rows)}")
            print(f"\n{text[-1]}", flush=True)
    for x in libraries:
        x.process.stdin.close()
        x.process.wait(60)
    if options.write:
        options.write.write_text("\n\n".join(text) + "\n")


if __name__ == "__main__":
    answer() if sys.argv[1:2] == ["--answer"] else main()
