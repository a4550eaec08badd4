"""Compile pretraining steps for slices of TPUs, on a machine without one, and tabulate them.

    pip install 'medjax[tpu]'
    python experiments/pretraining/topologies.py [--rows "ViT-L"] [--output topologies.json]

Each row is a call of a config, compiled as 'medjax show CONFIG --topology SLICE' does. Rows
that the output has already are kept, so that the script goes on where it was stopped. A row
takes minutes of one core, and 256 chips no longer than 16: one chip's program is compiled.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from medjax.cli.arguments import load_config
from medjax.core.errors import InputError
from medjax.core.progress import progress
from medjax.core.trees import count
from medjax.training import place
from medjax.training.ahead import Ahead, compile_ahead, tpu_slice
from medjax.training.records import read_json, write_json

HERE = Path(__file__).parent
CONFIGS = HERE.parents[1] / "configs"


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        name: of the method, network and images.
        config: file in configs.
        topology: slice.
        parameters: of the config.
    """

    name: str
    config: str
    topology: str
    parameters: dict[str, Any]

    @property
    def key(self) -> str:
        """By which the output knows it: another parameter is another row."""
        settings = " ".join(f"{k}={v}" for k, v in sorted(self.parameters.items()))
        return f"{self.config} {self.topology} {settings}"


def mae(size: str, crop: int, topology: str, batch: int, placement: str, **more: Any) -> Row:
    """A masked autoencoder on cubes."""
    parameters = {"size": size, "crop": (crop,) * 3, "batch_size": batch, "placement": placement}
    name = f"MAE ViT-{size.upper()}, {crop}³"
    return Row(name, "pretrain_mae", topology, {**parameters, **more})


def dinov2(topology: str, batch: int, placement: str) -> Row:
    """DINOv2 with ViT-L/14 on tiles."""
    parameters = {"size": "l", "batch_size": batch, "placement": placement}
    return Row("DINOv2 ViT-L/14, 224²", "pretrain_dinov2", topology, parameters)


def simclr(topology: str) -> Row:
    """SimCLR with ResNet-50 at the paper's batch."""
    return Row("SimCLR ResNet-50, 224²", "pretrain_simclr", topology, {"batch_size": 4096})


ROWS = (
    mae("b", 96, "v5e:4x4", 2048, "data"),
    mae("l", 96, "v5e:4x4", 1024, "fsdp"),
    mae("h", 96, "v5e:4x4", 1024, "fsdp"),
    mae("b", 160, "v5e:4x4", 512, "data"),
    mae("l", 160, "v5e:4x4", 256, "fsdp"),
    mae("h", 160, "v5e:4x4", 256, "fsdp"),
    mae("b", 96, "v5e:16x16", 16384, "data"),
    mae("l", 96, "v5e:16x16", 16384, "fsdp"),
    mae("h", 96, "v5e:16x16", 16384, "fsdp"),
    mae("b", 160, "v5e:16x16", 4096, "data"),
    mae("l", 160, "v5e:16x16", 4096, "fsdp"),
    mae("h", 160, "v5e:16x16", 4096, "fsdp"),
    mae("l", 160, "v4:4x4x4", 1024, "fsdp"),
    mae("h", 160, "v4:4x4x4", 1024, "fsdp"),
    mae("l", 160, "v5p:4x4x4", 2048, "fsdp"),
    mae("h", 160, "v5p:4x4x4", 2048, "fsdp"),
    mae("h", 160, "v5p:4x4x4", 2048, "fsdp+tensor:4"),
    dinov2("v5e:4x4", 256, "fsdp"),
    dinov2("v5e:16x16", 4096, "fsdp"),
    dinov2("v4:4x4x4", 1024, "fsdp"),
    dinov2("v5p:4x4x4", 2048, "fsdp"),
    simclr("v5e:4x4"),
    simclr("v5e:16x16"),
    simclr("v4:4x4x4"),
    simclr("v5p:4x4x4"),
)


def compiled(row: Row) -> dict[str, Any]:
    """What a row's step takes, as numbers for a file."""
    where = tpu_slice(row.topology)
    # Without the looks at the representation, which few steps take.
    config = load_config(CONFIGS / f"{row.config}.py")
    experiment = config(**row.parameters, monitor_every=0)
    placed = place(experiment, where.devices)
    began = time.monotonic()
    ahead = compile_ahead(placed, where)
    found = numbers(ahead)
    found["seconds to compile"] = round(time.monotonic() - began)
    found["parameters"] = count(placed.shapes.params)
    return found


def numbers(ahead: Ahead) -> dict[str, Any]:
    """Bytes, operations and seconds of a chip and a step."""
    cost = ahead.cost
    return {
        "memory": ahead.memory,
        "limit": cost.chip.memory,
        "operations": cost.flops,
        "traffic": cost.bytes,
        "collectives": {
            kind: {"count": c.count, "bytes": c.bytes, "seconds": c.seconds}
            for kind, c in cost.collectives.items()
        },
        "seconds": {
            "compute": cost.compute_seconds,
            "memory": cost.memory_seconds,
            "interconnect": cost.collective_seconds,
        },
        "share": cost.collective_share,
        "uncounted loops": cost.uncounted,
    }


def table(results: dict[str, Any]) -> str:
    """Markdown, rows in their order."""
    head = "| | slice | batch | placement | GB of | TFLOP | compute, memory, links (ms) "
    head += "| sent (MB) by kind | share |"
    lines = [head, "|---|---|--:|---|--:|--:|--:|---|--:|"]
    for row in ROWS:
        found = results.get(row.key)
        if found is None:
            continue
        placement = row.parameters.get("placement", "data")
        cells = [row.name, row.topology, f"{row.parameters['batch_size']:,}", placement]
        if "error" in found:
            lines.append(f"| {' | '.join(cells)} | {found['error']} | | | | |")
            continue
        used = sum(found["memory"].values())
        seconds = found["seconds"]
        longest = max(seconds, key=seconds.__getitem__)
        times = [
            f"**{1e3 * v:.0f}**" if k == longest else f"{1e3 * v:.0f}" for k, v in seconds.items()
        ]
        kinds = sorted(found["collectives"].items(), key=lambda item: -item[1]["bytes"])
        sent = [f"{kind} {c['bytes'] / 1e6:,.0f}" for kind, c in kinds if c["bytes"] > 5e5]
        cells += [
            f"{used / 1e9:.1f} of {found['limit'] / 1e9:.1f}",
            f"{found['operations'] / 1e12:.1f}",
            ", ".join(times),
            ", ".join(sent),
            f"{100 * found['share']:.0f} %",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default="", help="only those whose name or slice has this text")
    parser.add_argument("--output", type=Path, default=HERE / "topologies.json")
    options = parser.parse_args()
    results = read_json(options.output) if options.output.exists() else {}
    todo = [r for r in ROWS if r.key not in results and options.rows in f"{r.name} {r.topology}"]
    with progress("compiling", len(todo)) as update:
        for done, row in enumerate(todo):
            update(done, f"{row.name} on {row.topology}")
            try:
                results[row.key] = compiled(row)
            except InputError as error:
                results[row.key] = {"error": f"{error.got}, {error.expected}"}
            write_json(options.output, results)
            gc.collect()
        update(len(todo))
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
