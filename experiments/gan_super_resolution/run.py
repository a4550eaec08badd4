"""Super-resolution of simulated PET: bicubic, a network, and the same network with an adversary.

    python experiments/gan_super_resolution/run.py [--seeds 0 1 2] [--steps 600]

Reviews report GANs 3.1 to 3.5 dB above bicubic interpolation for PET. The question here is how
much of such a gain is the adversary's: the control is the same network trained for as many
steps on the same data without one. Slices of simulated subjects (ICBM152's tissues with the
uptake of FDG, 64 x 64 pixels of 3 mm) are blurred by a Gaussian of 6 mm and sampled every 6 mm,
with Poisson noise. Subjects and slabs of the brain are on one side only; the adversary's weight
is chosen on validation. What is done is kept in ``--runs``. Writes ``results.json``,
``tables.md`` and ``samples.png``. ``--steps 5 --subjects 6 --seeds 0`` tries it out.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax

from medjax import learners, losses
from medjax.core.random import generator
from medjax.image.resize import enlarged
from medjax.learners import adversarial
from medjax.losses.adversarial import relativistic_average
from medjax.metrics import psnr, ssim
from medjax.models.generative import PatchGAN
from medjax.models.restoration import EDSR
from medjax.physics.downsampling import Downsampling, slice_profile

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]
import short_runs  # noqa: E402
import simulated_brain  # noqa: E402

SCALE = 2
COUNTS = 300.0  # photons of a pixel of brightness 1, in the low resolution
BATCH = 16
WEIGHTS = (0.003, 0.01, 0.03)  # of the adversary, beside a mean absolute error of weight 1
SIDES = simulated_brain.SIDES
LABELS = {"bicubic": "bicubic", "network": "EDSR", "gan": "EDSR with an adversary"}
METRICS = {"psnr": psnr, "ssim": ssim}
DIGITS = {"psnr": 2, "ssim": 3}
SHOWN = 6


def scans(side: str, subjects: int) -> dict[str, np.ndarray]:
    """Sharp images and what a coarser, noisy scanner sees of them."""
    sharp = simulated_brain.slices(side, subjects, each=4).pet
    taps = slice_profile(SCALE, width=SCALE)
    coarse = Downsampling((taps, taps), (SCALE, SCALE))
    means = np.asarray(coarse(jnp.asarray(sharp[..., 0])))
    rng = generator(0x9E7, SIDES.index(side))
    low = rng.poisson(COUNTS * np.clip(means, 0, None)) / COUNTS
    return {"image": sharp, "low": low[..., None].astype(np.float32)}


class OnBicubic(nn.Module):
    """A network that adds to the bicubic enlargement, as all do here.

    Attributes:
        network: from a small image to a large one.
    """

    network: nn.Module

    def __call__(self, x, train=False):
        """Enlarge."""
        return enlarged(x, (SCALE, SCALE)) + self.network(x, train=train)


def network() -> OnBicubic:
    """A quarter of the channels and a third of the blocks of EDSR's baseline."""
    return OnBicubic(EDSR(SCALE, features=16, blocks=5))


def adam(steps: int, rate: float) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(rate, max(2, steps)))


def plain(steps: int) -> learners.Learner:
    """The control: the absolute error alone."""
    return learners.supervised(
        network(), losses.l1, adam(steps, 2e-3), inputs=("low",), target="image"
    )


def with_adversary(steps: int, weight: float) -> learners.Learner:
    """The absolute error and a relativistic adversary (Jolicoeur-Martineau 2019)."""

    def near(images, fake, real, batch):
        distance = losses.l1(images, batch["image"])
        return distance / weight, {"distance": jnp.mean(distance)}

    return adversarial.adversarial(
        network(),
        PatchGAN((16, 32, 64), norm="none"),
        adam(steps, 2e-3),
        adam(steps, 5e-4),
        loss=relativistic_average(),
        inputs=adversarial.entries_of("low"),
        generator_term=near,
        average=0.99,
    )


@functools.cache
def programs(steps: int, weight: float | None) -> short_runs.Programs:
    """Compiled once for all seeds; no weight is no adversary."""
    return short_runs.programs(plain(steps) if weight is None else with_adversary(steps, weight))


def scores(images: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Means over slices; the range is 1, about grey matter's brightness."""
    x, y = images[..., 0], truth[..., 0]
    return {n: float(np.mean(f(x, y, data_range=1.0))) for n, f in METRICS.items()}


def trained(data: dict[str, dict[str, np.ndarray]], steps: int, weight, seed: int) -> dict:
    """Train, and judge on both held-out sides."""
    run = programs(steps, weight)

    def batch_of(side: str):
        return lambda chosen: {
            "index": chosen.astype(np.int32),
            **{name: values[chosen] for name, values in data[side].items()},
        }

    count = len(data["train"]["image"])
    end = short_runs.train(run, batch_of("train"), count, batch_size=BATCH, steps=steps, seed=seed)
    found = {"seconds": end.seconds, "log": end.log}
    for side in SIDES[1:]:
        made = short_runs.predicted(run, end.state, batch_of(side), len(data[side]["image"]))
        found[side] = scores(made, data[side]["image"])
        found["shown"] = np.round(made[:SHOWN, ..., 0], 3).tolist()
    name = "alone" if weight is None else f"with an adversary of weight {weight:g}"
    print(f"EDSR {name}, seed {seed}: {end.seconds:.0f} s, test {found['test']}", flush=True)
    return found


def markdown(summary: dict) -> str:
    """Test scores, and differences from the control."""
    lines = ["| | PSNR (dB) | SSIM |", "|---|--:|--:|"]
    found = summary["test"]
    for name, rows in found.items():
        cells = [short_runs.cell([row[m] for row in rows], digits) for m, digits in DIGITS.items()]
        lines.append(f"| {LABELS[name]} | {' | '.join(cells)} |")

    def apart(own: str, other: str) -> str:
        each = [
            short_runs.difference(
                [row[m] for row in found[own]],
                [row[m] for row in found[other]] * (len(found[own]) // len(found[other])),
                digits,
            )
            for m, digits in DIGITS.items()
        ]
        return f"- {LABELS[own]} less {LABELS[other]}: PSNR {each[0]}, SSIM {each[1]}"

    pairs = (("network", "bicubic"), ("gan", "bicubic"), ("gan", "network"))
    lines += ["", *(apart(*pair) for pair in pairs)]
    tried = ", ".join(f"{w}: {v:.2f} dB" for w, v in summary["validation"].items())
    lines.append(f"- PSNR on validation by the adversary's weight: {tried}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--subjects", type=int, default=80, help="to train; half as many to test")
    parser.add_argument("--runs", type=Path, default=Path("runs/gan_super_resolution"))
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    counts = (options.subjects, max(2, options.subjects // 4), max(2, options.subjects // 2))
    data = {side: scans(side, n) for side, n in zip(SIDES, counts, strict=True)}
    folder = options.runs / f"{options.steps}-{options.subjects}"

    def one(weight: float | None, seed: int) -> dict:
        name = "network" if weight is None else f"gan{weight:g}"
        return short_runs.kept(
            folder / f"{name}-{seed}.json",
            functools.partial(trained, data, options.steps, weight, seed),
        )

    first = options.seeds[0]
    tried = {weight: one(weight, first)["validation"]["psnr"] for weight in WEIGHTS}
    best = max(tried, key=tried.get)
    rows = {
        "network": [one(None, seed) for seed in options.seeds],
        "gan": [one(best, seed) for seed in options.seeds],
    }
    test = data["test"]
    cubic = np.asarray(enlarged(test["low"], (SCALE, SCALE)))
    summary = {
        "versions": short_runs.versions(),
        "settings": {"steps": options.steps, "subjects": counts, "weight": best},
        "seeds": options.seeds,
        "validation": {f"{weight:g}": value for weight, value in tried.items()},
        "test": {
            "bicubic": [scores(cubic, test["image"])],
            **{name: [row["test"] for row in each] for name, each in rows.items()},
        },
        "seconds": {name: [row["seconds"] for row in each] for name, each in rows.items()},
    }
    short_runs.written(options.out, summary, markdown(summary))
    low = test["low"][:SHOWN, ..., 0].repeat(SCALE, 1).repeat(SCALE, 2)
    made = [np.asarray(each[0]["shown"]) for each in rows.values()]
    shown = [low, cubic[:SHOWN, ..., 0], *made, test["image"][:SHOWN, ..., 0]]
    simulated_brain.picture(shown, options.out / "samples.png")


if __name__ == "__main__":
    main()
