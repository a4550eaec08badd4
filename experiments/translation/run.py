"""T1 to T2: a plain network and pix2pix with pairs, CycleGAN without, and a curve as control.

    python experiments/translation/run.py [--seeds 0 1 2] [--steps 500]

Slices of simulated subjects (48 x 48 pixels of 4 mm); T2 is simulated from ICBM152's tissues,
so that a T1 value does not tell it: dark fluid and dark background become bright and dark. The
plain network and pix2pix see pairs of one half of the training subjects; CycleGAN sees T1 of
that half and T2 of the other. The control is the best curve from T1 to T2 brightness, fitted on
the pairs. Subjects and slabs of the brain are on one side only. Where three seeds of a method
disagree is compared with where they are wrong: whether disagreement tells what is made up.
What is done is kept in ``--runs``, with the translated training slices that
`experiments/gan_augmentation` uses. Writes ``results.json``, ``tables.md`` and ``samples.png``.
``--steps 3 --subjects 6 --seeds 0`` tries it out.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import numpy as np
from scipy import stats

from medjax import trust
from medjax.metrics import psnr, ssim

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
import short_runs  # noqa: E402
import simulated_brain  # noqa: E402
import translators  # noqa: E402

LABELS = {
    "curve": "best curve of brightness",
    "network": "U-Net, absolute error (pairs)",
    "pix2pix": "pix2pix (pairs)",
    "cyclegan": "CycleGAN (no pairs)",
}
METRICS = {"psnr": psnr, "ssim": ssim}
DIGITS = {"psnr": 2, "ssim": 3}
SHOWN = 6


def curve(data: simulated_brain.Slices, t1: np.ndarray) -> np.ndarray:
    """The mean T2 of voxels of each of 64 shades of T1."""
    edges = np.quantile(data.t1, np.linspace(0, 1, 65))[1:-1]
    place = np.searchsorted(edges, data.t1.ravel())
    sums = np.bincount(place, data.t2.ravel(), minlength=64)
    means = sums / np.maximum(np.bincount(place, minlength=64), 1)
    return means[np.searchsorted(edges, t1)].astype(np.float32)


def scores(images: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Means over slices; the range is 1."""
    x, y = (np.clip(each[..., 0], 0, 2 * simulated_brain.CENTRE) for each in (images, truth))
    return {n: float(np.mean(f(x, y, data_range=1.0))) for n, f in METRICS.items()}


def disagreement(images: list[np.ndarray], truth: np.ndarray) -> float:
    """Rank correlation, over pixels of the head, of the seeds' spread and their mean's error."""
    spread = np.asarray(trust.disagreement(np.stack(images)))
    error = np.abs(np.mean(images, axis=0) - truth)
    inside = truth > 0.1
    return float(stats.spearmanr(spread[inside], error[inside]).statistic)


def markdown(summary: dict) -> str:
    """Test scores, differences from the plain network, and what disagreement tells."""
    found = summary["test"]
    lines = [
        "| | PSNR (dB) | SSIM | disagreement and error (rank correlation) |",
        "|---|--:|--:|--:|",
    ]
    for name, rows in found.items():
        cells = [short_runs.cell([row[m] for row in rows], digits) for m, digits in DIGITS.items()]
        told = summary["disagreement"].get(name)
        lines.append(
            f"| {LABELS[name]} | {' | '.join(cells)} | {'' if told is None else f'{told:.2f}'} |"
        )
    lines.append("")
    for name in ("pix2pix", "cyclegan"):
        each = [
            short_runs.difference(
                [row[m] for row in found[name]], [row[m] for row in found["network"]], digits
            )
            for m, digits in DIGITS.items()
        ]
        lines.append(f"- {LABELS[name]} less the U-Net: PSNR {each[0]}, SSIM {each[1]}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--subjects", type=int, default=60)
    parser.add_argument("--runs", type=Path, default=Path("runs/translation"))
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    data = translators.scans(options.subjects)
    folder = options.runs / f"{options.steps}-{options.subjects}"
    outputs = functools.partial(translators.outputs, folder, data=data, steps=options.steps)
    made = {
        name: [outputs(name, seed=seed) for seed in options.seeds]
        for name in ("network", "pix2pix", "cyclegan")
    }
    truth = data["test"].t2
    plain = curve(data["train"], data["test"].t1)
    several = len(options.seeds) > 1
    summary = {
        "versions": short_runs.versions(),
        "settings": {"steps": options.steps, "subjects": options.subjects},
        "seeds": options.seeds,
        "seconds": {n: [float(each["seconds"]) for each in rows] for n, rows in made.items()},
        "test": {
            "curve": [scores(plain, truth)],
            **{n: [scores(each["test"], truth) for each in rows] for n, rows in made.items()},
        },
        "disagreement": {
            name: disagreement([each["test"] for each in rows], truth)
            for name, rows in made.items()
            if several
        },
    }
    short_runs.written(options.out, summary, markdown(summary))
    first = [rows[0]["test"] for rows in made.values()]
    shown = [x[:SHOWN, ..., 0] for x in (data["test"].t1, plain, *first, truth)]
    simulated_brain.picture(shown, options.out / "samples.png")


if __name__ == "__main__":
    main()
