"""Hosts that meet: batches by the part, checkpoints by all, and other numbers of hosts after."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
from training.host import SHAPES, Position, values

from medjax.training import Checkpoints, Placement
from medjax.training.checkpoint import abstract

HERE = Path(__file__).parent
LOCAL = HERE.parents[1] / "experiments" / "pretraining" / "launch" / "local.sh"


def run(folder, processes, devices, action, placement):
    """Start the processes by the launcher, in the place of 'medjax' what `host.py` does."""
    command = folder / "medjax"
    command.write_text(f'#!/bin/bash\nexec {sys.executable} {HERE / "host.py"} "$@"\n')
    command.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {"MEDJAX": command, "PROCESSES": processes, "DEVICES": devices, "PORT": port}
    done = subprocess.run(
        [LOCAL, action, folder / "checkpoints", placement],
        env={**os.environ, **{name: str(value) for name, value in variables.items()}},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_saved_by_two_hosts_restored_by_four_and_by_one(tmp_path):
    run(tmp_path, 2, 4, "save", "data+fsdp:4")
    run(tmp_path, 4, 1, "restore", "fsdp:2+tensor:2")
    one = Placement.parse("fsdp")
    shapes = abstract(SHAPES, one.state(one.mesh(jax.devices()[:1]), SHAPES))
    position = Position()
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.latest == 2
        state = checkpoints.restore(2, shapes, position)
    assert position.at == 2
    jax.tree.map(np.testing.assert_array_equal, state, values())
