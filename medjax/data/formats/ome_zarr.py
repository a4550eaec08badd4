"""OME-Zarr (NGFF) 0.4 on zarr v2 and 0.5 on zarr v3, by TensorStore.

https://ngff.openmicroscopy.org. A folder holds levels of one image, finest first, each an
array with scale and translation. Slides of many gigapixels are for `slide`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorstore as ts

from medjax.core.errors import InputError
from medjax.data.geometry import invertible
from medjax.data.image import Header, Image

from .block import channel_names, require_finite, storable

_NOTES = "medjax_image"  # in the group's attributes: what NGFF has no place for
_LONGEST = 1 << 24  # bytes of JSON
_CHUNK = 1 << 28  # bytes
_FREE, _RATIO = 1 << 28, 4096  # bytes that may be there without a chunk; or by a byte of one
_CACHE = 32 << 20  # bytes: mostly the indices of shards
_SIDES = {2: (512, 4096), 3: (64, 256)}  # of a chunk and of a shard
_MILLIMETRES = {
    None: 1.0,
    "angstrom": 1e-7,
    "nanometer": 1e-6,
    "micrometer": 1e-3,
    "millimeter": 1.0,
    "centimeter": 10.0,
    "meter": 1e3,
}
_SECONDS = {"microsecond": 1e-6, "millisecond": 1e-3, "second": 1.0, "minute": 60.0, "hour": 3600.0}


class Level(NamedTuple):
    """One level of an image, of which nothing is read yet.

    Attributes:
        array: ``(x, y[, z][, channel])``; ``array[x0:x1, y0:y1].read().result()`` reads
            the chunks that a patch touches and no others.
        known: its shape, dtype and place.
        interval: seconds between the entries of the last axis, where they are times.
    """

    array: ts.TensorStore
    known: Header
    interval: float | None


def open_level(path: str | Path, level: int = 0) -> Level:
    """Open a level to be read by the patch. Chunks that are not there read as zero.

    Args:
        path: of the folder.
        level: 0 is the finest.

    Raises:
        InputError: naming the path, for another folder or version, metadata that is
            damaged or leads outside the folder, another level, channels and times at
            once, or chunks of more than 256 MB.
    """
    return _opened(Path(path), level)[0]


def read(path: str | Path, level: int = 0) -> Image:
    """Read a level whole, x first. A scale without a unit is taken as millimetres.

    Raises:
        InputError: as `open_level`; for chunks that are damaged, or missing where `write`
            wrote them; an array of far more than the folder holds; NaN or infinite voxels.
    """
    path = Path(path)
    found, folder, notes = _opened(path, level)
    _require_held(path, found, folder, whole=bool(notes))
    with _intact(path):
        array = found.array.read().result()
    array = array.astype(found.known.dtype, copy=False)
    require_finite(path, array)
    known = found.known
    return Image(
        array,
        known.affine,
        known.channels,
        known.modality,
        found.interval,
        {"format": "ome_zarr"},
    )


def header(path: str | Path) -> Header:
    """What `read` would give of the finest level, without its voxels.

    Raises:
        InputError: as `open_level`.
    """
    return open_level(path).known


def write(path: str | Path, image: Image) -> None:
    """Write an OME-Zarr 0.5 of one level, in chunks within shards, whole or not at all.

    Args:
        path: of the folder; one that holds an OME-Zarr is replaced.
        image: of integers, float32, float64 or bool (as uint8). Scale and, where axes are
            straight, translation say where it is; the whole affine and the modality are
            in attributes that other programs pass over.

    Raises:
        InputError: for another dtype or shape, an affine without an inverse, or a folder
            that is something else, or cannot be written.
    """
    path = Path(path)
    array = storable(image)
    affine = invertible("affine", image.affine)
    if path.exists() and not (path / "zarr.json").is_file() and not (path / ".zattrs").is_file():
        raise InputError(path, "no folder or an OME-Zarr to replace", "something else")
    if not path.parent.is_dir():
        raise InputError(path, "an existing output folder", f"no folder {path.parent}")
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    array = array.transpose(*range(image.ndim, array.ndim), *reversed(range(image.ndim)))
    try:
        store = ts.open(_spec(part / "0", array, image), create=True).result()
        store.write(array).result()
        text = json.dumps(_group(image, array, affine), indent=1)
        (part / "zarr.json").write_text(text, "utf-8")
        _put(part, path)
    except (OSError, ValueError, RuntimeError) as error:  # TensorStore's, of a full disk too
        reason = getattr(error, "strerror", None) or "a failed write"
        raise InputError(path, "a folder that can be written", reason.lower()) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put(part: Path, path: Path) -> None:
    """Give a new folder its name, and the old one up only then."""
    if not path.exists():
        os.replace(part, path)
        return
    old = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    os.replace(path, old)
    try:
        os.replace(part, path)
    except OSError:
        os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _axes(image: Image) -> list[dict[str, str]]:
    axes = [{"name": n, "type": "space", "unit": "millimeter"} for n in "xyz"[: image.ndim][::-1]]
    if image.interval is not None and image.channels:
        return [{"name": "t", "type": "time", "unit": "second"}, *axes]
    return [{"name": "c", "type": "channel"}, *axes] if image.channels else axes


def _spec(folder: Path, array: np.ndarray, image: Image) -> dict[str, Any]:
    chunk, shard = _SIDES[image.ndim]
    extra = array.ndim - image.ndim
    inner = [1] * extra + [min(chunk, n) for n in array.shape[extra:]]
    outer = [1] * extra + [
        c * math.ceil(min(shard, n) / c)
        for c, n in zip(inner[extra:], array.shape[extra:], strict=True)
    ]
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    check = {"name": "crc32c"}
    shards = {
        "chunk_shape": inner,
        "codecs": [little, {"name": "zstd", "configuration": {"level": 3}}, check],
        "index_codecs": [little, check],
    }
    return {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": f"{folder.absolute()}/"},
        # A chunk of zeros is stored too, so that one which is missing is known to be.
        "store_data_equal_to_fill_value": True,
        "metadata": {
            "shape": list(array.shape),
            "data_type": array.dtype.name,
            "dimension_names": [axis["name"] for axis in _axes(image)],
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": outer}},
            "codecs": [{"name": "sharding_indexed", "configuration": shards}],
        },
    }


def _group(image: Image, array: np.ndarray, affine: np.ndarray) -> dict[str, Any]:
    """The metadata of the folder."""
    extra = [1.0 if image.interval is None else float(image.interval)] if image.channels else []
    steps = [float(s) for s in np.linalg.norm(affine[:3, :3], axis=0)][: image.ndim][::-1]
    transforms: list[dict[str, Any]] = [{"type": "scale", "scale": extra + steps}]
    if np.array_equal(affine[:3, :3], np.diag(np.diag(affine)[:3])) and (np.diag(affine) > 0).all():
        shift = [float(s) for s in affine[: image.ndim, 3]][::-1]
        transforms.append({"type": "translation", "translation": [0.0] * len(extra) + shift})
    ome: dict[str, Any] = {
        "version": "0.5",
        "multiscales": [
            {
                "name": "image",
                "axes": _axes(image),
                "datasets": [{"path": "0", "coordinateTransformations": transforms}],
            }
        ],
    }
    if image.channels and image.interval is None:
        ome["omero"] = {"channels": [_shown(n, array[i]) for i, n in enumerate(image.channels)]}
    notes = {
        "affine": affine.tolist(),
        "channels": list(image.channels),
        "modality": image.modality,
    }
    attributes = {"ome": ome, _NOTES: notes}
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _shown(name: str, values: np.ndarray) -> dict[str, Any]:
    low, high = float(values.min()), float(values.max())
    window = {"min": low, "max": high, "start": low, "end": high}
    return {"label": name, "color": "FFFFFF", "active": True, "window": window}


def _opened(path: Path, level: int) -> tuple[Level, Path, Mapping[str, Any]]:
    if not path.is_dir():
        got = "a file" if path.exists() else "nothing at this path"
        raise InputError(path, "an OME-Zarr folder", got)
    attributes, version = _attributes(path)
    with _intact(path):
        ome = attributes["ome"] if version == 3 else attributes
        image = ome["multiscales"][0]
        told = ome.get("version") if version == 3 else image.get("version", "0.4")
        if told != ("0.5" if version == 3 else "0.4"):
            raise InputError(path, "OME-Zarr 0.4 or 0.5", "another version")
        datasets = image["datasets"]
        if not 0 <= level < len(datasets):
            raise InputError("level", f"0 to {len(datasets) - 1}", level)
        folder = _inside(path, datasets[level]["path"])
        array = _array(path, folder, version)
        notes = attributes.get(_NOTES, {})
        if not isinstance(notes, dict):
            raise ValueError("not a note")
        places, extra = _places(path, image["axes"], array.shape)
        matrix = _matrix(image, level, places)
        if "affine" in notes:
            first = invertible(path, _matrix(image, 0, places))
            matrix = np.array(notes["affine"], np.float64) @ np.linalg.inv(first) @ matrix
            matrix = np.array(notes["affine"], np.float64) if level == 0 else matrix
        names = channel_names(notes, array.shape[extra]) if extra is not None else ()
        if extra is not None and "channels" not in notes and names:
            names = _labels(ome, names)
        interval = _interval(image, level, extra) if names else None
        array = _turned(array, places, extra if names else None)
        modality = str(notes.get("modality", ""))
        affine = invertible(path, matrix)
    dtype = np.dtype(array.dtype.numpy_dtype)
    dtype = {"bool": np.dtype(np.uint8), "float16": np.dtype(np.float32)}.get(dtype.name, dtype)
    shape = tuple(int(n) for n in array.shape)
    known = Header(shape, dtype.newbyteorder("="), affine, names, modality)
    return Level(array, known, interval), folder, notes


def _attributes(path: Path) -> tuple[dict[str, Any], int]:
    """The attributes of the group, and the version of zarr."""
    for name, version in (("zarr.json", 3), (".zattrs", 2)):
        if (path / name).exists():
            file = _inside(path, name)
            with _intact(path):
                if file.stat().st_size > _LONGEST:
                    raise InputError(path, "metadata of at most 16 MB", "more")
                found = json.loads(file.read_text("utf-8"))
                attributes = found["attributes"] if version == 3 else found
                ome = attributes.get("ome", {}) if version == 3 else attributes
                if not ome.get("multiscales"):
                    raise InputError(path, "an image with multiscales", "another zarr group")
                return attributes, version
    raise InputError(path, "an OME-Zarr folder with zarr.json or .zattrs", "another folder")


def _inside(path: Path, name: str) -> Path:
    """A place in the folder, where no link leads out of it."""
    found = (path / name).resolve()
    if not found.is_relative_to(path.resolve()):
        raise InputError(path, "metadata that stays within the folder", "a way out of it")
    return found


def _array(path: Path, folder: Path, version: int) -> ts.TensorStore:
    _inside(path, str(folder / ("zarr.json" if version == 3 else ".zarray")))
    array = ts.open(
        {
            "driver": "zarr3" if version == 3 else "zarr",
            "kvstore": {"driver": "file", "path": f"{folder}/"},
            "context": {"cache_pool": {"total_bytes_limit": _CACHE}},
            "recheck_cached_data": "open",
        },
        read=True,
        open=True,
    ).result()
    dtype = np.dtype(array.dtype.numpy_dtype)
    if dtype.kind not in "biuf" or array.dtype.name.startswith(("int4", "uint4", "int2")):
        raise InputError(path, "integer or float voxels", "another kind")
    if min(array.shape, default=0) < 1:
        raise InputError(path, "axes of at least one voxel", f"shape {array.shape}")
    if math.prod(array.chunk_layout.read_chunk.shape) * dtype.itemsize > _CHUNK:
        raise InputError(path, f"chunks of at most {_CHUNK} bytes", "larger ones")
    return array


def _places(
    path: Path, axes: Sequence[Mapping[str, str]], shape: tuple[int, ...]
) -> tuple[list[int], int | None]:
    """Which axes are x, y and z, and which one more there is."""
    names = [axis["name"] for axis in axes]
    if len(names) != len(shape) or len(set(names)) != len(names):
        raise ValueError("other axes than the array's")
    places = [names.index(name) for name in ("x", "y", "z") if name in names]
    more = [i for i in range(len(names)) if i not in places]
    extra = [i for i in more if shape[i] > 1] or more[:1]
    if not {"x", "y"} <= set(names) or len(extra) > 1:
        raise InputError(path, "axes x, y, perhaps z and one more", f"shape {shape}")
    return places, extra[0] if extra else None


def _turned(array: ts.TensorStore, places: list[int], extra: int | None) -> ts.TensorStore:
    """x first, and channels last; other axes, of length one, dropped."""
    kept = places if extra is None else [*places, extra]
    for i in reversed(range(array.rank)):
        if i not in kept:
            array = array[(slice(None),) * i + (0,)]
    order = sorted(kept)
    return array.transpose([order.index(i) for i in kept])


def _matrix(image: Mapping[str, Any], level: int, places: list[int]) -> np.ndarray:
    """From a level's indices to millimetres, by its scales and translations."""
    scale, shift = _transform(image, level)
    matrix = np.eye(4)
    for row, place in enumerate(places):
        unit = _MILLIMETRES[image["axes"][place].get("unit")]
        matrix[row, row], matrix[row, 3] = scale[place] * unit, shift[place] * unit
    return matrix


def _transform(image: Mapping[str, Any], level: int) -> tuple[np.ndarray, np.ndarray]:
    n = len(image["axes"])
    scale, shift = np.ones(n), np.zeros(n)
    steps = [*image["datasets"][level]["coordinateTransformations"]]
    for step in [*steps, *image.get("coordinateTransformations", [])]:
        kind = step["type"]
        if kind not in ("scale", "translation", "identity"):
            raise ValueError("another transformation")
        if kind != "identity":
            numbers = np.array([float(v) for v in step[kind]])
            if len(numbers) != n:
                raise ValueError("a number an axis")
            scale = scale * numbers if kind == "scale" else scale
            shift = shift * numbers if kind == "scale" else shift + numbers
    return scale, shift


def _labels(ome: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    channels = ome.get("omero", {}).get("channels", [])
    if len(channels) != len(names):
        return names
    return tuple(str(c.get("label", n)) for c, n in zip(channels, names, strict=True))


def _interval(image: Mapping[str, Any], level: int, extra: int | None) -> float | None:
    """Seconds along an axis of time, where they are told."""
    axis = image["axes"][extra] if extra is not None else {}
    if axis.get("type") != "time" or axis.get("unit") not in _SECONDS:
        return None
    step = float(_transform(image, level)[0][extra]) * _SECONDS[axis["unit"]]
    return step if 0 < step < math.inf else None


def _require_held(path: Path, found: Level, folder: Path, whole: bool) -> None:
    """Refuse an array that its chunks cannot fill, before memory is taken."""
    held = count = 0
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place, name)
            if file.is_symlink():
                _inside(path, str(file))
            held += file.stat().st_size
            count += name not in ("zarr.json", ".zarray", ".zattrs")
    known = found.known
    needed = math.prod(known.shape) * known.dtype.itemsize
    if needed > max(_FREE, held * _RATIO):
        raise InputError(path, f"{needed} bytes of voxels as it says", f"{held} bytes of files")
    layout = found.array.chunk_layout.write_chunk.shape
    chunks = math.prod(math.ceil(n / c) for n, c in zip(known.shape, layout, strict=True))
    if whole and count < chunks:
        raise InputError(path, f"{chunks} files of voxels", count)


@contextlib.contextmanager
def _intact(path: Path) -> Iterator[None]:
    """TensorStore tells of damage by errors of many kinds, and so does wild JSON."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception:
        raise InputError(path, "a whole OME-Zarr", "a damaged one") from None
