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
import optax
from PIL import Image as Pillow
from scipy import stats

from medjax import learners, losses, models
from medjax.core.files import replacing
from medjax.learners import adversarial
from medjax.metrics import psnr, ssim
from medjax.models.generative import PatchGAN, TranslationResNet

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]
import short_runs  # noqa: E402
import simulated_brain  # noqa: E402

CENTRE = 0.6  # brightness that networks see as 0
SIZE, SPACING = 48, 4.0
LABELS = {
    "curve": "best curve of brightness",
    "network": "U-Net, absolute error (pairs)",
    "pix2pix": "pix2pix (pairs)",
    "cyclegan": "CycleGAN (no pairs)",
}
BATCH = {"network": 8, "pix2pix": 8, "cyclegan": 8}
METRICS = {"psnr": psnr, "ssim": ssim}
DIGITS = {"psnr": 2, "ssim": 3}
SHOWN = 6


def scaled(images: np.ndarray) -> np.ndarray:
    """Brightness 0 to 1.2 as -1 to 1; brighter is cut."""
    return np.clip(images / CENTRE - 1, -1, 1).astype(np.float32)


def scans(subjects: int) -> dict[str, simulated_brain.Slices]:
    """Training subjects, others whose T2 CycleGAN sees, and the test's."""

    def of(side: str, count: int, seed: int = 0) -> simulated_brain.Slices:
        return simulated_brain.slices(side, count, each=4, size=SIZE, spacing=SPACING, seed=seed)

    return {
        "train": of("train", subjects),
        "others": of("train", subjects, 1),
        "test": of("test", max(2, subjects // 2)),
    }


def batch_of(data: simulated_brain.Slices, others: simulated_brain.Slices | None = None):
    """Batches with ``t1`` and ``t2``, of the same slices or, for ``others``, not of the same."""

    def batch(chosen: np.ndarray) -> dict[str, np.ndarray]:
        second = data if others is None else others
        return {
            "index": chosen.astype(np.int32),
            "t1": scaled(data.t1[chosen]),
            "t2": scaled(second.t2[chosen]),
        }

    return batch


def unet() -> models.UNet:
    return models.UNet(1, features=(16, 32, 64))


def adam(steps: int, rate: float, b1: float = 0.5) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(rate, max(2, steps), alpha=0.05), b1=b1)


@functools.cache
def programs(name: str, steps: int) -> short_runs.Programs:
    """A method, compiled once for all seeds."""
    if name == "network":
        learner = learners.supervised(
            unet(), losses.l1, adam(steps, 1e-3, 0.9), inputs=("t1",), target="t2"
        )
    elif name == "pix2pix":
        learner = adversarial.pix2pix(
            unet(),
            PatchGAN((16, 32, 64), norm="instance"),
            adam(steps, 1e-3),
            adam(steps, 2e-4),
            source="t1",
            target="t2",
        )
    else:
        learner = adversarial.cyclegan(
            TranslationResNet(1, (12, 24), blocks=4),
            PatchGAN((16, 32, 64), norm="instance"),
            adam(steps, 1e-3),
            adam(steps, 4e-4),
            first="t1",
            second="t2",
            average=0.99,
        )
    return short_runs.programs(learner)


def translated(name: str, run: short_runs.Programs, state, data) -> np.ndarray:
    """T2 of T1, in brightness."""
    made = short_runs.predicted(run, state, batch_of(data), len(data))
    made = made["t2"] if name == "cyclegan" else made
    return (np.clip(made, -1, 1) + 1) * CENTRE


def outputs(
    folder: Path, name: str, data: dict[str, simulated_brain.Slices], steps: int, seed: int
) -> dict[str, np.ndarray]:
    """Translations of the test's and the training slices, kept in a file of the folder."""
    path = folder / f"{name}-{seed}.npz"
    if not path.exists():
        run = programs(name, steps)
        others = data["others"] if name == "cyclegan" else None
        end = short_runs.train(
            run,
            batch_of(data["train"], others),
            len(data["train"]),
            batch_size=BATCH[name],
            steps=steps,
            seed=seed,
        )
        print(f"{name}, seed {seed}: {steps} steps in {end.seconds:.0f} s", flush=True)
        made = {s: translated(name, run, end.state, data[s]) for s in ("train", "test")}
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft, draft.open("wb") as file:
            np.savez_compressed(file, **made, seconds=end.seconds)
    with np.load(path) as kept:
        return dict(kept)


def curve(data: simulated_brain.Slices, t1: np.ndarray) -> np.ndarray:
    """The mean T2 of voxels of each of 64 shades of T1."""
    edges = np.quantile(data.t1, np.linspace(0, 1, 65))[1:-1]
    place = np.searchsorted(edges, data.t1.ravel())
    sums = np.bincount(place, data.t2.ravel(), minlength=64)
    means = sums / np.maximum(np.bincount(place, minlength=64), 1)
    return means[np.searchsorted(edges, t1)].astype(np.float32)


def scores(images: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Means over slices; the range is 1."""
    x, y = (np.clip(each[..., 0], 0, 2 * CENTRE) for each in (images, truth))
    return {n: float(np.mean(f(x, y, data_range=1.0))) for n, f in METRICS.items()}


def disagreement(images: list[np.ndarray], truth: np.ndarray) -> float:
    """Rank correlation, over pixels of the head, of the seeds' spread and their mean's error."""
    spread, error = np.std(images, axis=0), np.abs(np.mean(images, axis=0) - truth)
    inside = truth > 0.1
    return float(stats.spearmanr(spread[inside], error[inside]).statistic)


def picture(rows: list[np.ndarray], path: Path) -> None:
    """A row a kind of image, a column a slice."""
    lines = [np.concatenate([x[::-1] for x in row[:SHOWN, ..., 0]], axis=1) for row in rows]
    grey = np.clip(np.concatenate(lines) / (2 * CENTRE), 0, 1)
    image = Pillow.fromarray(np.round(255 * grey).astype(np.uint8))
    with replacing(path) as draft:
        image.resize((2 * image.width, 2 * image.height), Pillow.NEAREST).save(draft, "PNG")


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
    data = scans(options.subjects)
    folder = options.runs / f"{options.steps}-{options.subjects}"
    made = {
        name: [outputs(folder, name, data, options.steps, seed) for seed in options.seeds]
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
    picture([data["test"].t1, plain, *first, truth], options.out / "samples.png")


if __name__ == "__main__":
    main()
