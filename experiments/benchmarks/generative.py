"""Training steps of generative models against PyTorch, side by side in one run.

    python experiments/benchmarks/generative.py --peers PYTHON [--works ddpm ...]

One whole step: passes of all players, penalties, optimisers' updates, averages. Each library
runs in a process of its own, in this interpreter or in one named by ``--peers`` (torch and
diffusers, which medjax does without), on the same cores. The networks have as many parameters
and the batches are of one size; that, and the operations that each library counts, is printed.
Ways are timed in turn, round after round, so that what else the machine does meets all alike, and
what is compared are times of one round: the last column is the median over the rounds, with the
quartiles, of medjax's time over the row's.

StyleGAN2's lazy terms are not due in each step: its time is the mean over 16 steps, of which each
kind is timed once a round.
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
from functools import partial
from pathlib import Path

import numpy as np

QUARTILES = (0.25, 0.5, 0.75)
TRAINERS = ("medjax_", "torch_")
WORKS = {
    "ddpm": {
        "title": "DDPM's U-Net",
        "mix": {1: 1},
        "batch": 8,
        "size": 64,
        "features": [32, 64, 128, 128],
        "blocks": 2,
        "attention": [2, 3],
        "head": 64,
        "groups": 32,
        "rate": 1e-4,
    },
    "stylegan2": {
        "title": "StyleGAN2, the mean of 16 steps",
        "mix": {0: 1, 4: 3, 1: 12},  # R1 and path length, path length alone, neither
        "batch": 8,
        "size": 64,
        "features": [128, 128, 128, 96, 64],
        "layers": 8,
        "width": 128,
        "gamma": 1.0,
        "penalty_every": 16,
        "path_every": 4,
        "rate": 2e-3,
    },
    "cyclegan": {
        "title": "CycleGAN, 6 residual blocks",
        "mix": {1: 1},
        "batch": 4,
        "size": 64,
        "features": [32, 64, 128],
        "judge": [32, 64, 128, 256],
        "blocks": 6,
        "pool": 8,
        "rate": 2e-4,
    },
}


def answer():
    """What a library's process does: prepare works, then time steps as often as asked."""
    name = sys.argv[2]
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is not an answer
    trainer = importlib.import_module(f"trainers.{name}")
    print(json.dumps({"version": trainer.VERSION, "ways": trainer.WAYS}), file=answers)
    answers.flush()
    runs, current = {}, None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "prepare" in order:
                if order["prepare"] != current:
                    runs, current = {}, order["prepare"]
                run = trainer.prepare(current, order["way"], order["settings"])
                for number in order["numbers"]:
                    run.step(number)  # compiles what has not been
                runs[order["way"]] = run
                reply = {"parameters": run.parameters, "flops": run.flops}
            else:
                clock = time.process_time if order["cpu"] else time.perf_counter
                started = clock()
                runs[order["way"]].step(order["number"])
                reply = {"ms": 1e3 * (clock() - started)}
        except Exception as error:  # a way that cannot do a work is a row that says so
            reply = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        print(json.dumps(reply), file=answers)
        answers.flush()


class Library:
    """A library in its process; without a version if not installed."""

    def __init__(self, name, interpreters):
        self.name, self.version = name.rstrip("_"), None
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
                return

    def ask(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline() or '{"error": "the process ended"}')


def compare(libraries, work, settings, ways, rounds, cpu):
    """By library and way: milliseconds a step of each kind, or why there are none."""
    mix, rows, askers = settings["mix"], {}, {}
    for library in libraries:
        for way in library.ways[work]:
            if ways and library.name != "medjax" and way not in ways:
                continue
            name = f"{library.name}, {way}"
            reply = library.ask(prepare=work, way=way, settings=settings, numbers=list(mix))
            rows[name] = {**reply, "rounds": []}
            askers[name] = partial(library.ask, way=way, cpu=cpu)
    for _ in range(rounds):
        for name, ask in askers.items():
            if "error" not in rows[name]:
                replies = {number: ask(number=number) for number in mix}
                rows[name].update(next((r for r in replies.values() if "error" in r), {}))
                rows[name]["rounds"].append({n: r.get("ms", np.nan) for n, r in replies.items()})
    for row in rows.values():
        if "error" not in row:
            row["kinds"] = {n: statistics.median(r[n] for r in row["rounds"]) for n in mix}
            each = [sum(mix[n] * r[n] for n in mix) / sum(mix.values()) for r in row["rounds"]]
            row["each"], row["ms"] = each, statistics.median(each)
    return rows


def table(settings, rows):
    """Markdown; rows from the fastest to the slowest, and those that failed."""
    kinds = [n for n in settings["mix"] if len(settings["mix"]) > 1]
    sides = " x ".join(str(settings[name]) for name in ("batch", "size", "size"))
    columns = ["parameters", "Gflop", "ms a step", *(f"step {n}" for n in kinds), "medjax / it"]
    lines = [
        f"{settings['title']}: {sides}\n",
        f"| library | {' | '.join(columns)} |",
        f"|---|{'--:|' * len(columns)}",
    ]
    ours = next(
        (row.get("each", [np.nan]) for name, row in rows.items() if name.startswith("medjax")),
        [np.nan],
    )
    for name, row in sorted(rows.items(), key=lambda item: item[1].get("ms", np.inf)):
        if "error" in row:
            lines.append(f"| {name} | {row['error']} |" + " |" * (len(columns) - 1))
            continue
        cells = [
            " + ".join(f"{count:,}" for count in row["parameters"].values()),
            f"{row['flops'] / 1e9:.1f}" if row["flops"] else "",
            f"{row['ms']:.0f}",
            *(f"{row['kinds'][n]:.0f}" for n in kinds),
            "{1:.2f} ({0:.2f} to {2:.2f})".format(
                *np.quantile(np.divide(ours, row["each"]), QUARTILES)
            ),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", nargs="*", default=[], help="other interpreters to look in")
    parser.add_argument("--works", nargs="*", choices=WORKS, default=list(WORKS))
    parser.add_argument("--ways", nargs="*", help="of the peers; all by default")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="cores for each")
    parser.add_argument(
        "--cpu", action="store_true", help="processor time, for busy machines, with --threads 1"
    )
    parser.add_argument("--json", type=Path, help="where to write all numbers")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    libraries = [Library(name, [sys.executable, *options.peers]) for name in TRAINERS]
    libraries = [library for library in libraries if library.version]
    versions = "; ".join(library.version for library in libraries)
    where = f"{platform.machine()}, {options.threads} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{versions}; Python {platform.python_version()}, {where}", flush=True)
    everything = {}
    for work in options.works:
        settings = {**WORKS[work], "threads": options.threads}
        everything[work] = compare(
            libraries, work, settings, options.ways, options.rounds, options.cpu
        )
        print(f"\n{table(settings, everything[work])}", flush=True)
        if options.json:
            options.json.write_text(json.dumps(everything, indent=1))
    for library in libraries:
        library.process.stdin.close()
        library.process.wait(60)


if __name__ == "__main__":
    answer() if sys.argv[1:2] == ["--answer"] else main()
