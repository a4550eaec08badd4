"""What a public data set is, on one card: its terms, its layout, and how its cases are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from medjax.core.errors import InputError
from medjax.data.case import Case

Sample = dict[str, np.ndarray]


@runtime_checkable
class Reader(Protocol):
    """How a card's cases become samples; most have one each."""

    def count(self, case: Case) -> int:
        """Samples of a case, by as little reading as can be."""

    def read(self, case: Case, card: Card) -> Sequence[Sample]:
        """The samples themselves."""


@dataclass(frozen=True)
class Card:
    """A public data set.

    Attributes:
        name: on the command line.
        title: its owners' name for it.
        about: what it holds, in a sentence or two.
        modality: MR, CT, X-ray, ...
        task: what it is for.
        subjects: how many people, and images where these are more.
        size: on disk, about.
        licence: its name.
        terms: what the licence and the owners ask.
        page: where it is described and applied for.
        citation: what to cite.
        layout: the files as their owners publish them, as a tree.
        splits: which splits the owners made, and whether they are by subject.
        find: folder -> cases, by `cases`.
        reader: of the samples.
        channels: names along the last axis of ``image``; empty where there are no images.
        labels: value -> structure of the label map; empty where there is none.
        classes: names of the attributes that make the vector ``classes``.
        box: what each number of a row of ``boxes`` is; empty where nothing is marked.
    """

    name: str
    title: str
    about: str
    modality: str
    task: str
    subjects: str
    size: str
    licence: str
    terms: str
    page: str
    citation: str
    layout: str
    splits: str
    find: Callable[[Path], list[Case]]
    reader: Reader
    channels: tuple[str, ...] = ()
    labels: Mapping[int, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    box: tuple[str, ...] = ()

    def cases(self, folder: str | Path) -> list[Case]:
        """All cases below a folder, in the order of their ids.

        Args:
            folder: whose contents are as in ``layout``.

        Raises:
            InputError: naming the folder, file or case, for whatever the layout has and
                the folder lacks: no case is left out because its files are not all there.
        """
        folder = Path(folder)
        try:
            if not folder.exists():
                raise InputError(folder, "a folder", "nothing at this path")
            cases = sorted(self.find(folder), key=lambda case: case.id)
            if not cases:
                raise InputError(folder, f"the files of {self.title}", "none")
            twice = [id for id, n in Counter(case.id for case in cases).items() if n > 1]
            if twice:
                raise InputError(folder, "each case once", f"{twice[0]} more than once")
        except InputError as error:
            hint = f"{error.expected} ('medjax list datasets {self.name}' shows the layout)"
            raise InputError(error.what, hint, error.got) from None
        return cases
