"""Each GAN at one setting and five seeds: does it end without collapse?

    python experiments/generation/stability.py [--seeds 0 1 2 3 4] [--steps 400]

Trains every method of `methods.GANS` on the slices of `methods.py` and judges the variety of what
it makes by `medjax.metrics.generative.mode_collapse`, by the features that SimCLR learned from
the training slices. Translators (pix2pix, CycleGAN and kin) make one image of each source, the
infilling GAN one of each image with a hole, and are compared with the images that those should
become; volumes by the features of all their slices. What is done is kept in ``--runs``.
Writes ``stability.json`` and ``stability.md`` beside this file. ``--steps 5 --subjects 20
--seeds 0`` tries it out.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import jax
import numpy as np

from medjax.learners.adversarial import Both, generator_variables
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
    if name == "td_gan":  # likewise, of the images that it translates
        both = Both(methods.translator(), methods.translator())
        apply = jax.jit(both.apply)
        kinds = (simulated_brain.scaled(images[:count]) for images in (data.t2, data.t1))
        pairs = zip(*(np.split(x, range(50, count, 50)) for x in kinds), strict=True)
        variables = generator_variables(state)
        return np.concatenate([apply(variables, *pair)[0] for pair in pairs])
    if methods.GANS[name].volumes:
        batch = methods.volume_of(data, np.arange(count))
        images = methods.images_of(program.predict(state, batch))
        return 2 * images - 1 if name == "gan_3d" else images
    return run.generated(program, state, data, count)[0]


def by_slices(extract: generative.FeatureExtractor, volumes: np.ndarray) -> generative.FeatureSet:
    """Features of volumes: those of all slices, one after the other."""
    found = extract(volumes.reshape(-1, *volumes.shape[2:]))
    return generative.FeatureSet(np.reshape(found.values, (len(volumes), -1)), found.extractor)


def judged(name: str, seed: int, steps: int, data, extract) -> dict:
    """Train one, and say what became of it."""
    method = methods.GANS[name]
    steps *= method.length
    batch_of, features = methods.batch_of, extract
    if method.volumes:
        data, batch_of = methods.volumes(len(data)), methods.volume_of
        features = functools.partial(by_slices, extract)
    program = methods.programs(name, steps)
    end = short_runs.train(
        program,
        functools.partial(batch_of, data),
        len(data),
        batch_size=method.batch_size,
        steps=steps,
        seed=seed,
    )
    count = min(500, len(data))
    images = simulated_brain.unscaled(made(name, end.state, program, data, count))
    real = data if method.volumes else data.t1
    real = features(simulated_brain.unscaled(simulated_brain.scaled(real[:count])))
    generated = features(images)
    found = generative.mode_collapse(real, generated)
    print(f"{name}, seed {seed}: {found}", flush=True)
    return {
        "steps": steps,
        "collapsed": found.collapsed,
        **{name: getattr(found, name).value for name in SHARES},
        "fid": generative.frechet_distance(real, generated).value,
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
    data = methods.slices(options.subjects, 0)
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
