"""Pyramids in OME-Zarr 0.4 and 0.5, by TensorStore: local folders, ``gs://`` and ``s3://``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import tensorstore as ts

from medjax.core.errors import InputError

from .scanner import plausible

VERSION = 1
"""Of the entry ``medjax`` in a prepared store; a reader refuses later ones."""

_CHUNK = 1 << 28  # bytes
_CACHE = 32 << 20  # bytes: mostly the indices of shards
_MICROMETRES = {"nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3, "centimeter": 1e4}


class Zarr:
    """A `Reader` by TensorStore.

    Attributes:
        prepared: the entry ``medjax`` of a prepared store, else empty.
    """

    def __init__(self, path: str | Path):
        self._store = folder(path)
        attributes, self._driver = _attributes(self._store)
        self.prepared = _prepared(path, attributes)
        image = attributes["multiscales"][0]
        axes = [axis["name"] for axis in image["axes"]]
        self._arrays = [self._opened(d["path"], axes) for d in image["datasets"]]
        self.sizes = [(a.shape[1], a.shape[0]) for a in self._arrays]
        self.spacing = _spacing(image)

    def read(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        found = self._arrays[level][y : y + height, x : x + width].read().result()
        return np.repeat(found, 3, axis=2) if found.shape[2] == 1 else found

    def tissue(self) -> tuple[np.ndarray, tuple[float, float]] | None:
        if not self.prepared:
            return None
        return read_tissue(self._store)

    def close(self) -> None:
        self._arrays = []

    def _spec(self, name: str) -> dict[str, Any]:
        if not isinstance(name, str) or PurePosixPath(name).is_absolute() or ".." in name:
            raise ValueError("an array outside the store")
        kvstore = (self._store / f"{name}/").spec().to_json()
        context = {"cache_pool": {"total_bytes_limit": _CACHE}}
        return {
            "driver": self._driver,
            "kvstore": kvstore,
            "context": context,
            "recheck_cached_data": "open",
        }

    def _opened(self, name: str, axes: list[str]) -> ts.TensorStore:
        """One level as ``(y, x, channel)``."""
        array = ts.open(self._spec(name), read=True).result()
        if array.rank != len(axes) or array.dtype != ts.uint8:
            raise ValueError("not 8-bit colours with the axes named")
        if math.prod(array.chunk_layout.read_chunk.shape) > _CHUNK:
            raise ValueError("chunks of more than 256 MiB")
        for place in reversed(range(len(axes))):
            if axes[place] not in ("y", "x", "c"):
                if array.shape[place] != 1:
                    raise ValueError("more than one depth or time")
                array = array[(slice(None),) * place + (0,)]
        kept = [axis for axis in axes if axis in ("y", "x", "c")]
        if "c" not in kept:
            array, kept = array[..., ts.newaxis], [*kept, "c"]
        array = array[ts.d[:].translate_to[0]].transpose([kept.index(a) for a in ("y", "x", "c")])
        if array.shape[2] not in (1, 3):
            raise ValueError("channels that are not colours")
        return array


def folder(path: str | Path) -> ts.KvStore:
    """A store's folder or URL, to read and write keys in.

    A URL is anything that TensorStore opens: ``gs://``, ``s3://``, ``memory://`` and others.
    """
    if "://" in str(path):
        return ts.KvStore.open(str(path).rstrip("/") + "/").result()
    return ts.KvStore.open({"driver": "file", "path": f"{Path(path).absolute()}/"}).result()


def read_json(store: ts.KvStore, key: str) -> dict[str, Any] | None:
    """A file of JSON; None where there is none."""
    found = store.read(key).result()
    if found.state != "value":
        return None
    loaded = json.loads(found.value)
    if not isinstance(loaded, dict):
        raise ValueError("not an object of JSON")
    return loaded


def read_tissue(store: ts.KvStore) -> tuple[np.ndarray, tuple[float, float]]:
    """The mask of a prepared slide and its downsample."""
    kvstore = (store / "tissue/").spec().to_json()
    array = ts.open({"driver": "zarr3", "kvstore": kvstore}, read=True).result()
    if array.dtype != ts.bool or array.rank != 2 or math.prod(array.shape) > _CHUNK:
        raise ValueError("no mask")
    x, y = array.spec().to_json()["metadata"]["attributes"]["downsample"]
    return array.read().result(), (float(x), float(y))


def _attributes(store: ts.KvStore) -> tuple[Mapping[str, Any], str]:
    if (group := read_json(store, "zarr.json")) is not None:
        attributes = group["attributes"]
        own = {"medjax": attributes["medjax"]} if "medjax" in attributes else {}
        return {**attributes["ome"], **own}, "zarr3"
    group = read_json(store, ".zattrs")
    if group is None:
        raise ValueError("no metadata")
    return group, "zarr"


def _prepared(path: str | Path, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    own = attributes.get("medjax", {})
    if own and own["version"] > VERSION:
        got = f"version {int(own['version'])}"
        raise InputError(path, f"a store of version {VERSION} at most: update medjax", got)
    return own


def _spacing(image: Mapping[str, Any]) -> tuple[float, float] | None:
    """Micrometres per pixel of the first level along x and y."""
    axes = {axis["name"]: (i, axis.get("unit")) for i, axis in enumerate(image["axes"])}
    steps = list(image["datasets"][0]["coordinateTransformations"])
    steps += image.get("coordinateTransformations", [])
    sides = []
    for name in ("x", "y"):
        place, unit = axes[name]
        scale = math.prod(float(s["scale"][place]) for s in steps if s["type"] == "scale")
        sides.append(scale * _MICROMETRES[unit] if unit in _MICROMETRES else None)
    return plausible(*sides)
