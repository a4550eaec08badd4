"""Detectors of anomalies and four controls on lesions that they have never seen.

    python experiments/anomaly/run.py [--seeds 0 1 2] [--steps 800] [--scanners one]

Each method learns from axial T1 slices of healthy simulated subjects (32 x 32 pixels of 6 mm)
and then scores slices of other subjects, each as it is and with a lesion: with all subjects
in about one scanner, or with a contrast and shading of each subject's own. Reported are how
well an image's score tells ill from healthy (area under the ROC, by kind of lesion, and of the
score that the highest mean of 3 x 3 places would be), and how well a place's score finds the
lesion (average precision in each ill slice, and over all slices), and the best Dice that a
threshold chosen with the truth would give. What is done is kept in
``--runs``; an interrupted script goes on where it stopped. Writes ``results.json`` and
``tables.md`` beside this file. ``--subjects 20 --test-subjects 4 --steps 5 --seeds 0`` tries it
out.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from medjax.metrics.anomaly import auroc, average_precision, best_dice

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
import data  # noqa: E402
import methods  # noqa: E402
import short_runs  # noqa: E402

COLUMNS = {
    "auroc": "image AUROC",
    **{f"auroc_{kind}": kind for kind in data.KINDS},
    "auroc_peak": "of the peak",
    "ap": "pixel AP, a slice",
    "ap_all": "pixel AP, all slices",
    "dice": "best Dice, a slice",
}


def judged(image: np.ndarray, pixel: np.ndarray, test: data.Test) -> dict[str, float]:
    """All numbers of one method.

    Args:
        image: score of each slice.
        pixel: scores of its places.
        test: the truth.
    """
    ill = test.kind >= 0
    everyone = np.ones(len(ill), bool)

    def area(score: np.ndarray, chosen: np.ndarray) -> float:
        return float(auroc(jnp.asarray(score[chosen])[None], jnp.asarray(ill[chosen])[None])[0])

    scores, mask = jnp.asarray(pixel[ill], jnp.float32), jnp.asarray(test.mask[ill])
    every = (jnp.asarray(a.reshape(1, -1)) for a in (pixel.astype(np.float32), test.mask))
    return {
        "auroc": area(image, everyone),
        **{
            f"auroc_{name}": area(image, ~ill | (test.kind == kind))
            for kind, name in enumerate(data.KINDS)
        },
        "auroc_peak": area(ndimage.uniform_filter(pixel, (0, 3, 3)).max((1, 2)), everyone),
        "ap": float(average_precision(scores, mask).mean()),
        "ap_all": float(average_precision(*every)[0]),
        "dice": float(best_dice(scores, mask).mean()),
    }


@functools.cache
def program(name: str, steps: int) -> short_runs.Programs:
    """The compiled parts of a training, for all seeds; not of one that begins with another's."""
    return short_runs.programs(methods.TRAININGS[name].learner(steps, None))


class Trainings:
    """States of a seed, each trained when it is first asked for."""

    def __init__(self, given: tuple[np.ndarray, np.ndarray], steps: int, seed: int):
        self.given, self.steps, self.seed = given, steps, seed
        self.done: dict[str, short_runs.Trained] = {}

    def __getitem__(self, name: str) -> short_runs.Trained:
        if name not in self.done:
            training = methods.TRAININGS[name]
            start = self.start(name)
            if start is None:
                run = program(name, self.steps)
            else:
                run = short_runs.programs(training.learner(self.steps, start))
            batch_of, samples = methods.batches(*self.given, name == "ddad")
            self.done[name] = short_runs.train(
                run,
                batch_of,
                samples,
                batch_size=min(training.batch_size, samples),
                steps=self.steps,
                seed=self.seed,
            )
        return self.done[name]

    def start(self, name: str) -> Any:
        after = methods.TRAININGS[name].after
        return None if after is None else self[after].state


def scored(detector, state: Any, test: data.Test, batch_size: int = 32) -> tuple:
    """Scores of all test slices, and seconds a slice without compiling."""
    scores = jax.jit(detector.scores)
    parts, seconds = [], 0.0
    for start in range(0, len(test.kind), batch_size):
        chosen = np.arange(start, start + batch_size) % len(test.kind)
        batch = {
            "image": jnp.asarray(test.image[chosen]),
            "index": jnp.asarray(chosen, jnp.int32),
        }
        if not start:
            jax.block_until_ready(scores(state, batch, jax.random.key(0)))
        began = time.monotonic()
        parts.append(jax.device_get(scores(state, batch, jax.random.key(0))))
        seconds += time.monotonic() - began
    image, pixel = (np.concatenate(part)[: len(test.kind)] for part in zip(*parts, strict=True))
    return image, pixel, seconds / (len(parts) * batch_size)


def detect(label: str, name: str, trainings: Trainings, test: data.Test) -> dict[str, float]:
    """Train where it is not done, and judge one detector."""
    trained = trainings[name]
    make = methods.TRAININGS[name].detectors[label]
    image, pixel, seconds = scored(
        make(trainings.steps, trainings.start(name)), trained.state, test
    )
    return judged(image, pixel, test) | {"training": trained.seconds, "scoring": seconds}


def control(map_of, test: data.Test, seed: int) -> dict[str, float]:
    """A control's map, and its mean for an image."""
    pixel = map_of(test.image, seed)
    return judged(pixel.mean((1, 2)), pixel, test)


def table(scanners: str, found: dict[str, list[dict[str, float]]]) -> str:
    """Mean and standard deviation over seeds."""
    names = [f"{scanners} scanner{'s' * (scanners == 'many')}", *COLUMNS.values()]
    lines = [f"| {' | '.join(names)} |", "|---" + "|--:" * len(COLUMNS) + "|"]
    for label, runs in found.items():
        cells = (short_runs.cell([run[name] for run in runs]) for name in COLUMNS)
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def results(scanners: str, asked: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """All methods' numbers, a seed each, on subjects in one or many scanners."""
    sizes = (asked.subjects, asked.test_subjects, asked.steps)
    folder = asked.runs / "_".join([scanners, *map(str, sizes)])
    given = (
        data.normal(asked.subjects, scanners),
        data.unlabelled(max(1, asked.subjects // 2), scanners),
    )
    test = data.test(asked.test_subjects, scanners)
    found: dict[str, list[dict[str, float]]] = {}
    for seed in asked.seeds:

        def keep(label: str, compute, seed: int = seed) -> None:
            path = folder / f"seed{seed}" / f"{label.replace(' ', '_')}.json"
            found.setdefault(label, []).append(short_runs.kept(path, compute))
            shown = {k: round(v, 3) for k, v in found[label][-1].items()}
            print(scanners, seed, label, shown, flush=True)

        for label, map_of in methods.controls(given[0]).items():
            keep(label, functools.partial(control, map_of, test, seed))
        trainings = Trainings(given, asked.steps, seed)
        for name in asked.methods:
            for label in methods.TRAININGS[name].detectors:
                keep(label, functools.partial(detect, label, name, trainings, test))
    return found


def main() -> None:
    """Run what is not kept yet, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--subjects", type=int, default=120)
    parser.add_argument("--test-subjects", type=int, default=24)
    parser.add_argument("--methods", nargs="+", default=list(methods.TRAININGS))
    parser.add_argument("--scanners", nargs="+", choices=data.SCANNERS, default=list(data.SCANNERS))
    parser.add_argument("--runs", type=Path, default=Path("runs/anomaly"))
    parser.add_argument("--output", type=Path, default=HERE)
    asked = parser.parse_args()
    found = {scanners: results(scanners, asked) for scanners in asked.scanners}
    summary = {
        "versions": short_runs.versions(),
        "device": jax.devices()[0].device_kind,
        **{name: value for name, value in vars(asked).items() if name not in ("runs", "output")},
        "results": found,
    }
    text = "\n".join(table(scanners, runs) for scanners, runs in found.items())
    short_runs.written(asked.output, summary, text)


if __name__ == "__main__":
    main()
