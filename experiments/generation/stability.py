"""Each GAN at one setting and five seeds: does it end without collapse?

    python experiments/generation/stability.py [--seeds 0 1 2 3 4] [--steps 400]

Trains every method of `methods.GANS` on the slices of `run.py` and judges the variety of what
it makes by `medjax.metrics.generative.mode_collapse`, by the features that SimCLR learned from
the training slices. Translators (pix2pix, CycleGAN and kin) make one image of each source, the
infilling GAN one of each image with a hole, and are compared with the images that those should
become. What is done is kept in ``--runs``. Writes
``stability.json`` and ``stability.md`` beside this file. ``--steps 5 --subjects 20 --seeds 0``
tries it out.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import jax
import numpy as np

from medjax.learners.adversarial import generator_variables
from medjax.metrics import generative

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
import methods  # noqa: E402
import run  # noqa: E402
import short_runs  # noqa: E402
import simulated_brain  # noqa: E402

SHARES = ("spread", "rank", "recall", "coverage", "precision")


def made(name: str, state, program: short_runs.Programs, data, count: int) -> np.ndarray:
    """Images of the trained generator."""
    if name in ("semi_supervised_gan", "triple_gan"):  # whose learners predict classes
        inputs = [jax.random.normal(jax.random.key(1), (count, methods.LATENT))]
        variables, known = generator_variables(state), 0
        if name == "triple_gan":
            variables, known = {k: v["generator"] for k, v in variables.items()}, methods.CLASSES
            inputs.append(data.slab[:count])
        apply = jax.jit(methods.players(known=known)[0].apply)
        return np.asarray(apply(variables, *inputs))
    return run.generated(program, state, data, count)[0]


def judged(name: str, seed: int, steps: int, data, extract) -> dict:
    """Train one, and say what became of it."""
    method = methods.GANS[name]
    steps *= method.length
    program = methods.programs(name, steps)
    end = short_runs.train(
        program,
        functools.partial(methods.batch_of, data),
        len(data),
        batch_size=method.batch_size,
        steps=steps,
        seed=seed,
    )
    count = min(500, len(data))
    images = simulated_brain.unscaled(made(name, end.state, program, data, count))
    real = simulated_brain.unscaled(simulated_brain.scaled(data.t1[:count]))
    found = generative.mode_collapse(extract(real), extract(images))
    print(f"{name}, seed {seed}: {found}", flush=True)
    return {
        "steps": steps,
        "collapsed": found.collapsed,
        **{name: getattr(found, name).value for name in SHARES},
        "fid": generative.frechet_distance(extract(real), extract(images)).value,
        "features": extract.name,
        "finite": bool(np.isfinite(end.log["generator_gradient_norm"]).all()),
        "last": {name: values[-1] for name, values in end.log.items()},
        "seconds": end.seconds,
    }


def markdown(found: dict[str, list[dict]]) -> str:
    """A row a method."""
    shares = " | ".join(SHARES)
    lines = [
        f"| | steps | without collapse | near real | {shares} | FID | real, fake accuracy |",
        f"|---|{'--:|' * (len(SHARES) + 5)}",
    ]
    for name, rows in found.items():
        varied = sum(not row["collapsed"] and row["finite"] for row in rows)
        # What is nowhere near real images is no collapse to the instrument, and no success.
        near = sum(row["precision"] >= generative.collapse.COLLAPSED for row in rows)
        cells = [short_runs.cell([row[k] for row in rows]) for k in (*SHARES, "fid")]
        right = [
            f"{np.mean([row['last'][k] for row in rows]):.2f}" if k in rows[0]["last"] else ""
            for k in ("real_accuracy", "fake_accuracy")
        ]
        label = methods.GANS[name].label
        lines.append(
            f"| {label} | {rows[0]['steps']} | {varied} of {len(rows)} | {near} of {len(rows)} "
            f"| {' | '.join(cells)} | {', '.join(right)} |"
        )
    # One, unless what was kept is of another version's features, which are then no comparison.
    extractors = sorted({row["features"] for rows in found.values() for row in rows})
    lines.append(
        "\nFrom spread to precision, shares of what real slices score: below "
        f"{generative.collapse.COLLAPSED} is collapse, or of precision not near real. "
        f"Features: {'; '.join(extractors)}."
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--methods", nargs="+", choices=methods.GANS, default=list(methods.GANS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=400, help="times a method's length")
    parser.add_argument("--subjects", type=int, default=250)
    parser.add_argument("--runs", type=Path, default=Path("runs/generation"))
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    jax.config.update("jax_compilation_cache_dir", str(options.runs.absolute() / "programs"))
    data = run.slices(options.subjects, 0)
    real = simulated_brain.unscaled(simulated_brain.scaled(data.t1))
    extract = run.extractor(real, options.runs)
    folder = options.runs / f"stability-{options.subjects}"
    found = {
        name: [
            short_runs.kept(
                folder / f"{name}-{options.steps * methods.GANS[name].length}-{seed}.json",
                functools.partial(judged, name, seed, options.steps, data, extract),
            )
            for seed in options.seeds
        ]
        for name in options.methods
    }
    summary = {"versions": short_runs.versions(), "seeds": options.seeds, "found": found}
    text = markdown(found)
    short_runs.written(options.out, summary, text, names=("stability.json", "stability.md"))


if __name__ == "__main__":
    main()
