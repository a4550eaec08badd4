"""The launchers: what they start on each host, and what they do when it ends.

In the place of medjax, Slurm, XPK and gcloud are scripts that write down how they were called.
`training/test_hosts.py` has processes that really meet.
"""

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[1] / "experiments" / "pretraining" / "launch"
CALL = ["config.py", "--run", "runs/a run", "--steps", "3"]


def script(path, text):
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def started(tmp_path):
    """``started(name, medjax's lines, ...)`` runs a launcher and gives the process."""
    calls = tmp_path / "calls"
    calls.mkdir()
    note = f'{{ printf "%q " "$@"; echo; }} > {calls}'

    def start(name, then="exit 0", tools=(), **variables):
        medjax = script(tmp_path / "medjax", f"{note}/$$\n{then}")
        for tool in tools:
            script(tmp_path / tool, f"{note}/{tool}")
        if "scontrol" in tools:
            script(
                tmp_path / "srun",
                'started=()\nfor i in $(seq "$SLURM_NTASKS"); do "$@" & started+=($!); done\n'
                'for process in "${started[@]}"; do wait "$process" || status=$?; done\n'
                "exit ${status:-0}",
            )
        path = f"{tmp_path}:{os.environ['PATH']}"
        return subprocess.Popen(
            [LAUNCH / name, *CALL],
            env={**os.environ, "MEDJAX": str(medjax), "PATH": path, **variables},
        )

    start.calls = lambda: {p.name: shlex.split(p.read_text()) for p in calls.iterdir()}
    return start


@pytest.mark.parametrize("count", [1, 2, 4])
def test_local_processes_know_each_other_by_number(started, count):
    process = started("local.sh", PROCESSES=str(count), PORT="29555")
    assert process.wait() == 0
    calls = sorted(started.calls().values())
    hosts = ["--coordinator", "127.0.0.1:29555", "--process-count", str(count), "--process-index"]
    wanted = [["train", *CALL, *hosts, str(i)] for i in range(count)]
    assert calls == (wanted if count > 1 else [["train", *CALL]])


def test_a_local_process_that_fails_is_the_status(started):
    assert started("local.sh", 'if [ "${@: -1}" = 1 ]; then exit 7; fi', PROCESSES="3").wait() == 7


def test_a_signal_reaches_all_local_processes(started):
    patient = "trap 'exit 143' TERM\nwhile true; do sleep 0.05; done"
    process = started("local.sh", patient, PROCESSES="2")
    while len(started.calls()) < 2:
        time.sleep(0.02)
    time.sleep(0.2)  # until they listen
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 143


@pytest.mark.parametrize("status", [0, 143, 2])
def test_slurm_queues_a_job_anew_where_it_was_stopped_alone(started, status):
    slurm = {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "77"}
    process = started("slurm.sh", f"exit {status}", ("scontrol",), **slurm)
    assert process.wait() == status
    calls = started.calls()
    assert calls.pop("scontrol", None) == (["requeue", "77"] if status == 143 else None)
    assert [*calls.values()] == [["train", *CALL, "--coordinator", "auto"]] * 4


def test_clouds_get_one_command_for_every_host(started):
    names = {"NAME": "one", "CLUSTER": "pods", "TPU_TYPE": "v5litepod-16", "IMAGE": "r/medjax:1"}
    assert started("gke.sh", tools=("xpk",), **names).wait() == 0
    assert started("tpu_vm.sh", tools=("gcloud",), TPU="one", ZONE="us-west4-a").wait() == 0
    calls = started.calls()
    xpk, gcloud = calls["xpk"], calls["gcloud"]
    assert xpk[:2] == ["workload", "create"]
    assert xpk[xpk.index("--docker-image") + 1] == "r/medjax:1"
    assert "--project" not in xpk
    command = shlex.split(xpk[xpk.index("--command") + 1])
    assert command[1:] == ["train", *CALL, "--coordinator", "auto"]
    assert gcloud[gcloud.index("--worker") + 1] == "all"
    _, _, command = gcloud[gcloud.index("--command") + 1].partition("&& ")
    assert shlex.split(command) == [".venv/bin/medjax", "train", *CALL, "--coordinator", "auto"]
