import functools
import json
import operator
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data.prepare import (
    Normalisation,
    Outcome,
    Settings,
    prepare,
    read_record,
    to_source_grid,
)
from medjax.data.prepare.workers import outcomes
from medjax.data.store import Store

SETTINGS = Settings(spacing=(1.5, 1.5, 1.5), crop=True, normalise=Normalisation("zscore"))


@pytest.fixture
def source(scan, labels, tmp_path):
    """A manifest of five scans of three subjects, four of them with labels."""
    lines = ["id,subject,image,label,split,age"]
    for n in range(5):
        scan(f"in/{n}.nii.gz", seed=n)
        scan(f"in/label{n}.nii.gz", labels)
        label = "" if n == 3 else f"in/label{n}.nii.gz"
        split = "test" if n == 4 else "train"
        lines.append(f"c{n},s{n // 2},in/{n}.nii.gz,{label},{split},{30 + n}")
    (tmp_path / "set.csv").write_text("\n".join(lines))
    return tmp_path / "set.csv"


def contents(store):
    files = (p for p in Path(store).rglob("*") if p.is_file())
    return {p.relative_to(store).as_posix(): p.read_bytes() for p in files}


def test_what_is_in_the_store(source, tmp_path, labels):
    outcome = prepare(source, tmp_path / "out", SETTINGS, workers=0)
    assert outcome == Outcome("manifest", 5, 0, {}, 0)
    store = Store(tmp_path / "out")
    assert [(c.id, c.subject) for c in store.cases] == [
        ("c0", "s0"), ("c1", "s0"), ("c2", "s1"), ("c3", "s1"), ("c4", "s2"),
    ]  # fmt: skip
    assert dict(store.case("c4").attributes) == {"age": 34, "split": "test"}
    assert set(store.case("c3").entries) == {"image"}
    label = store.read("c1", "label")
    assert set(np.unique(label)) <= {0, 1, 7}
    assert store.entry("c1", "image").spacing == (1.5, 1.5, 1.5)
    assert abs(store.read("c1", "image").mean()) < 0.1
    assert not store.check()
    undone = to_source_grid(label, read_record(tmp_path / "out", "c1"), labels=True)
    assert undone.array.shape == labels.shape
    with pytest.raises(InputError, match="c9: expected a prepared case"):
        read_record(tmp_path / "out", "c9")


def test_any_number_of_workers_gives_the_same_bits(source, tmp_path):
    prepare(source, tmp_path / "0" / "out", SETTINGS, workers=0)
    prepare(source, tmp_path / "2" / "out", SETTINGS, workers=2)
    assert contents(tmp_path / "0" / "out") == contents(tmp_path / "2" / "out")


KILLED = """
import os, signal, sys
from medjax.data.prepare import Normalisation, Settings, prepare, run

if __name__ == "__main__":
    where, count = sys.argv[3], [0]
    target = {"case": (run.Writer, "write"), "record": (run, "write_record")}[where]
    original = getattr(*target)
    def third(*arguments, **options):
        count[0] += 1
        if count[0] == 3:
            if where == "case":
                arguments[0]._write_array("", "data/c2/image/", arguments[2]["image"].array, 3)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)
    setattr(*target, third)
    settings = Settings(spacing=(1.5, 1.5, 1.5), crop=True, normalise=Normalisation("zscore"))
    prepare(sys.argv[1], sys.argv[2], settings, workers=0)
"""


@pytest.mark.parametrize("where", ["case", "record"])
def test_killed_and_gone_on_equals_uninterrupted_bit_for_bit(source, tmp_path, where):
    """Killed with half of a case's arrays written; between a case and its record."""
    (tmp_path / "killed.py").write_text(KILLED)
    store = tmp_path / "killed" / "out"
    command = [sys.executable, tmp_path / "killed.py", source, store, where]
    ended = subprocess.run(command, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    with pytest.raises(InputError, match="expected a finished medjax store"):
        Store(store)
    outcome = prepare(source, store, SETTINGS, workers=0)
    assert (outcome.prepared, outcome.kept) == (3, 2)
    prepare(source, tmp_path / "whole" / "out", SETTINGS, workers=0)
    assert contents(store) == contents(tmp_path / "whole" / "out")


def test_a_second_run_reads_no_voxel_and_writes_nothing(source, tmp_path, monkeypatch):
    prepare(source, tmp_path / "out", SETTINGS, workers=0)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    monkeypatch.setattr("medjax.data.prepare.run.prepare_case", None)
    assert prepare(source, tmp_path / "out", SETTINGS, workers=0) == Outcome(
        "manifest", 0, 5, {}, 0
    )
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before


def test_a_changed_file_is_prepared_anew_and_alone(source, scan, tmp_path):
    prepare(source, tmp_path / "out", SETTINGS, workers=0)
    old = Store(tmp_path / "out")
    scan("in/2.nii.gz", seed=77)
    outcome = prepare(source, tmp_path / "out", SETTINGS, workers=0)
    assert (outcome.prepared, outcome.kept) == (1, 4)
    new = Store(tmp_path / "out")
    differ = [
        c.id for c in old.cases if c.entries["image"].checksum != new.entry(c.id, "image").checksum
    ]
    assert differ == ["c2"]


def test_what_a_manifest_says_of_a_case_is_kept_up_to_date(source, tmp_path):
    prepare(source, tmp_path / "out", SETTINGS, workers=0)
    source.write_text(source.read_text().replace("c3,s1", "c3,s9"))
    outcome = prepare(source, tmp_path / "out", SETTINGS, workers=0)
    assert (outcome.prepared, outcome.kept) == (1, 4)
    assert Store(tmp_path / "out").case("c3").subject == "s9"


def test_other_settings_are_refused_by_name(source, tmp_path):
    prepare(source, tmp_path / "out", SETTINGS, workers=0)
    message = r"out: expected normalise \['zscore'\], as the store was begun with .* got \['none'\]"
    with pytest.raises(InputError, match=message):
        prepare(source, tmp_path / "out", Settings(spacing=(1.5,) * 3, crop=True), workers=0)
    with pytest.raises(InputError, match="expected a new or empty folder, or a prepared store"):
        prepare(source, tmp_path / "in", SETTINGS, workers=0)


def test_a_first_try_that_failed_binds_nobody(source, scan, tmp_path):
    scan("in/0.nii.gz", np.full((4, 4, 4), 5, np.int16))
    with pytest.raises(InputError, match="expected the grid of its image"):
        prepare(source, tmp_path / "out", SETTINGS, workers=0)
    prepare(source, tmp_path / "out", Settings(resample_labels=True), workers=0)


def test_cases_of_another_source_stay(source, scan, tmp_path):
    prepare(source, tmp_path / "out", SETTINGS, workers=0)
    scan("more/x.nii.gz", seed=9)
    outcome = prepare(tmp_path / "more", tmp_path / "out", SETTINGS, workers=0)
    assert (outcome.prepared, outcome.kept, outcome.others) == (1, 0, 5)
    assert len(Store(tmp_path / "out")) == 6


def test_median_spacing_and_histogram_are_decided_once_and_kept(source, scan, tmp_path):
    settings = Settings(spacing="median", normalise=Normalisation("histogram"))
    prepare(source, tmp_path / "out", settings, workers=0)
    plan = Store(tmp_path / "out").settings["plan"]
    assert plan["spacing"] == [1, 1, 1]
    landmarks = plan["landmarks"][""]
    assert (landmarks[0], landmarks[-1]) == (0, 100)
    assert (np.diff(landmarks) > 0).all()
    scan("more/x.nii.gz", affine=np.diag([3, 3, 3, 1.0]), seed=9)
    prepare(tmp_path / "more", tmp_path / "out", settings, workers=0)
    store = Store(tmp_path / "out")
    assert store.settings["plan"] == plan
    assert store.entry("x", "image").shape == (27, 24, 21)


def test_only_training_cases_teach_the_histogram(source, scan, tmp_path):
    settings = Settings(normalise=Normalisation("histogram"))
    prepare(source, tmp_path / "a", settings, workers=0)
    scan("in/4.nii.gz", np.random.default_rng(0).gamma(1, 9, (9, 8, 7)).astype(np.float32))
    prepare(source, tmp_path / "b", settings, workers=0)
    one, two = (Store(tmp_path / name).settings["plan"]["landmarks"] for name in "ab")
    assert one == two


def test_an_error_stops_and_what_was_done_is_kept(source, tmp_path):
    (tmp_path / "in/3.nii.gz").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"3\.nii\.gz: expected"):
        prepare(source, tmp_path / "out", SETTINGS, workers=0)
    outcome = prepare(source, tmp_path / "out", SETTINGS, workers=0, on_error="skip")
    assert (outcome.prepared, outcome.kept, list(outcome.skipped)) == (1, 3, ["c3"])


def test_skips_are_counted_and_listed(source, tmp_path):
    (tmp_path / "in/1.nii.gz").unlink()
    (tmp_path / "in/3.nii.gz").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"1\.nii\.gz: expected a file of case c1"):
        prepare(source, tmp_path / "out", SETTINGS, workers=0)
    outcome = prepare(source, tmp_path / "out", SETTINGS, workers=0, on_error="skip")
    assert (outcome.prepared, list(outcome.skipped)) == (3, ["c1", "c3"])
    told = json.loads((tmp_path / "out/report.json").read_text())
    assert list(told["skipped"]) == ["c1", "c3"]
    # A folder may be a person's: the report has case ids and files' names alone.
    assert str(tmp_path) in outcome.skipped["c1"]
    assert str(tmp_path) not in (tmp_path / "out/report.html").read_text()
    assert told["skipped"]["c1"].startswith("1.nii.gz: expected a file of case c1")
    assert [c.id for c in Store(tmp_path / "out").cases] == ["c0", "c2", "c4"]


def test_a_source_without_one_good_case_is_an_error(scan, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.nii.gz").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="expected a case that can be prepared, got 1 skipped"):
        prepare(tmp_path / "in", tmp_path / "out", workers=0, on_error="skip")


def test_a_killed_worker_is_named_and_another_takes_its_place():
    items, names = [0, signal.SIGKILL, 0, 0], ["a", "b", "c", "d"]
    found = dict(outcomes(signal.raise_signal, items, names, workers=1))
    assert [found[n] for n in (0, 2, 3)] == [None] * 3
    assert str(found[1]) == (
        "b: expected its worker process to live (memory may be short: fewer --workers), "
        "got a worker ended by SIGKILL"
    )


def test_a_bug_in_a_worker_shows_its_traceback():
    with pytest.raises(RuntimeError, match=r"x: Traceback[\s\S]*ZeroDivisionError"):
        list(outcomes(functools.partial(operator.truediv, 1), [0], ["x"], workers=1))


def test_errors_of_disk_and_memory_name_the_case():
    (_, gone), (_, full) = outcomes(
        _fail, [OSError(2, "gone", "/no/where"), MemoryError()], "ab", 0
    )
    assert str(gone) == "/no/where: expected a file that works, got gone"
    assert str(full) == "b: expected memory for its voxels, got none left"


def _fail(error):
    raise error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_error": "x"}, "on_error: expected one of stop, skip"),
        ({"workers": -1}, "workers: expected a number of at least 0"),
        ({"dataset": "brast"}, "data set: expected one of"),
    ],
)
def test_arguments_that_cannot_be(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        prepare(tmp_path, tmp_path / "out", **options)


def test_slides_become_pyramids_of_their_own(tmp_path):
    pytest.importorskip("tifffile")
    pytest.importorskip("pydicom")
    import slide_files

    (tmp_path / "in").mkdir()
    images = slide_files.pyramid(slide_files.noise(512, 256), levels=1)
    slide_files.write_tiff(tmp_path / "in/a.svs", images, spacing=0.5)
    arguments = {"store": tmp_path / "out", "workers": 1}
    assert prepare(tmp_path / "in", **arguments) == Outcome("slides", 1, 0, {}, 0)
    assert prepare(tmp_path / "in", **arguments) == Outcome("slides", 0, 1, {}, 0)
    assert (tmp_path / "out/a.zarr/zarr.json").is_file()
    with pytest.raises(InputError, match="settings: expected for slides, a spacing alone"):
        prepare(tmp_path / "in", tmp_path / "out", SETTINGS)
    (tmp_path / "in/b.svs").write_bytes(b"nonsense")
    assert list(prepare(tmp_path / "in", **arguments, on_error="skip").skipped) == ["b"]
