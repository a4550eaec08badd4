"""Patches a second from a prepared store, beside MONAI's and TorchIO's loaders.

    python experiments/benchmarks/loading.py [--peers PYTHON ...]

Each way of each library runs with 0 and with 2 workers, each in a process of its own, in
this interpreter or one named by ``--peers``; what is not installed is left out. All draw
from the same eight volumes of 256 x 256 x 192 (int16, and a label), made here. Each is
timed in turn with medjax's cached store without workers, round after round, so that what
else the machine does meets both alike; at most these two are in memory. The row of that
store beside itself should be 1, and tells how far the others can be trusted. Memory is the
proportional set size of the process and its children, so that shared pages count once
(medjax's cached ways share theirs with the store beside them, whose memory is in the end).
"""

import argparse
import contextlib
import itertools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
LOADERS = sorted(p.stem for p in (HERE / "loaders").glob("*_.py"))

FIRST = """
import sys, time
import numpy, tensorstore
from medjax.data.store import Store
started = time.perf_counter()
store = Store(sys.argv[1])
store.read(0, "image", [slice(70, 166), slice(150, 246), slice(333, 429)])
first = time.perf_counter() - started
rng = numpy.random.default_rng(0)
times = []
for start in rng.integers(0, 512 - 96, (50, 3)):
    started = time.perf_counter()
    store.read(0, "image", [slice(int(s), int(s) + 96) for s in start])
    times.append(time.perf_counter() - started)
print(1e3 * first, 1e3 * float(numpy.median(times)))
"""


def volume(rng, shape):
    """Smooth noise with some noise on it, int16, and three labels where it is greatest."""
    from scipy import ndimage

    coarse = rng.normal(size=[n // 16 for n in shape]).astype(np.float32)
    smooth = ndimage.zoom(coarse, 16, order=1)
    image = 1000 + 400 * smooth + 20 * rng.standard_normal(shape, np.float32)
    return image.astype(np.int16), np.digitize(smooth, [1.2, 1.5, 1.8]).astype(np.uint8)


def make(folder):
    import nibabel

    rng = np.random.default_rng(0)
    for number in range(8):
        arrays = volume(rng, (256, 256, 192))
        for kind, array in zip(("image", "label"), arrays, strict=True):
            image = nibabel.Nifti1Image(array, np.eye(4))
            nibabel.save(image, folder / f"case{number}_{kind}.nii")


class Worker:
    """A library in its process; ``ways`` is empty where it is not installed."""

    def __init__(self, name, interpreters):
        self.name, self.ways = name.rstrip("_"), []
        for python in interpreters:
            self.process = subprocess.Popen(
                [python, "-W", "ignore", HERE / "loaders" / "worker.py", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            if hello := self.process.stdout.readline():
                self.__dict__.update(json.loads(hello))
                return

    def ask(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline() or '{"error": "the process ended"}')

    def memory(self):
        """MB of the process and all below it."""
        return sum(map(proportional, family(self.process.pid))) / 1e6

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def family(process):
    children = Path(f"/proc/{process}/task").glob("*/children")
    found = [process]
    for path in children:
        with contextlib.suppress(OSError):
            for child in path.read_text().split():
                found += family(int(child))
    return found


def proportional(process):
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def patches(console, folder, interpreters, rounds, seconds, only):
    """Rates of every way, and of medjax's cached store in the same rounds."""
    reference = Worker("medjax_", interpreters)
    reference.ask(way="store, cache", workers=0, folder=str(folder))
    table = Table(title="patches of 96^3 with labels, in batches of 2", title_justify="left")
    for column in (
        "library",
        "way",
        "workers",
        "a second",
        "medjax beside it",
        "ratio",
        "least to most",
        "MB",
    ):
        left = column in ("library", "way")
        table.add_column(column, justify="left" if left else "right")
    versions = []
    for name in LOADERS:
        probe = Worker(name, interpreters)
        if probe.ways:
            versions.append(probe.version)
            probe.end()
        ways = [way for way in probe.ways if only in f"{name} {way}"]
        for way, workers in itertools.product(ways, (0, 2)):
            worker = Worker(name, interpreters)
            answer = worker.ask(way=way, workers=workers, folder=str(folder))
            ours, theirs, most = [], [], 0.0
            pair = [(reference, ours), (worker, theirs)]
            for number in range(rounds if "error" not in answer else 0):
                # The order alternates, so that coming first is nobody's advantage.
                for player, rates in pair if number % 2 else pair[::-1]:
                    rates.append(player.ask(seconds=seconds).get("rate", float("nan")))
                most = max(most, worker.memory())
            worker.end()
            if not theirs:
                table.add_row(name.rstrip("_"), way, str(workers), answer["error"], "", "", "", "")
                continue
            ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
            rates = f"{statistics.median(theirs):.1f}", f"{statistics.median(ours):.1f}"
            spread = f"{ratios[0]:.1f} to {ratios[-1]:.1f}"
            row = [*rates, f"{statistics.median(ratios):.1f}", spread]
            table.add_row(name.rstrip("_"), way, str(workers), *row, f"{most:.0f}")
    memory = reference.memory()
    reference.end()
    console.print("; ".join(versions), soft_wrap=True)
    console.print(table)
    console.print(f"medjax beside them: {memory:.0f} MB, its cache included")


def first_patch(console, folder, rounds):
    import nibabel

    from medjax.data.image import Image
    from medjax.data.store import Writer

    array = volume(np.random.default_rng(1), (512, 512, 512))[0]
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), folder / "large.nii")
    writer = Writer(folder / "large")
    started = time.perf_counter()
    writer.write("x", {"image": Image(array, np.eye(4))}, subject="x")
    wrote = time.perf_counter() - started
    writer.finish()
    del array
    command = [sys.executable, "-c", FIRST, folder / "large"]
    found, whole = [], []
    for _ in range(rounds):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(tuple(map(float, done.stdout.split())))
        started = time.perf_counter()
        np.asarray(nibabel.load(folder / "large.nii").get_fdata(dtype=np.float32))
        whole.append(time.perf_counter() - started)
    size = sum(p.stat().st_size for p in (folder / "large").rglob("*") if p.is_file())
    first, after = (statistics.median(f[i] for f in found) for i in (0, 1))
    fastest = min(f[0] for f in found), min(f[1] for f in found)
    console.print(
        f"a patch of 96^3 of a volume of 512^3 int16, in a new process, the store opened too: "
        f"{first:.1f} ms (fastest {fastest[0]:.1f}); each after: {after:.1f} ms (fastest "
        f"{fastest[1]:.1f}); nibabel's whole load: {1e3 * statistics.median(whole):.0f} ms; "
        f"written in {wrote:.1f} s, {size / 2 / 512**3:.2f} of the size",
        soft_wrap=True,
    )


def constant_memory(console, folder, total):
    from medjax.data import training
    from medjax.data.store import Store
    from medjax.data.volumes import Patches

    source = Patches(Store(folder / "store"), (96, 96, 96), per_volume=100)
    iterator, found = iter(training(source, batch_size=2)), []
    for drawn in range(2, total + 1, 2):
        next(iterator)
        if drawn % (total // 10) == 0:
            found.append(proportional(os.getpid()) / 1e6)
    iterator.close()
    text = ", ".join(f"{m:.0f}" for m in found)
    console.print(f"MB after each {total // 10} of {total} patches, no cache: {text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", nargs="*", default=[], help="other interpreters to look in")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each way in each round")
    parser.add_argument("--only", default="", help="ways whose library and name hold this")
    parser.add_argument("--patches", type=int, default=10_000, help="to watch the memory for")
    options = parser.parse_args()
    console = Console(width=124)
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    folder = Path(tempfile.mkdtemp(prefix="medjax-loading-"))
    try:
        make(folder)
        interpreters = [sys.executable, *options.peers]
        patches(console, folder, interpreters, options.rounds, options.seconds, options.only)
        constant_memory(console, folder, options.patches)
        first_patch(console, folder, options.rounds)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
