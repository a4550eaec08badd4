"""DCGAN, StyleGAN2, DDPM and Fast-DDPM at equal compute: how good, how varied, how fast.

    python experiments/generation/run.py [--seeds 0 1 2] [--teraflop 6]

Each method trains for as many steps as its compiled step's floating-point operations allow it,
on axial T1 slices of simulated subjects (32 x 32 pixels of 6 mm). Generated images are compared
with slices of other subjects at the same heights, by features that SimCLR learned from the
training slices, and by the pixels themselves. The control is real: what the training slices
themselves score. What is done is kept in ``--runs``; an interrupted script goes on where it
stopped. Writes ``results.json``, ``tables.md`` and ``samples.png`` beside this file.
``--teraflop 0.05 --subjects 20 --seeds 0`` tries it out.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from pathlib import Path

import jax
import numpy as np

from medjax.core.files import replacing
from medjax.metrics import generative

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
import features  # noqa: E402
import methods  # noqa: E402
import short_runs  # noqa: E402
import simulated_brain  # noqa: E402

ASKED = ("dcgan", "stylegan2", "ddpm", "fast_ddpm")
COUNT = 500  # images of each kind that are compared, at most
SHOWN = 12  # samples a row of the picture
REAL = "training slices themselves"


def extractor(images: np.ndarray, folder: Path) -> generative.FeatureExtractor:
    """Learned from the training images, once for all that is kept in a folder."""
    path = folder / f"features-{len(images)}.npz"
    if not path.exists():
        learned = jax.tree.leaves(features.pretrained(images))
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft, draft.open("wb") as file:
            np.savez(file, *learned)
    with np.load(path, allow_pickle=False) as stored:
        leaves = list(stored.values())
    network = features.network()
    tree = jax.eval_shape(network.init, jax.random.key(0), images[:1])
    variables = jax.tree.unflatten(jax.tree.structure(tree), leaves)
    return generative.from_backbone(network, variables, name=features.NAME)


def operations(name: str, data: simulated_brain.Slices) -> float:
    """Floating-point operations of a step, as XLA counts them in the program it is given.

    Parts that only some steps have (lazy penalties) are counted in each.
    """
    learner = methods.METHODS[name].learner(1000)
    batch = methods.batch_of(data, np.arange(methods.METHODS[name].batch_size) % len(data))
    state = jax.eval_shape(learner.init, jax.random.key(0), batch)
    lowered = jax.jit(learner.step).lower(state, batch, jax.random.key(0))
    return float(lowered.cost_analysis()["flops"])


def generated(run: short_runs.Programs, state, data: simulated_brain.Slices, count: int):
    """Images as the networks have them, and seconds of one (the median of some batches)."""
    size, made, times = 100, [], []
    for start in range(0, count, size):
        # Only the index tells a sample from another: not one pixel of the batch is looked at.
        batch = methods.batch_of(data, np.arange(start, start + size) % len(data))
        batch["index"] = np.arange(start, start + size, dtype=np.int32)
        began = time.monotonic()
        made.append(methods.images_of(jax.block_until_ready(run.predict(state, batch))))
        times.append((time.monotonic() - began) / size)
    return np.concatenate(made)[:count], float(np.median(times[1:] or times))


def judged(extract, held: np.ndarray, images: np.ndarray) -> dict[str, dict]:
    """Every score of some images, as records with their extractors."""
    found = {}
    for kind, one in (("learned", extract), ("pixels", pixels())):
        real, made = one(held), one(images)
        scores = {
            "fid": generative.frechet_distance(real, made),
            "kid": generative.kernel_distance(real, made),
        }
        if kind == "learned":
            both, beside = (
                generative.precision_recall(real, made),
                generative.density_coverage(real, made),
            )
            scores |= both._asdict() | beside._asdict()
        found[kind] = {metric: score.record() for metric, score in scores.items()}
    return found


def pixels() -> generative.FeatureExtractor:
    """Images of half the size, as they are."""

    def flat(images):
        n, y, x, c = images.shape
        halves = images.reshape(n, y // 2, 2, x // 2, 2, c).mean((2, 4))
        return halves.reshape(n, -1)

    return generative.FeatureExtractor("pixels of 12 mm", jax.jit(flat))


def one(name: str, seed: int, steps: int, data, held: np.ndarray, extract) -> dict:
    run = methods.programs(name, steps)
    state, log, seconds = short_runs.train(
        run,
        functools.partial(methods.batch_of, data),
        len(data),
        batch_size=methods.METHODS[name].batch_size,
        steps=steps,
        seed=seed,
    )
    images, each = generated(run, state, data, len(held))
    print(f"{name}, seed {seed}: {steps} steps in {seconds:.0f} s", flush=True)
    scores = judged(extract, held, simulated_brain.unscaled(images))
    return {
        "steps": steps,
        "seconds": seconds,
        "sample_ms": 1000 * each,
        "scores": scores,
        "log": log,
        "shown": np.round(simulated_brain.unscaled(images[:SHOWN])[..., 0], 3).tolist(),
    }


def markdown(summary: dict) -> str:
    """The table, with the extractors' names."""
    lines = [
        "| | steps | s of training | ms a sample | FID | KID x 1000 | precision | recall "
        "| coverage | FID of pixels |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]

    def cell(rows, kind, metric, scale=1.0, digits=2):
        values = [scale * row["scores"][kind][metric]["value"] for row in rows]
        return short_runs.cell(values, digits)

    for name, rows in summary["results"].items():
        label = REAL if name == "real" else methods.METHODS[name].label
        cost = ["", "", ""]
        if name != "real":
            cost = [
                str(rows[0]["steps"]),
                f"{np.mean([row['seconds'] for row in rows]):.0f}",
                f"{np.mean([row['sample_ms'] for row in rows]):.1f}",
            ]
        scores = [
            cell(rows, "learned", "fid"),
            cell(rows, "learned", "kid", 1000),
            *(cell(rows, "learned", metric) for metric in ("precision", "recall", "coverage")),
            cell(rows, "pixels", "fid"),
        ]
        lines.append(f"| {label} | {' | '.join(cost)} | {' | '.join(scores)} |")
    first = summary["results"]["real"][0]["scores"]
    names = {kind: scores["fid"]["extractor"] for kind, scores in first.items()}
    lines.append(f"\nFeatures: {names['learned']}; of the last column {names['pixels']}.")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--methods", nargs="+", choices=ASKED, default=list(ASKED))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--teraflop", type=float, default=6.0, help="of each training")
    parser.add_argument("--subjects", type=int, default=250, help="to train, and held out")
    parser.add_argument("--runs", type=Path, default=Path("runs/generation"))
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    jax.config.update("jax_compilation_cache_dir", str(options.runs.absolute() / "programs"))
    data, other = methods.slices(options.subjects, 0), methods.slices(options.subjects, 1)
    held, real = (simulated_brain.unscaled(simulated_brain.scaled(a.t1)) for a in (other, data))
    extract = extractor(real, options.runs)
    held, real = held[:COUNT], real[:COUNT]
    folder = options.runs / f"{options.teraflop:g}-{options.subjects}"
    results = {"real": [{"scores": judged(extract, held, real)}]}
    for name in options.methods:
        steps = max(1, round(1e12 * options.teraflop / operations(name, data)))
        results[name] = [
            short_runs.kept(
                folder / f"{name}-{seed}.json",
                functools.partial(one, name, seed, steps, data, held, extract),
            )
            for seed in options.seeds
        ]
    seen = ("log", "shown")  # stay in ``--runs``
    scores = {
        name: [{k: v for k, v in row.items() if k not in seen} for row in rows]
        for name, rows in results.items()
    }
    summary = {
        "versions": short_runs.versions(),
        "settings": {"teraflop": options.teraflop, "subjects": options.subjects},
        "seeds": options.seeds,
        "results": scores,
    }
    short_runs.written(options.out, summary, markdown(summary))
    made = [np.asarray(results[name][0]["shown"]) for name in options.methods]
    simulated_brain.picture([real[:SHOWN, ..., 0], *made], options.out / "samples.png")


if __name__ == "__main__":
    main()
