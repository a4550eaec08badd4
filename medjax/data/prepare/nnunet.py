"""Cases of an nnU-Net raw folder (Isensee et al. 2021, Nat Methods 18:203-211).

``imagesTr/NAME_0000.nii.gz`` is the first channel of a case, ``labelsTr/NAME.nii.gz``
its label; ``imagesTs`` holds the test cases, ``labelsTs`` their labels where there are
any; ``dataset.json`` names the channels.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

from medjax.core.errors import InputError
from medjax.data.case import Case
from medjax.data.formats import is_image

_SPLITS = {"Tr": "train", "Ts": "test"}


def is_nnunet(folder: Path) -> bool:
    """Whether a folder has a description and training images."""
    return (folder / "dataset.json").is_file() and (folder / "imagesTr").is_dir()


def nnunet_cases(folder: Path) -> list[Case]:
    """The cases, training first, by name; a case's name is its subject.

    Raises:
        InputError: for a description that does not name the channels, files of other
            names, a training image without its label, and a label without its image.
    """
    channels = _channels(folder / "dataset.json")
    cases = []
    for part, split in _SPLITS.items():
        images = _images(folder / f"images{part}", channels)
        labels = {_stem(p): p for p in _files(folder / f"labels{part}")}
        for name in sorted(set(labels) - set(images)):
            raise InputError(labels[name], f"an image in images{part}", "none")
        for name in sorted(images):
            if split == "train" and name not in labels:
                where = folder / "imagesTr" / name
                raise InputError(where, "a label in labelsTr", "none")
            cases.append(Case(name, name, images[name], "", labels.get(name), split))
    return cases


def _channels(path: Path) -> dict[str, str]:
    """A channel's number, of four digits, to its name."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        named = found.get("channel_names", found.get("modality"))
        return {f"{int(number):04d}": str(name) for number, name in named.items()}
    except (ValueError, RecursionError, AttributeError):
        expected = "JSON with channel_names, {number: name}"
        raise InputError(path, expected, "something else") from None


def _images(folder: Path, channels: dict[str, str]) -> dict[str, dict[str, Path]]:
    found = defaultdict(dict)
    for path in _files(folder):
        name, _, number = _stem(path).rpartition("_")
        if not name or not re.fullmatch(r"\d{4}", number):
            raise InputError(path, "a name ending in _0000 and so on, the channel", "another")
        if number not in channels:
            raise InputError(path, f"a channel of {', '.join(channels)}", number)
        found[name][channels[number]] = path
    return {
        name: {channel: files[channel] for channel in channels.values() if channel in files}
        for name, files in found.items()
    }


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if is_image(p) and not p.name.startswith("."))


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[0]
