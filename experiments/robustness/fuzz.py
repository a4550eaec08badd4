"""Read ten thousand damaged files of every format, and count what happens.

    python experiments/robustness/fuzz.py [--files 10000] [--seed 0] [--formats nifti png ...]

A whole file of each kind is written, damaged in one of ten ways that its number decides,
and read in a process of its own with 4 GiB of memory and 20 seconds a file. A file may be
refused with an `InputError` that names it, or be read: as it was, or changed, where the
damage hit values that no checksum guards. Anything else is a fault and is listed: another
exception or a warning, a crash, a hang. Exit status 1 if there is any.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import PIL.Image

KINDS = {
    "nifti": "a.nii",
    "nifti.gz": "a.nii.gz",
    "dicom": "a",  # a folder, of whose files one is damaged
    "nrrd": "a.nrrd",
    "nrrd.raw": "raw.nrrd",
    "metaimage": "a.mha",
    "metaimage.raw": "a.mhd",
    "png": "a.png",
    "jpeg": "a.jpg",
    "tiff": "a.tif",
    "ome_tiff": "a.ome.tif",
    "ome_zarr": "a.zarr",
    "fastmri": "k.h5",
    "ismrmrd": "r.h5",
    "bart": "k.cfl",
    "slide": "s.tiff",
    "store": "store",
}
SECONDS, MEMORY = 20, 4 << 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind, folder, start, stop = options.worker
        return work(kind, Path(folder), int(start), int(stop), options.seed)
    each = -(-options.files // len(options.formats))
    total, faults = 0, []
    print(f"{'format':14}  files  refused  as before  changed  faults")
    for kind in options.formats:
        counts, found = fuzz(kind, each, options.seed)
        total, faults = total + each, faults + found
        numbers = [counts[name] for name in ("refused", "same", "changed", "fault")]
        print(
            f"{kind:14}  {each:5}  {numbers[0]:7}  {numbers[1]:9}  {numbers[2]:7}  {numbers[3]:6}"
        )
    print(f"{total} files, {len(faults)} faults")
    for fault in faults:
        print("  " + fault)
    return bool(faults)


def fuzz(kind: str, count: int, seed: int) -> tuple[collections.Counter[str], list[str]]:
    """What happened to ``count`` damaged files of one kind."""
    counts, faults, done = collections.Counter(), [], 0
    with tempfile.TemporaryDirectory() as folder:
        while done < count:
            command = [sys.executable, __file__, "--seed", str(seed)]
            command += ["--worker", kind, folder, str(done), str(count)]
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as process:
                last = None
                while True:
                    ready, _, _ = select.select([process.stdout], [], [], 3 * SECONDS)
                    line = process.stdout.readline() if ready else None
                    if not line:
                        break
                    last = json.loads(line)
                    counts[last["outcome"]] += 1
                    done = last["number"] + 1
                    if last["outcome"] == "fault":
                        faults.append(f"{kind} {last['number']}: {last['text']}")
                process.kill()
                _, said = process.communicate()
            if done < count:
                how = f"ended by {process.returncode}" if line == "" else "hung"
                if last is None and line == "" and done == 0:
                    raise SystemExit(f"{kind}: {said[-2000:]}")
                counts["fault"] += 1
                faults.append(f"{kind} {done}: {how}: {said.strip()[-300:]}")
                done += 1
    return counts, faults


def work(kind: str, folder: Path, start: int, stop: int, seed: int) -> int:
    """Damage and read files, a line of JSON each."""
    import resource

    warnings.simplefilter("error")
    whole, damaged = folder / "whole", folder / "damaged"
    if not whole.exists():
        whole.mkdir()
        write(kind, whole)
    path = damaged / KINDS[kind]
    before = seen(kind, whole / KINDS[kind])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, late)
    for number in range(start, stop):
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(whole, damaged)
        rng = np.random.default_rng((seed, list(KINDS).index(kind), number))
        files = sorted(p for p in damaged.rglob("*") if p.is_file())
        victim = files[rng.integers(len(files))]
        how = damage(victim, rng)
        signal.alarm(SECONDS)
        outcome, text = read(kind, path, before)
        signal.alarm(0)
        text = f"{how} of {victim.name}: {text}"
        print(json.dumps({"number": number, "outcome": outcome, "text": text}), flush=True)
    return 0


def late(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def read(kind: str, path: Path, before: list[np.ndarray]) -> tuple[str, str]:
    """``refused``, ``same``, ``changed`` or ``fault``, and what was said."""
    from medjax.core.errors import InputError

    try:
        after = seen(kind, path)
    except InputError as error:
        text = str(error)
        named = str(path) in text or str(path.parent) in text
        good = named and "\n" not in text and len(text) < 1000
        return ("refused" if good else "fault"), text
    except Exception as error:
        return "fault", f"{type(error).__name__}: {error}"
    same = len(before) == len(after) and all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(before, after, strict=True)
    )
    bad = [a for a in after if a.dtype.kind in "fc" and not np.isfinite(a).all()]
    if bad:
        return "fault", "read to values that are not finite"
    return ("same" if same else "changed"), ""


def damage(path: Path, rng: np.random.Generator) -> str:
    """Damage a file in one of ten ways."""
    content = bytearray(path.read_bytes())
    size = len(content)
    place = int(rng.integers(max(size, 1)))
    start = int(rng.integers(min(size, 600) or 1))  # in a header, most often
    ways = [
        "cut",
        "flip",
        "flips",
        "zeros",
        "ones",
        "number",
        "header_flips",
        "repeat",
        "lose",
        "junk",
    ]
    way = str(rng.choice(ways))
    if size < 16:
        way = "junk"
    if way == "cut":
        content = content[:place]
    elif way == "flip":
        content[place] ^= 1 << int(rng.integers(8))
    elif way in ("flips", "header_flips"):
        for _ in range(int(rng.integers(2, 20))):
            at = int(rng.integers(min(size, 600) if way == "header_flips" else size))
            content[at] ^= 1 << int(rng.integers(8))
    elif way in ("zeros", "ones"):
        length = min(int(rng.integers(1, 64)), size - place)
        content[place : place + length] = (b"\0" if way == "zeros" else b"\xff") * length
    elif way == "number":
        form = str(rng.choice(["<h", "<i", "<q", "<f", "<d", ">h", ">i", ">q", ">f", ">d"]))
        values = [-1, 0, 1, 2**15 - 1, 2**31 - 1, 2**62, float("nan"), float("inf"), 1e30]
        value = values[int(rng.integers(len(values)))]
        try:
            packed = struct.pack(form, value if form[1] in "fd" else int(value))
        except (struct.error, OverflowError, ValueError):
            packed = b"\xff" * struct.calcsize(form)
        start = min(start, size - len(packed))
        content[start : start + len(packed)] = packed
    elif way == "repeat":
        length = int(rng.integers(1, 200))
        content[place:place] = content[place : place + length]
    elif way == "lose":
        del content[place : place + int(rng.integers(1, 200))]
    else:
        content = bytearray(rng.bytes(int(rng.integers(0, 400))))
    path.write_bytes(content)
    return way


def write(kind: str, folder: Path) -> None:
    """A whole file of a kind."""
    from medjax import data

    path, rng = folder / KINDS[kind], np.random.default_rng(0)
    affine = np.array([[1.5, 0.2, 0, -3], [-0.2, 1.5, 0, 4], [0, 0, 2.0, 7], [0, 0, 0, 1]])
    volume = rng.integers(-50, 900, (12, 10, 8)).astype(np.int16)
    flat = rng.integers(0, 255, (24, 20, 3)).astype(np.uint8)
    colours = ("red", "green", "blue")
    if kind == "png":
        data.write_image(path, data.Image(flat, np.eye(4), colours))
    elif kind == "jpeg":
        PIL.Image.fromarray(flat).save(path)
    elif kind == "metaimage.raw":
        volume.T.tofile(folder / "a.raw")
        size = " ".join(map(str, volume.shape))
        path.write_text(
            f"ObjectType = Image\nNDims = 3\nDimSize = {size}\nElementSpacing = 1 1 2\n"
            "ElementType = MET_SHORT\nElementByteOrderMSB = False\nElementDataFile = a.raw\n"
        )
    elif kind == "dicom":
        upright = np.diag([1.5, 1.5, 2.0, 1.0])
        data.write_image(path, data.Image(volume, upright, modality="MR"))
    elif kind == "nrrd.raw":
        import nrrd

        nrrd.write(str(path), volume, {"space directions": np.eye(3), "encoding": "raw"})
    elif kind in ("fastmri", "bart", "ismrmrd"):
        kspace = rng.standard_normal((3, 2, 16, 12)).astype(np.complex64)
        if kind == "fastmri":
            data.write_kspace(path, kspace)
        elif kind == "bart":
            data.write_cfl(path, kspace[0].transpose(1, 2, 0)[:, :, None])
        else:
            here = Path(__file__).parents[2] / "tests" / "reference" / "ismrmrd_cartesian.h5"
            shutil.copy(here, path)
    elif kind == "slide":
        import tifffile

        picture = rng.integers(0, 255, (512, 640, 3)).astype(np.uint8)
        with tifffile.TiffWriter(path) as tiff:
            options = {"tile": (128, 128), "photometric": "rgb", "compression": "jpeg"}
            tiff.write(picture, subifds=0, **options)
            tiff.write(picture[::2, ::2], subfiletype=1, **options)
    elif kind == "store":
        write_store(path, volume, affine)
    else:
        data.write_image(path, data.Image(volume, affine))


def write_store(path: Path, volume: np.ndarray, affine: np.ndarray) -> None:
    """A prepared store of one case."""
    from medjax import data
    from medjax.data.store import Writer

    writer = Writer(path)
    label = data.Image((volume > 400).astype(np.uint8), affine)
    writer.write("a", {"image": data.Image(volume, affine), "label": label}, subject="a")
    writer.finish()


def seen(kind: str, path: Path) -> list[np.ndarray]:
    """All that one can see of a file."""
    from medjax import data
    from medjax.data.host import require_finite

    if kind == "slide":
        from medjax.data.formats.slide import open_slide

        with open_slide(path) as slide:
            levels = np.asarray([(n.width, n.height) for n in slide.levels])
            return [levels, slide.read(0, 0, 0, 640, 512)]
    if kind == "store":
        from medjax.data.store import Store

        store = Store(path)
        return [store.read(0, "image"), store.read(0, "label")]
    if kind in ("fastmri", "ismrmrd", "bart"):
        scan = data.read_scan(path)
        require_finite(path, scan.kspace)  # as its readers do: BART's samples are mapped
        return [np.asarray(scan.kspace), np.asarray(scan.spacing)]
    known, image = data.read_header(path), data.read_image(path)
    if known.shape != image.array.shape or known.dtype != image.array.dtype:
        raise RuntimeError("header and image do not agree")
    return [image.array, image.affine]


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    sys.exit(main())
