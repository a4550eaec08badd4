"""Two samples as one, and images with words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from medjax.core.errors import InputError
from medjax.core.random import generator
from medjax.data.sources import Sample, Source, drawn

from .base import FromStore

BETWEEN = ("entries", "sessions", "subjects")


class Pairs:
    """Pairs to register, or to translate between.

    Samples are the first one's entries as ``fixed``, ``fixed_label``, and the second
    one's as ``moving``, ``moving_label`` (whatever else a sample has, by its name and
    ``moving_`` before it), and ``index``. A random source (`RandomSource`) is drawn from
    with the same generator state for both, so that two entries of a case are cropped
    alike.

    * "entries": sample i of ``source`` with sample i of ``other``, such as two contrasts
      of each case.
    * "sessions": every ordered pair of two samples of one subject.
    * "subjects": each sample with one of another subject, by chance in ``draw``, and in
      ``pairs[i]`` the one that a generator keyed by the index gives.

    Split by subject before making pairs, ``Pairs(splits.train)``: a pair's group is the
    first one's subject, and the second would be drawn from all that ``source`` has.

    Args:
        source: any source, such as `Volumes` or a `Subset` of it.
        other: for "entries", a source with as many samples of the same subjects.
        between: "entries", "sessions" or "subjects".

    Raises:
        InputError: for sources that do not fit each other, or no pair at all.
    """

    def __init__(self, source: Source, other: Source | None = None, *, between: str = "entries"):
        if between not in BETWEEN:
            raise InputError("between", f"one of {', '.join(BETWEEN)}", repr(between))
        if (other is None) == (between == "entries"):
            expected = "a source for 'entries', and none for what is within one source"
            raise InputError("other", expected, "none" if other is None else "one")
        self.source, self.between = source, between
        self.other = source if other is None else other
        groups = self.source.groups
        if other is not None and other.groups != groups:
            raise InputError("other", "the same subjects in the same order", "others")
        members: dict[str, list[int]] = {}
        for index, group in enumerate(groups):
            members.setdefault(group, []).append(index)
        if between == "sessions":
            places = [(a, b) for own in members.values() for a in own for b in own if a != b]
        else:
            places = [(i, i) for i in range(len(groups))]
        if not places or (between == "subjects" and len(members) < 2):
            raise InputError("source", f"two {between} to pair", "fewer")
        self._places, self._groups, self._members = places, groups, members

    def __len__(self) -> int:
        return len(self._places)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The subject of each pair's first sample."""
        return tuple(self._groups[a] for a, _ in self._places)

    def __getitem__(self, index: int) -> Sample:
        return self.draw(index, generator(0, index))

    def draw(self, index: int, rng: np.random.Generator) -> Sample:
        """A pair; for "subjects" its second is drawn too."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        first, second = self._places[index]
        if self.between == "subjects":
            second = self._partner(first, rng)
        seed = int(rng.integers(2**32))
        fixed = drawn(self.source, first, generator(seed))
        moving = drawn(self.other, second, generator(seed))
        pair = {_renamed(name, "fixed"): value for name, value in fixed.items()}
        pair |= {_renamed(name, "moving"): value for name, value in moving.items()}
        pair = {name: value for name, value in pair.items() if not name.endswith("_index")}
        return {**pair, "index": np.asarray(index, np.int32)}

    def _partner(self, first: int, rng: np.random.Generator) -> int:
        """A sample of another subject, all alike."""
        own = self._members[self._groups[first]]
        place = int(rng.integers(len(self._groups) - len(own)))
        # Its number among those that are not the subject's own, which are sorted.
        for index in own:
            place += index <= place
        return place


class Described:
    """A source of a store with what is known of each case, in words and numbers.

    Adds ``text`` uint8 ``(length,)``, the UTF-8 bytes with zeros after them, and
    ``attributes`` float32 ``(names,)``.

    Args:
        source: of a store, such as `Volumes` or `Patches`.
        text: the attribute that is text; None for none. A case without it has an empty
            one, and what is longer is cut at a character.
        length: bytes of text.
        numbers: attributes that are numbers; NaN where a case lacks one.

    Raises:
        InputError: naming the case, for a number that is none, and for an attribute that
            no case has.
    """

    def __init__(
        self,
        source: FromStore,
        *,
        text: str | None = None,
        length: int = 256,
        numbers: Sequence[str] = (),
    ):
        if length < 1:
            raise InputError("length", "a positive number of bytes", length)
        self.source, self.text, self.length, self.numbers = source, text, length, tuple(numbers)
        for name in (*self.numbers, *([] if text is None else [text])):
            if not any(name in case.attributes for case in source.cases):
                raise InputError(source.store.path, f"an attribute '{name}'", "none of any case")
        for case in source.cases:
            for name in self.numbers:
                if isinstance(case.attributes.get(name), str):
                    raise InputError(source.name(case), f"a number as '{name}'", "text")

    def __len__(self) -> int:
        return len(self.source)

    @property
    def groups(self) -> tuple[str, ...]:
        """Those of the source."""
        return self.source.groups

    def __getitem__(self, index: int) -> Sample:
        return {**self.source[index], **self._known(index)}

    def draw(self, index: int, rng: np.random.Generator) -> Sample:
        """As the source does, or the sample where it draws none."""
        return {**drawn(self.source, index, rng), **self._known(index)}

    def _known(self, index: int) -> Sample:
        attributes, found = self.source.cases[self.source.place(index)[0]].attributes, {}
        if self.text is not None:
            whole = str(attributes.get(self.text, "")).encode()
            whole = whole[: self.length].decode(errors="ignore").encode()
            found["text"] = np.frombuffer(whole.ljust(self.length, b"\0"), np.uint8)
        if self.numbers:
            values = [attributes.get(name, np.nan) for name in self.numbers]
            found["attributes"] = np.asarray(values, np.float32)
        return found


def _renamed(name: str, role: str) -> str:
    if name == "image":
        return role
    return f"{role}_{name}" if role == "moving" or name in ("label", "index") else name
