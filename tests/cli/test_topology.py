"""Training steps compile for TPU slices on a machine without one, and fit what they say."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFIGS = Path(__file__).parents[2] / "configs"

SMALL = {
    "mri_unrolled": ["--cascades", "1", "--features", "8", "16", "--size", "32", "32"],
    "pretrain_mae": [
        *["--size", "ti", "--crop", "32", "32", "32", "--decoder-width", "64", "--decoder-depth"],
        *["2", "--batch-size", "64", "--placement", "fsdp"],
    ],
}


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs the extra 'tpu'")
@pytest.mark.parametrize("config", SMALL)
def test_a_step_compiles_for_v5e(config):
    command = [sys.executable, "-m", "medjax", "show", str(CONFIGS / f"{config}.py")]
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    done = subprocess.run(
        [*command, *SMALL[config], "--topology", "v5e:2x2"],
        capture_output=True,
        text=True,
        env={**environment, "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    if config == "mri_unrolled":
        assert "batch_size 2 does not divide over 4 chips: shown for 4" in done.stdout

    def number(what):
        found = re.search(rf"^ *{what} +([\d,]+) (?:bytes|of)", done.stdout, re.MULTILINE)
        return int(found[1].replace(",", ""))

    assert "bytes, fits into 17,179,869,184" in done.stdout
    assert 10_000 < number("arguments") < number("memory")
    assert number("operations") > 10_000
    assert number("memory traffic") > 10_000
    assert "no step is faster than" in done.stdout
    if config == "pretrain_mae":
        # Parameters are sent, gathered twice and added up once, not activations: what all
        # chips hold together is 5.6 million numbers, and 16 samples a chip have more.
        total = int(re.search(r"^parameters: ([\d,]+)", done.stdout, re.M)[1].replace(",", ""))
        assert number("all-gather") > 0
        assert total < number("between chips") < 3 * 4 * total
