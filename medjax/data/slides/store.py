"""How a prepared slide is laid out: OME-Zarr 0.5 in sharded zarr v3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorstore as ts


def open_level(
    store: ts.KvStore, level: int, size: tuple[int, int], chunk: int, shard: int
) -> ts.TensorStore:
    """One resolution, uint8 ``(c, y, x)``, made where it is not there.

    Args:
        store: the slide's folder.
        level: its name.
        size: width and height.
        chunk: edge of what is read at once.
        shard: edge of what is in one file.
    """
    compression = {"cname": "zstd", "clevel": 5, "shuffle": "bitshuffle"}
    inner = [{"name": "bytes"}, {"name": "blosc", "configuration": compression}]
    sharding = {"chunk_shape": [3, chunk, chunk], "codecs": inner}
    grid = {"chunk_shape": [3, shard, shard]}
    spec = {
        "driver": "zarr3",
        "kvstore": (store / f"{level}/").spec().to_json(),
        # So that a shard's file says that it was made, though it be white.
        "store_data_equal_to_fill_value": True,
        "metadata": {
            "shape": [3, size[1], size[0]],
            "data_type": "uint8",
            "fill_value": 255,
            "dimension_names": ["c", "y", "x"],
            "chunk_grid": {"name": "regular", "configuration": grid},
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        },
    }
    return ts.open(spec, create=True, open=True).result()


def put_array(
    store: ts.KvStore,
    name: str,
    array: np.ndarray,
    axes: Sequence[str],
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write a small array, in one chunk."""
    grid = {"chunk_shape": [max(n, 1) for n in array.shape]}
    spec = {
        "driver": "zarr3",
        "kvstore": (store / f"{name}/").spec().to_json(),
        "store_data_equal_to_fill_value": True,
        "metadata": {
            "shape": list(array.shape),
            "data_type": array.dtype.name,
            "dimension_names": list(axes),
            "chunk_grid": {"name": "regular", "configuration": grid},
            "codecs": [{"name": "bytes"}, {"name": "gzip", "configuration": {"level": 5}}],
            "attributes": dict(attributes or {}),
        },
    }
    ts.open(spec, create=True, delete_existing=True).result().write(array).result()


def group_metadata(
    levels: int, spacing: Sequence[float] | None, own: Mapping[str, Any]
) -> dict[str, Any]:
    """What the group's ``zarr.json`` holds.

    Args:
        levels: resolutions, each half of the one before.
        spacing: micrometres per pixel of the first along x and y, where known.
        own: what only this project reads.
    """
    unit = {} if spacing is None else {"unit": "micrometer"}
    x, y = spacing or (1.0, 1.0)
    datasets = []
    for level in range(levels):
        by = 2**level
        scale = {"type": "scale", "scale": [1.0, y * by, x * by]}
        # The centre of a level's first pixel is that of the pixels it is the mean of.
        middle = [0.0, y * (by - 1) / 2, x * (by - 1) / 2]
        shift = {"type": "translation", "translation": middle}
        datasets.append({"path": str(level), "coordinateTransformations": [scale, shift]})
    space = [{"name": axis, "type": "space", **unit} for axis in "yx"]
    image = {
        "axes": [{"name": "c", "type": "channel"}, *space],
        "datasets": datasets,
        "type": "mean",
    }
    window = {"start": 0, "end": 255, "min": 0, "max": 255}
    colours = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))
    channels = [{"label": n, "color": c, "window": window, "active": True} for n, c in colours]
    ome = {"version": "0.5", "multiscales": [image], "omero": {"channels": channels}}
    attributes = {"ome": ome, "medjax": dict(own)}
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}
