"""The pretraining configs on 1, 2 and 8 devices, in every placement: do they agree?

    python experiments/pretraining/devices.py [--steps 10]

Takes the steps of small runs of each config (MAE in 3D, SimCLR and DINOv2 in 2D) on the same
batches in float32, and prints by how much the loss and the norm of the gradient differ from those
of one device, relative to them: in the first step, which is of the same parameters, and at most
over all steps. Devices are simulated on the CPU. Parameters are not compared, and later steps are
less alike than the first: Adam divides each gradient by its own size, and makes whole steps of the
rounding in the smallest. Fails where the first loss is apart by 1e-5, the norm of its gradient by
1e-3, or a later loss by 1e-2.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import jax
import numpy as np

from medjax.cli.arguments import load_config
from medjax.core.progress import progress
from medjax.training import place

CONFIGS = Path(__file__).parents[2] / "configs"
ARRANGEMENTS = (
    (1, "data"),
    (2, "fsdp"),
    (8, "data"),
    (8, "data:2+fsdp"),
)
TENSOR = (8, "fsdp+tensor:2")  # transformers alone have rules for it
SMALL = {"batch_size": 16, "precision": "float32", "checkpoint_every": 10, "monitor_every": 2}
RUNS: dict[str, dict[str, Any]] = {
    "pretrain_mae": {
        "size": "ti",
        "crop": (32, 32, 32),
        "patch": (8, 8, 8),
        "decoder_width": 64,
        "decoder_depth": 2,
        "learning_rate": 1e-2,  # for 256 crops: such as moves 16 of them
    },
    "pretrain_simclr": {"size": "18", "tile": (40, 40), "view": (32, 32)},
    "pretrain_dinov2": {
        "size": "ti",
        "tile": (40, 40),
        "patch": 8,
        "large": 32,
        "small": 16,
        "small_count": 2,
        "prototypes": 64,
    },
}


def batches(example: Any, steps: int) -> list[dict[str, np.ndarray]]:
    """Smooth random images, the same for every arrangement."""
    rng, made = np.random.default_rng(0), []
    size = example["image"].shape
    for step in range(steps):
        coarse = rng.random((size[0], *(-(-n // 8) for n in size[1:-1]), size[-1]), np.float32)
        for axis in range(1, len(size) - 1):
            coarse = np.repeat(coarse, 8, axis)
        image = coarse[tuple(slice(n) for n in size)]
        index = np.arange(size[0], dtype=np.int32) + step * size[0]
        made.append({"image": image + 0.05 * rng.standard_normal(size, np.float32), "index": index})
    return made


def curve(config: str, devices: int, placement: str, steps: int) -> np.ndarray:
    """Loss and gradient norm of every step, ``(step, 2)``."""
    parameters = {**SMALL, **RUNS[config], "placement": placement, "steps": steps}
    experiment = load_config(CONFIGS / f"{config}.py")(**parameters)
    placed = place(experiment, jax.devices()[:devices])
    key = jax.random.key(0)
    state, rows = None, []
    for batch in batches(experiment.example, steps):
        batch = placed.put(batch)
        state = placed.init(key, batch) if state is None else state
        state, scalars = placed.step(state, batch, key)
        rows.append([float(scalars[name]) for name in ("loss", "gradient_norm")])
    return np.asarray(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    lines, agree = [], True
    plans = {c: (*ARRANGEMENTS, *((TENSOR,) if "simclr" not in c else ())) for c in RUNS}
    with progress("comparing", sum(map(len, plans.values()))) as update:
        for config, plan in plans.items():
            for devices, placement in plan:
                update(len(lines), f"{config}, {devices} devices, {placement}")
                found = curve(config, devices, placement, options.steps)
                if devices == 1:
                    one = found
                apart = np.abs(found - one) / np.abs(one)
                agree &= bool((apart[0] < (1e-5, 1e-3)).all() and apart[:, 0].max() < 1e-2)
                cells = (*apart[0], *apart.max(0))
                lines.append(
                    f"{config:<16} {devices} {placement:<14} {found[-1, 0]:.6f}"
                    + "".join(f" {cell:12.1e}" for cell in cells)
                )
        update(len(lines))
    print(f"{'':<33} last loss  {'first: loss':>12} {'gradient':>12} {'all: loss':>12} gradient")
    print("\n".join(lines))
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
