"""Any source as a TensorFlow Datasets builder, written and read without TensorFlow.

ArrayRecord files give any sample by its number, so that a prepared set is a source
like any other: the same samples in the same order, and their subjects with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from medjax.core.errors import InputError

from .sources import Source

_LARGEST = (1 << 31) - (1 << 16)
"""Bytes of a sample: a record is one protocol buffer."""


class SourceBuilder(tfds.core.GeneratorBasedBuilder):
    """A builder of a set whose splits are sources.

    ``builder.download_and_prepare()`` writes it to ``builder.data_dir``, which is
    ``data_dir/name/version``; nothing is done where it is already. `TfdsSource` reads
    it, and so does TFDS itself. Arrays keep their dtype, and each sample its own shape,
    save where ``shapes`` fixes it.

    Args:
        sources: split name -> source. All samples have the same names, dtypes and ranks.
        data_dir: where prepared sets live.
        name: of the set, in lower case with underscores.
        description: what it is.
        homepage: whose it is.
        citation: what to cite.
        terms: its licence.
        attributes: split name -> what is known of each sample in numbers and words.
        shapes: feature name -> its shape, None for open axes; all axes of the others are
            open. An array that may be empty needs one with at most one open axis.

    Raises:
        InputError: where no source holds a sample; on writing, for a sample unlike the
            first, or one of 2 GiB.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 - the name and type are TFDS's

    def __init__(
        self,
        sources: Mapping[str, Source],
        *,
        data_dir: str | Path,
        name: str,
        description: str,
        homepage: str = "",
        citation: str = "",
        terms: str = "",
        attributes: Mapping[str, Sequence[Mapping[str, str | float | int]]] | None = None,
        shapes: Mapping[str, tuple[int | None, ...]] | None = None,
    ):
        self.sources = {split: source for split, source in sources.items() if len(source)}
        if not self.sources:
            raise InputError(name, "at least one sample", "none")
        self.name = name
        self.attributes, self.shapes = attributes or {}, shapes or {}
        self._about = {
            "description": description,
            "homepage": homepage,
            "citation": citation,
            "license": terms,
        }
        super().__init__(data_dir=str(data_dir), file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        first = next(iter(self.sources.values()))[0]
        features = {k: _feature(v, self.shapes.get(k)) for k, v in first.items()}
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,  # sample i of a split stays sample i
            metadata=tfds.core.MetadataDict(),
            **self._about,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        self.info.metadata["samples"] = {
            split: {
                "groups": list(source.groups),
                "attributes": [dict(a) for a in self.attributes.get(split, ())],
            }
            for split, source in self.sources.items()
        }
        return {split: self._generate_examples(source) for split, source in self.sources.items()}

    def _generate_examples(self, source: Source) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        features = self.info.features
        expected = " ".join(f"{k} {f.np_dtype}{_words(f.shape)}" for k, f in features.items())
        for i in range(len(source)):
            sample = source[i]
            if sample.keys() != features.keys() or not all(
                _fits(value, features[k]) for k, value in sample.items()
            ):
                got = " ".join(f"{k} {v.dtype}{_words(v.shape)}" for k, v in sample.items())
                raise InputError(f"{self.name}, sample {i} of a split", expected, got)
            size = sum(value.nbytes for value in sample.values())
            if size > _LARGEST:
                wanted = "less than 2 GiB; 'medjax data prepare' takes larger volumes"
                raise InputError(f"{self.name}, sample {i} of a split", wanted, f"{size} bytes")
            yield i, sample


class TfdsSource:
    """One split of a prepared set.

    Args:
        folder: the set's, or one above it that holds no other set.
        split: such as ``train``, ``validation`` or ``test``.

    Attributes:
        attributes: what is known of each sample in numbers and words; empty where the
            set was prepared without.

    Raises:
        InputError: for an unknown split, or a folder that holds no prepared set, or
            several.
    """

    def __init__(self, folder: str | Path, split: str):
        prepared = _prepared(Path(folder))
        try:
            builder = tfds.builder_from_directory(prepared)
            samples = dict(builder.info.metadata or {})["samples"]
        except (KeyError, ValueError, AttributeError):
            raise InputError(prepared, "a set that medjax prepared", "another") from None
        if split not in samples:
            raise InputError("split", f"one of {', '.join(samples)}", repr(split))
        self._records = builder.as_data_source(split=split)
        self._dtypes = {k: np.dtype(f.np_dtype) for k, f in builder.info.features.items()}
        self.groups = tuple(samples[split]["groups"])
        self.attributes = tuple(samples[split]["attributes"])

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        sample = self._records[index]
        return {k: np.asarray(sample[k], dtype) for k, dtype in self._dtypes.items()}


def _feature(
    value: np.ndarray, shape: tuple[int | None, ...] | None
) -> tfds.features.FeatureConnector:
    if value.ndim == 0:
        return tfds.features.Scalar(dtype=value.dtype)
    # As bytes: the other way lists every number by itself, and knows no complex ones.
    shape = shape or (None,) * value.ndim
    return tfds.features.Tensor(shape=shape, dtype=value.dtype, encoding="bytes")


def _fits(value: np.ndarray, feature: tfds.features.FeatureConnector) -> bool:
    axes = zip(value.shape, feature.shape, strict=False)
    return (
        value.dtype == feature.np_dtype
        and value.ndim == len(feature.shape)
        and all(size in (None, n) for n, size in axes)
    )


def _words(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('?' if n is None else str(n) for n in shape)})"


def _prepared(folder: Path) -> Path:
    """The one folder with a prepared set at or below ``folder``."""
    found = []
    for pattern in ("", "*/", "*/*/"):
        found += sorted(p.parent for p in folder.glob(f"{pattern}dataset_info.json"))
    if len(found) != 1:
        several = f"{len(found)}: {', '.join(p.parent.name for p in found[:3])}"
        raise InputError(folder, "a set that was prepared there", several if found else "none")
    return found[0]
