"""Frozen features of SimCLR, MoCo, DINO and MAE beside random features and few labels alone.

    python experiments/pretraining/run.py [--tasks brain2d brain3d tiles] [--seeds 0 1 2]

Pretrains each method on each task without labels, freezes it, and judges its features by
`medjax.training.protocols` with 1, 10 and 100 % of the labels: nearest neighbours, a linear
probe, an attentive probe, fine-tuning. Beside them stand features of the same networks with
random parameters, the pixels themselves, and the networks trained from scratch. Every seed has
a pretraining, a choice of labels and a start of its own. What is done is kept in ``--runs``; an
interrupted script goes on where it stopped. Writes ``results.json``, ``tables.md`` and figures
beside this file. ``--steps 3 --tuning-steps 3 --seeds 0 --small`` tries it out.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.files import replacing
from medjax.metrics import representation
from medjax.training import protocols
from medjax.training.protocols.attentive import passes

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
import data  # noqa: E402
import figures  # noqa: E402
import methods  # noqa: E402
import tables  # noqa: E402
from short_runs import kept, versions  # noqa: E402

FRACTIONS = (0.01, 0.1, 1.0)
BATCH = 64
MONITORS = 10  # times that a pretraining is looked at
WATCHED = 256  # held-out images that it is looked at with
EXAMPLES = 5  # queries of the pictures of neighbours
SCRATCH_LONGER = 3  # who starts from nothing gets more steps, lest the control be weak


def task(name: str, small: bool) -> data.Task:
    """A task by name; few samples to try out."""
    if name == "tiles":
        return data.tiles((24, 8, 10)) if small else data.tiles()
    counts = (8, 3, 4) if small else (100, 20, 60)
    return data.brain(2 if name == "brain2d" else 3, counts)


TASKS = ("brain2d", "brain3d", "tiles")


def pretrain(method: methods.Method, given: data.Task, seed: int, steps: int):
    """Variables of the pretrained network, and what was seen on the way.

    Returns:
        ``(variables, curve, seconds)``; the curve maps names to a number a look, and
        "step" to when. Labels are used for the curve of neighbours alone.
    """
    images = given.sets.train.inputs
    module = methods.NETWORKS[method.network](images.ndim - 2)
    learner = method.learner(module, given.modality, images.shape[1:-1], steps)
    key = jax.random.key(seed)
    order = passes(len(images), BATCH, steps, seed)

    def batch(chosen: np.ndarray) -> dict[str, np.ndarray]:
        return {"image": images[chosen], "index": chosen}

    state = jax.jit(learner.init)(key, batch(order[0]))
    step = jax.jit(learner.step, donate_argnums=0)
    watch = jax.jit(functools.partial(monitor, module, given))
    held = given.sets.validation
    shown = np.random.default_rng(0).permutation(len(held))[:WATCHED]
    looks = {round(x) for x in np.linspace(0, steps, MONITORS + 1)}
    curve: dict[str, list[float]] = {"step": [], "loss": []}
    scalars = {"loss": jnp.nan}
    began = time.monotonic()
    for number in range(steps + 1):
        if number in looks:
            seen = watch(method.variables(state), held.inputs[shown], held.labels[shown])
            for name, value in {**seen, "step": number, "loss": scalars["loss"]}.items():
                curve.setdefault(name, []).append(float(value))
        if number < steps:
            here = jax.random.fold_in(key, number)
            state, scalars = step(state, batch(order[number]), here)
    jax.block_until_ready(state)
    return method.variables(state), curve, time.monotonic() - began


def monitor(module, given: data.Task, variables, images, labels):
    """Whether a representation collapses, and whether neighbours are alike."""
    one = methods.view(given.modality, images.shape[1:-1], (0.4, 1.0))
    index = jnp.arange(images.shape[0])
    keys = (jax.random.key(number) for number in range(2))
    pair = [one(key, {"image": images, "index": index})["image"] for key in keys]
    first, second = (module.apply(variables, x, method="features").pooled for x in pair)
    found = methods.features(module)(variables, images)
    right = representation.neighbour_accuracy(
        found, labels, classes=given.sets.classes, neighbours=min(10, len(labels) - 1)
    )
    return {
        "rank": representation.effective_rank(found - found.mean(0, keepdims=True)),
        "uniformity": representation.uniformity(found),
        "alignment": jnp.mean(representation.alignment(first, second)),
        "neighbours": jnp.mean(right),
    }


def mapped(function, variables):
    """For `Sets.map`: one compiled program whatever the variables."""
    return protocols.in_batches(lambda images: function(variables, images))


def frozen(name: str, module, variables, given: data.Task, seed: int) -> dict[str, dict]:
    """What the protocols say of frozen features."""
    extract = jax.jit(methods.features(module))
    pooled = given.sets.map(mapped(extract, variables))
    found = judged(name, pooled, seed)
    look = jax.jit(methods.patches(module))
    places = given.sets.map(mapped(look, variables))
    probe = protocols.AttentiveProbe(rates=(1e-3, 1e-2))
    found["attentive"] = curve(name, probe, places, seed, FRACTIONS[1:2])
    return found


def judged(name: str, pooled: protocols.Sets, seed: int) -> dict[str, dict]:
    """What the protocols of pooled features say."""
    return {
        "linear": curve(name, protocols.LinearProbe(), pooled, seed, FRACTIONS),
        "neighbours": curve(name, protocols.NearestNeighbours(), pooled, seed, FRACTIONS),
    }


def tuned(name: str, network: str, variables, given: data.Task, seed: int, steps: int) -> dict:
    """Fine-tuning, or without variables training from scratch."""
    scratch = variables is None
    protocol = protocols.FineTuning(
        module=methods.NETWORKS[network](given.sets.train.inputs.ndim - 2, given.sets.classes),
        layers=methods.LAYERS[network],
        pretrained=variables,
        rates=(1e-3, 4e-3),
        layer_decay=1.0 if scratch else 0.75,
        steps=SCRATCH_LONGER * steps if scratch else steps,
        augmentation=methods.view(given.modality, given.sets.train.inputs.shape[1:-1], (0.6, 1.0)),
    )
    # The network itself sees what it was pretrained on: standardised images.
    images = given.sets.map(lambda x: np.asarray(methods.standardised(x), np.float32))
    return curve(name, protocol, images, seed, FRACTIONS[:2])


def curve(name: str, protocol, sets: protocols.Sets, seed: int, fractions) -> dict:
    """A label curve, printed with its protocol, as JSON."""
    found = protocols.label_curve(protocol, sets, fractions=fractions, seeds=(seed,))
    print(f"{name}, seed {seed}: {found}\n", flush=True)
    return found.record()


def one(name: str, given: data.Task, which: str, seed: int, options) -> dict:
    """All that is asked of one method, or control, and seed."""
    dimensions = given.sets.train.inputs.ndim - 2
    shape = (1, *given.sets.train.inputs.shape[1:])
    label = f"{name}, {which}"
    if which == "pixels":

        def flat(images: np.ndarray) -> np.ndarray:
            return np.asarray(methods.standardised(images)).reshape(len(images), -1)

        return judged(label, given.sets.map(flat), seed)
    kind, _, network = which.partition("-")
    if kind == "scratch":
        return {"tuned": tuned(label, network, None, given, seed, options.tuning_steps)}
    if kind == "random":
        module = methods.NETWORKS[network](dimensions)
        variables = jax.jit(module.init)(jax.random.key(seed), jnp.zeros(shape))
        found = frozen(label, module, variables, given, seed)
        return {**found, "nearest": nearest(module, variables, given)}
    method = methods.METHODS[which]
    module = methods.NETWORKS[method.network](dimensions)
    steps = method.longer * options.steps
    variables, watched, seconds = pretrain(method, given, seed, steps)
    print(f"{label}, seed {seed}: pretrained in {seconds:.0f} s\n", flush=True)
    found = frozen(label, module, variables, given, seed)
    found["tuned"] = tuned(label, method.network, variables, given, seed, options.tuning_steps)
    return {
        **found,
        "curve": watched,
        "seconds": seconds,
        "nearest": nearest(module, variables, given),
    }


def nearest(module, variables, given: data.Task) -> list[list[int]]:
    """Queries of the test set, one a class and then again, and their nearest training images."""
    extract = jax.jit(methods.features(module))
    pooled = given.sets.map(mapped(extract, variables))
    keys, queries = (
        x / np.linalg.norm(x, axis=1, keepdims=True)
        for x in (pooled.train.inputs, pooled.test.inputs)
    )
    chosen = [int(np.flatnonzero(pooled.test.labels == c)[0]) for c in range(EXAMPLES)]
    order = np.argsort(-(queries[chosen] @ keys.T), axis=1)[:, :EXAMPLES]
    return [[query, *map(int, row)] for query, row in zip(chosen, order, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS[:2]))
    parser.add_argument("--methods", nargs="+", default=list(methods.METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=400, help="of SimCLR's; others by methods.py")
    parser.add_argument("--tuning-steps", type=int, default=100, help="of each fine-tuning")
    parser.add_argument("--small", action="store_true", help="few samples, to try it out")
    parser.add_argument("--runs", type=Path, default=Path("runs/pretraining"))
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    # Seeds and methods share most programs: what one has compiled, the others read.
    jax.config.update("jax_compilation_cache_dir", str(options.runs.absolute() / "programs"))
    networks = dict.fromkeys(methods.METHODS[m].network for m in options.methods)
    asked = ["pixels"]
    asked += [f"{control}-{network}" for network in networks for control in ("random", "scratch")]
    asked += options.methods
    results = {}
    for name in options.tasks:
        given = task(name, options.small)
        print(f"{name}: {given.statement}\n")
        settings = f"{options.steps}-{options.tuning_steps}{'-small' if options.small else ''}"
        found = {
            which: [
                kept(
                    options.runs / f"{name}-{settings}" / f"{which}-{seed}.json",
                    functools.partial(one, name, given, which, seed, options),
                )
                for seed in options.seeds
            ]
            for which in asked
        }
        results[name] = {
            "statement": given.statement,
            "classes": given.names,
            "samples": {side: len(part) for side, part in given.sets.parts().items()},
            "found": found,
        }
        figures.label_curves(results[name], options.out / f"labels_{name}.png")
        figures.training_curves(results[name], options.out / f"training_{name}.png")
        figures.neighbours(given, results[name], options.out / f"neighbours_{name}.png")
    summary = {
        "versions": versions(),
        "settings": {"steps": options.steps, "tuning_steps": options.tuning_steps, "batch": BATCH},
        "seeds": options.seeds,
        "devices": [d.device_kind for d in jax.devices()],
        "tasks": results,
    }
    with replacing(options.out / "results.json") as path:
        path.write_text(json.dumps(summary))
    text = tables.markdown(summary)
    with replacing(options.out / "tables.md") as path:
        path.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
