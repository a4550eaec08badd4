"""Where things are in a prepared store, and how they are reached.

::

    STORE/settings.json            format, version, what made the contents
    STORE/data/ID/ENTRY/           a sharded zarr v3 array, (x, y[, z][, channel])
    STORE/data/ID/ENTRY.samples    coordinates of voxels of each label, int32
    STORE/cases/ID.json            a case's record, written last: then the case counts
    STORE/index.json               all records

Everything goes through TensorStore, so that a folder and a bucket are the same. Each
chunk and each shard's index carry a CRC-32C, which reading verifies, and shards are
written also where all voxels are zero: one that is missing is an error, not a hole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

from medjax.core.errors import InputError

FORMAT = "medjax store"
VERSION = 1

CHUNK = {2: 256, 3: 32}
"""Voxels along each axis in space of what is read and decoded at once."""

SHARD = {2: 2048, 3: 256}
"""Voxels along each axis in space of one file."""

CHANNELS = 4  # of one chunk, as what is drawn together should be read together

CODECS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "zstd": ("zstd", {"level": 1}),
    "lz4": ("blosc", {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "blocksize": 0}),
    "none": None,
}
"""What a chunk is compressed with. On a brain MRI of int16 with noise, a third of it
background, zstd takes 0.47 of the raw size (0.56 as the codes of a normalised one, 0.03
for labels) and 2.2 ms a patch of 96^3; lz4 after a byte shuffle 0.55 (0.89, 0.10) and
2.8 ms; none 1.6 ms. Shuffled zstd is smaller for integers (0.36), not for codes (0.61)."""

CONTEXT = ts.Context({"cache_pool": {"total_bytes_limit": 32 * 2**20}})
"""What a process's stores share: the cache of shard indices, threads, `memory://`."""


def folder(path: str | Path) -> ts.KvStore:
    """The place that a path or URL names.

    Raises:
        InputError: for a URL that TensorStore does not know.
    """
    name = str(path)
    spec = {"driver": "file", "path": f"{Path(name).absolute()}/"}
    if "://" in name:
        spec = name.rstrip("/") + "/"
    return wait(ts.KvStore.open, spec, context=CONTEXT, what=path, expected="a folder or a URL")


def wait(call: Any, *args: Any, what: object, expected: str, **options: Any) -> Any:
    """The result of one of TensorStore's operations.

    Raises:
        InputError: naming ``what``, for whatever TensorStore says is wrong.
    """
    try:
        return call(*args, **options).result()
    except (ValueError, OSError, RuntimeError, KeyError, NotImplementedError) as error:
        reason = " ".join(str(error).partition("[source locations")[0].split())
        raise InputError(what, expected, reason) from error


def put_json(store: ts.KvStore, key: str, value: Any, *, what: object) -> None:
    """Write a JSON file, whole or not at all."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(what, f"JSON values in {key}", str(error)) from error
    put(store, key, text.encode(), what=what)


def put(store: ts.KvStore, key: str, value: bytes, *, what: object) -> None:
    """Write a file, whole or not at all."""
    wait(store.write, key, value, what=what, expected="a store that can be written")


def get_json(store: ts.KvStore, key: str, *, what: object) -> Any:
    """A JSON file's value, or None where there is none.

    Raises:
        InputError: naming ``what``, for a file that is not JSON.
    """
    found = wait(store.read, key, what=what, expected="a store that can be read")
    if found.state != "value":
        return None
    try:
        return json.loads(found.value)
    except ValueError as error:
        raise InputError(
            what, f"JSON in {key}", f"{len(found.value)} bytes that are not"
        ) from error


def require_version(found: Any, *, what: object) -> None:
    """Raise `InputError` unless an index or settings are of a store that this version reads."""
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(what, f"a {FORMAT}", "JSON of something else")
    version = found.get("version")
    if not isinstance(version, int) or version > VERSION:
        expected = f"a {FORMAT} of version {VERSION} or older (a newer medjax reads it)"
        raise InputError(what, expected, f"version {version}")


def metadata(shape: tuple[int, ...], dtype: np.dtype, spatial: int, codec: str) -> dict[str, Any]:
    """The zarr v3 metadata of an entry's array.

    Args:
        shape: of the array.
        dtype: of the array, an integer or float32.
        spatial: how many of the axes are in space; at most one more is of channels.
        codec: one of `CODECS`.
    """
    axes = [(n, CHUNK[spatial], SHARD[spatial]) for n in shape[:spatial]]
    axes += [(n, CHANNELS, CHANNELS) for n in shape[spatial:]]
    chunk = [min(n, c) for n, c, _ in axes]
    shard = [c * -(-min(n, s) // c) for (n, _, s), c in zip(axes, chunk, strict=True)]
    endian = {"name": "bytes", "configuration": {"endian": "little"}}
    inner = [endian if dtype.itemsize > 1 else {"name": "bytes"}]
    if (found := CODECS[codec]) is not None:
        name, configuration = found
        if name == "blosc":
            configuration = {**configuration, "typesize": dtype.itemsize}
        inner.append({"name": name, "configuration": configuration})
    inner.append({"name": "crc32c"})
    sharding = {
        "chunk_shape": chunk,
        "codecs": inner,
        "index_codecs": [endian, {"name": "crc32c"}],
    }
    return {
        "shape": list(shape),
        "data_type": dtype.name,
        "fill_value": 0,
        "dimension_names": ["x", "y", "z"][:spatial] + ["channel"] * (len(shape) - spatial),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}},
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
    }


def array_spec(store: ts.KvStore, key: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What TensorStore opens to read or write an entry."""
    return {
        "driver": "zarr3",
        "kvstore": (store / key).spec().to_json(),
        "metadata": dict(metadata),
        "store_data_equal_to_fill_value": True,
        "fill_missing_data_reads": False,
    }
