"""Whole slides: tiles of a 10-gigapixel slide, and its preparation, in bounded memory.

    python experiments/benchmarks/slides.py --folder SCRATCH --peers OTHER/bin/python

Makes a BigTIFF pyramid of 100,000 x 100,000 pixels in JPEG tiles of 256 (1 GB; stores of 2 GB
follow; all deleted afterwards), a third of it tissue, out of few distinct tiles. Each library
reads the same tiles of 256 x 256 at random places of level 0, in a process of its own, round
after round: with the file dropped from the page cache before each tile, and again with it
there. OTHER is a Python with whichever of cucim, tiffslide and tifffile with zarr are to be
compared. Then slides of several sizes are prepared, those parts of them that hold tissue.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import time

import numpy as np

SIZE, TILE, READS, ROUNDS, MANY = 100_000, 256, 150, 3, 10_000
HERE = ("medjax", "openslide")
THERE = ("cucim", "tiffslide", "tifffile + zarr")


def encoded(rng, colour, texture):
    """A JPEG of one tile: a colour with spots of nuclei's size."""
    import imagecodecs
    from scipy import ndimage

    spots = ndimage.gaussian_filter(rng.normal(size=(TILE, TILE)), 3)
    fine = rng.normal(size=(TILE, TILE, 1)) * texture / 4
    image = np.asarray(colour) + (spots / spots.std())[..., None] * texture + fine
    return imagecodecs.jpeg_encode(np.clip(image, 0, 255).astype(np.uint8), level=75)


def make_slide(path, size):
    """Levels by 2 down to one tile; each tile is glass or one of 16 pieces of tissue."""
    import tifffile

    rng = np.random.default_rng(0)
    glass = encoded(rng, (243, 242, 244), 0.5)
    tissue = [encoded(rng, (190 + 2 * i, 120, 170), 18) for i in range(16)]
    sizes = [size]
    while sizes[-1] > TILE:
        sizes.append(-(-sizes[-1] // 2))
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for level, edge in enumerate(sizes):
            count = -(-edge // TILE)
            at = (np.arange(count) + 0.5) * TILE / edge
            inside = np.hypot(at - 0.35, at[:, None] - 0.5) < 0.3
            inside |= np.hypot(at - 0.8, at[:, None] - 0.3) < 0.12
            tiles = (tissue[i % 16] if kept else glass for i, kept in enumerate(inside.ravel()))
            file.write(
                tiles, shape=(edge, edge, 3), dtype=np.uint8, tile=(TILE, TILE),
                compression="jpeg", photometric="ycbcr", subsampling=(2, 2), metadata=None,
                subfiletype=1 if level else 0, resolution=(40_000 / 2**level,) * 2,
                resolutionunit="CENTIMETER",
            )  # fmt: skip


def reader(name, path):
    """A library's ``read(x, y)``, and how it calls itself."""
    if name == "medjax":
        import medjax
        from medjax.data.formats.slide import open_slide

        slide = open_slide(path)
        return lambda x, y: slide.read(0, x, y, TILE, TILE), f"medjax {medjax.__version__}"
    if name == "openslide":
        import openslide

        slide = openslide.OpenSlide(path)
        title = f"OpenSlide {openslide.__library_version__}"
        return lambda x, y: np.asarray(slide.read_region((x, y), 0, (TILE, TILE))), title
    if name == "cucim":
        import cucim

        slide = cucim.CuImage(path)
        title = f"cuCIM {cucim.__version__}"
        return lambda x, y: np.asarray(slide.read_region((x, y), (TILE, TILE), 0)), title
    if name == "tiffslide":
        import tiffslide

        slide = tiffslide.TiffSlide(path)
        title = f"tiffslide {tiffslide.__version__}"
        return lambda x, y: slide.read_region((x, y), 0, (TILE, TILE), as_array=True), title
    import tifffile
    import zarr

    array = zarr.open(tifffile.imread(path, aszarr=True, level=0), mode="r")
    title = f"tifffile {tifffile.__version__}, zarr {zarr.__version__}"
    return lambda x, y: array[y : y + TILE, x : x + TILE], title


def resident():
    """MiB in memory now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def play(name, path, start):
    """Times of one library in this process, in milliseconds; prints JSON."""
    begun = time.perf_counter()
    read, title = reader(name, path)
    opened = time.perf_counter() - begun
    places = np.random.default_rng(start).integers(0, SIZE - TILE, (READS, 2)).tolist()
    read(0, 0)
    file = os.open(path, os.O_RDONLY)

    def timed(x, y, drop):
        if drop:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        begun = time.perf_counter()
        read(x, y)
        return (time.perf_counter() - begun) * 1e3

    cold = [timed(*place, True) for place in places]
    for place in places:
        read(*place)
    warm = [timed(*place, False) for place in places]
    memory = []
    if start == 0:
        more = np.random.default_rng(99).integers(0, SIZE - TILE, (MANY, 2)).tolist()
        for i, place in enumerate(more):
            if i % (MANY // 5) == 0:
                memory.append(resident())
            read(*place)
        memory.append(resident())
    print(json.dumps({"title": title, "opened": opened * 1e3, "cold": cold, "warm": warm,
                      "memory": memory}))  # fmt: skip


def compare(path, peers):
    players = [(sys.executable, name) for name in HERE]
    players += [(peers, name) for name in THERE] if peers else []
    found = {name: [] for _, name in players}
    for start in range(ROUNDS):
        for python, name in players:
            command = [python, __file__, "--play", name, "--start", str(start), str(path)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"{name} left out: {done.stderr.strip().splitlines()[-1]}")
                continue
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    print(
        f"{'':34}{'import, open':>14}{'cold tile':>11}{'95 %':>8}{'warm tile':>11}{'95 %':>8}  ms"
    )
    for runs in filter(None, found.values()):
        cold, warm = (sorted(t for run in runs for t in run[k]) for k in ("cold", "warm"))
        opened = statistics.median(run["opened"] for run in runs)
        cells = (statistics.median(cold), cold[int(len(cold) * 0.95)],
                 statistics.median(warm), warm[int(len(warm) * 0.95)])  # fmt: skip
        print(f"{runs[0]['title']:34}{opened:14.0f}{cells[0]:11.2f}{cells[1]:8.2f}"
              f"{cells[2]:11.2f}{cells[3]:8.2f}")  # fmt: skip
    print(f"MiB in memory over {MANY} tiles, at every {MANY // 5}")
    for runs in filter(None, found.values()):
        print(f"{runs[0]['title']:34}" + "".join(f"{m:8.0f}" for m in runs[0]["memory"]))


def prepare(path, target, spacing):
    """Prepare in this process and print how memory went."""
    from medjax.data.formats.slide import open_slide
    from medjax.data.slides import Tiles, prepare_slide

    with open_slide(path) as slide:
        width, height, _ = slide.levels[0]
    seen, begun = [], time.perf_counter()

    def update(done, total):
        if done >= len(seen) * total / 5:
            seen.append(resident())

    found = prepare_slide(path, target, spacing=spacing, tissue_only=True, update=update)
    seconds = time.perf_counter() - begun
    stored = sum(p.stat().st_size for p in pathlib.Path(target).rglob("*") if p.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{width} x {height} to {spacing} micrometres per pixel, where there is tissue: "
          f"{found.shards} shards, {stored / 2**20:.0f} MiB, {seconds:.0f} s")  # fmt: skip
    print(f"  MiB in memory at each fifth {' '.join(f'{m:.0f}' for m in seen)}, peak {peak:.0f}")
    tiles = Tiles([target], size=TILE, level=0)
    order = np.random.default_rng(0).integers(0, len(tiles), 300)
    times = []
    for i in order.tolist():
        begun = time.perf_counter()
        tiles[i]
        times.append((time.perf_counter() - begun) * 1e3)
    print(f"  one of its {len(tiles)} tiles: {statistics.median(times):.2f} ms", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("slides"))
    parser.add_argument("--peers")
    parser.add_argument("--play")
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--prepare", nargs=2)
    arguments = parser.parse_args()
    if arguments.play:
        play(arguments.play, arguments.path, arguments.start)
    elif arguments.prepare:
        target, spacing = arguments.prepare
        prepare(arguments.path, target, float(spacing))
    else:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        try:
            begun = time.perf_counter()
            path = arguments.folder / "slide.tif"
            make_slide(path, SIZE)
            size = path.stat().st_size / 2**20
            print(f"{SIZE} x {SIZE}, {size:.0f} MiB, made in {time.perf_counter() - begun:.0f} s")
            compare(path, arguments.peers)
            for part, spacing in ((8, 0.25), (4, 0.25), (2, 0.25), (1, 1.0)):
                make_slide(path, SIZE // part)
                target = arguments.folder / "store.zarr"
                shutil.rmtree(target, ignore_errors=True)
                command = [sys.executable, __file__, str(path)]
                subprocess.run([*command, "--prepare", str(target), str(spacing)], check=True)
        finally:
            shutil.rmtree(arguments.folder)


if __name__ == "__main__":
    main()
