"""A run on several hosts: stopped on one of them, continued by other numbers of hosts.

    python experiments/robustness/hosts.py [--steps 60]

Trains the demo's config at a small size, fully sharded, and compares the final states with
that of one process with one device. The hosts are processes on this machine, with simulated
devices, that find each other by jax.distributed. Then the launchers of
experiments/pretraining/launch start two and four of them: local.sh as it is, slurm.sh with an
`srun` that sets the variables which Slurm's would.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from devices import SIZE
from kill import CONFIG, ROOT, compare, final_step

LAUNCH = ROOT / "experiments" / "pretraining" / "launch"
MEDJAX = Path(sys.executable).parent / "medjax"

SRUN = """#!/bin/bash
# Starts $SLURM_NTASKS processes here, as srun does on the nodes of a job.
started=()
for index in $(seq 0 $((SLURM_NTASKS - 1))); do
    SLURM_PROCID=$index SLURM_LOCALID=$index "$@" &
    started+=($!)
done
status=0
for process in "${started[@]}"; do wait "$process" || status=$?; done
exit "$status"
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def environment(devices: int, **more: str) -> dict[str, str]:
    flags = f"--xla_force_host_platform_device_count={devices}"
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, **more}


def started(run: Path, processes: int, devices: int, more: list[str]) -> list[subprocess.Popen]:
    """The run's processes, by hand."""
    hosts = ["--coordinator", f"127.0.0.1:{free_port()}", "--process-count", str(processes)]
    command = [str(MEDJAX), "train", str(CONFIG), "--run", str(run), *more]
    return [
        subprocess.Popen(
            [*command, *(hosts if processes > 1 else []), *index],
            cwd=ROOT,
            env=environment(devices),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for index in (
            [["--process-index", str(i)] for i in range(processes)] if processes > 1 else [[]]
        )
    ]


def launched(script: str, run: Path, processes: int, more: list[str], tools: Path) -> int:
    """The exit status of one of the launchers."""
    variables = {
        "MEDJAX": str(MEDJAX),
        "PROCESSES": str(processes),
        "PORT": str(free_port()),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "SLURM_JOB_ID": str(free_port()),  # the coordinator's port is made of it
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": str(processes),
    }
    done = subprocess.run(
        [str(LAUNCH / script), str(CONFIG), "--run", str(run), *more],
        cwd=ROOT,
        env=environment(1, **variables),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        print(done.stderr[-2000:])
    return done.returncode


def stopped(run: Path, processes: int, devices: int, more: list[str]) -> list[int]:
    """Exit statuses after SIGTERM to the last of the processes, past the first checkpoint."""
    group = started(run, processes, devices, more)
    while final_step(run) is None and all(p.poll() is None for p in group):
        time.sleep(0.1)
    group[-1].send_signal(signal.SIGTERM)
    return [process.wait() for process in group]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    more = [*SIZE, "--steps", str(options.steps), "--optimizer", "sgd", "--learning-rate", "0.03"]
    more += ["--placement", "fully_sharded", "--checkpoint-every", "5"]
    folder = Path(tempfile.mkdtemp(prefix="medjax-hosts-"))
    tools = folder / "tools"
    tools.mkdir()
    (tools / "srun").write_text(SRUN)
    (tools / "srun").chmod(0o755)
    good = True

    def report(name: str, status: int, run: Path) -> None:
        nonlocal good
        worst, leaves = compare(folder / "one", run) if status == 0 else (float("inf"), 0)
        good &= worst <= 1e-5
        text = f"largest difference {worst:.1e} over {leaves} leaves"
        print(f"{name}: {text if status == 0 else f'failed with {status}'}", flush=True)

    report("1 process x 1 device", started(folder / "one", 1, 1, more)[0].wait(), folder / "one")
    statuses = stopped(folder / "two", 2, 4, more)
    good &= statuses == [143, 143]
    print(f"2 processes x 4 devices, SIGTERM to one: statuses {statuses}, ", end="")
    print(f"saved at step {final_step(folder / 'two')} of {options.steps}", flush=True)
    shutil.copytree(folder / "two", folder / "four")
    status = started(folder / "two", 1, 1, more)[0].wait()
    report("  continued by 1 process x 1 device", status, folder / "two")
    status = max(p.wait() for p in started(folder / "four", 4, 1, more))
    report("  continued by 4 processes x 1 device", status, folder / "four")
    for script in ("local.sh", "slurm.sh"):
        for processes in (2, 4):
            run = folder / f"{script}{processes}"
            status = launched(script, run, processes, more, tools)
            report(f"{script}, {processes} processes", status, run)
    shutil.rmtree(folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
