"""Whole training steps on CPU by what XLA hands to YNNPACK, which `on_all_cores` chooses.

    python experiments/benchmarks/cores.py [--works mri_unrolled ...] [--rounds 9] [--cpu]

Each work is the step of one of ``configs/``, made small, and is compiled with XLA's defaults,
with products of matrices alone in YNNPACK, and with nothing in it. Ways are timed in turn, round
after round; printed are the medians and the default's time over each. ``--cpu`` counts processor
time, for machines that do other things too; restrict the cores with ``taskset``.
"""

import argparse
import os
import time
from pathlib import Path

import jax
import numpy as np
from in_turn import medians

from medjax.cli.arguments import load_config

OPTION = "xla_cpu_experimental_ynn_fusion_type"
WAYS = {
    "defaults": None,
    "products": {OPTION: "LIBRARY_FUSION_TYPE_DOT"},
    "nothing": {OPTION: ""},
}
CONFIGS = Path(__file__).parents[2] / "configs"
PRECISE = {"precision": "float32"}
WORKS = {
    "mri_unrolled": {},
    "pretrain_simclr": {
        "size": "18",
        "tile": (40, 40),
        "view": (32, 32),
        "batch_size": 16,
        **PRECISE,
    },
    "pretrain_mae": {
        "size": "ti",
        "crop": (32, 32, 32),
        "patch": (8, 8, 8),
        "decoder_width": 64,
        "decoder_depth": 2,
        "batch_size": 8,
        **PRECISE,
    },
    "generate_gan": {"batch_size": 8, "method": "dcgan"},
    "generate_diffusion": {"features": (32, 64, 128), "batch_size": 8},
}


def prepared(name: str, options: dict[str, str] | None):
    """A function that makes one step and waits for it."""
    experiment = load_config(CONFIGS / f"{name}.py")(**WORKS[name])
    rng = np.random.default_rng(0)

    def filled(x):
        if np.issubdtype(x.dtype, np.floating):
            return rng.random(x.shape).astype(x.dtype)
        return np.arange(np.prod(x.shape)).reshape(x.shape).astype(x.dtype)

    batch = jax.device_put(jax.tree.map(filled, experiment.example))
    learner = experiment.learner
    # Threefry takes XLA on CPU a second a parameter to compile.
    state = jax.jit(learner.init)(jax.random.key(0, impl="rbg"), batch)
    step = jax.jit(learner.step, donate_argnums=0, compiler_options=options)

    def run():
        nonlocal state
        state, _ = step(state, batch, jax.random.key(1))
        return state

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cpu", action="store_true", help="processor time")
    asked = parser.parse_args()
    clock = time.process_time if asked.cpu else time.perf_counter
    print(f"jax {jax.__version__}, {len(os.sched_getaffinity(0))} cores, ms a step")
    print(f"{'':20}" + "".join(f"{way:>20}" for way in WAYS))
    for name in asked.works:
        runs = {way: prepared(name, options) for way, options in WAYS.items()}
        times = medians(runs, asked.rounds, clock)
        cells = [f"{ms:.0f} ({times['defaults'] / ms:.2f})" for ms in times.values()]
        print(f"{name:20}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
