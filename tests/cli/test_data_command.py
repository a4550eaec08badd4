"""``medjax data``: what it prints, and how it fails."""

import numpy as np
import pytest

from medjax.cli.main import run
from medjax.data import Image, write_image
from medjax.data.store import Store


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    for n in range(2):
        array = np.random.default_rng(n).normal(100, 9, (9, 8, 7)).astype(np.float32)
        write_image(
            tmp_path / f"in/s{n}.nii", Image(array, np.diag([-1, 1, 2, 1.0]), modality="MR")
        )
    return tmp_path / "in"


def ran(capsys, *arguments):
    status = run(["data", *map(str, arguments)])
    output, error = capsys.readouterr()
    return status, output, error


def test_prepare_check_and_show(source, tmp_path, capsys):
    store = tmp_path / "out"
    options = ["--spacing", 2, 2, 2, "--normalise", "ct-window", -160, 240, "--workers", 0]
    status, output, _ = ran(capsys, "prepare", source, store, *options)
    assert (status, output) == (0, f"2 prepared, 0 there already: {store}\n")
    assert Store(store).settings["normalise"] == ["ct-window", -160, 240]
    _, output, _ = ran(capsys, "prepare", source, store, *options)
    assert output == f"0 prepared, 2 there already: {store}\n"

    status, output, _ = ran(capsys, "check", store)
    assert (status, output) == (0, f"2 cases as they were written: {store}\n")
    _, output, _ = ran(capsys, "show", store)
    assert output.startswith("2 cases of 2 subjects")
    assert 'normalise: ["ct-window", -160.0, 240.0]' in output
    assert "s1" in output
    assert "4 × 4 × 7" in output


def test_damage_is_found(source, tmp_path, capsys):
    ran(capsys, "prepare", source, tmp_path / "out", "--workers", 0)
    shards = [p for p in (tmp_path / "out/data/s1/image").rglob("*") if p.is_file()]
    shard = max(shards, key=lambda path: path.stat().st_size)
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    shard.write_bytes(damaged)
    status, output, error = ran(capsys, "check", tmp_path / "out")
    assert status == 2
    assert "case s1, image" in output
    assert "got 1 of 2 damaged (s1)" in error


def test_skips_are_printed(source, tmp_path, capsys):
    (source / "s1.nii").write_bytes(b"nonsense")
    arguments = ["prepare", source, tmp_path / "out", "--workers", 0, "--on-error", "skip"]
    status, output, _ = ran(capsys, *arguments)
    assert status == 0
    assert output.startswith(f"skipped s1: {source}/s1.nii: expected")
    assert "1 prepared, 0 there already, 1 skipped" in output


def test_the_header_of_a_file(source, capsys):
    _, output, _ = ran(capsys, "show", source / "s0.nii")
    lines = dict(line.split("  ", 1) for line in output.splitlines())
    assert {name: value.strip() for name, value in lines.items()} == {
        "shape": "9 × 8 × 7",
        "type": "float32",
        "spacing": "1 × 1 × 2 mm",
        "axes run to": "L A S",
        "first voxel at": "0, 0, 0 mm (RAS)",
        "channels": "–",
        "modality": "MR",
    }


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        ran(capsys, *arguments)
    assert stop.value.code == 0
    assert "check    STORE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "data: expected one of prepare, check, show, got 'nonsense'"),
        (["prepare"], "medjax data prepare"),
        (["prepare", "/no", "out"], "/no: expected a folder of images"),
        (["prepare", "in", "out", "--spacing", "1", "2"], "--spacing: expected three lengths"),
        (["prepare", "in", "out", "--normalise", "x"], "normalise: expected one of none"),
        (["prepare", "in", "out", "--spacings", "1"], "--spacings: expected one of --spacing"),
        (["check", "nowhere"], "nowhere: expected a finished medjax store"),
        (["show", "nowhere"], "nowhere: expected an image, got nothing"),
    ],
)
def test_errors_are_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, _, error = ran(capsys, *arguments)
    assert status == 2
    assert error.startswith("medjax: error: ")
    assert error.count("\n") == 1
    assert message in error
