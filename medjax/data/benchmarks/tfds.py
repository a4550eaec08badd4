"""Public data sets as TFDS builders."""

from __future__ import annotations

from pathlib import Path

from medjax.data.tfds_builder import SourceBuilder

from .cards import card
from .definition import Card
from .samples import CaseSource, by_split


def builder(name: str, data_dir: str | Path, manual_dir: str | Path) -> SourceBuilder:
    """A TFDS builder of a public data set; ``.download_and_prepare()`` writes it.

    Large volumes are better served by ``medjax data prepare``, from which a patch costs
    a patch. `medjax.data.tfds_builder.TfdsSource` reads what was written, with the
    subjects as ``.groups`` and the rest of what is known as ``.attributes``.

    Args:
        name: of the card.
        data_dir: where prepared sets live; this one goes to ``data_dir/name``.
        manual_dir: where the set lies, in the layout that the card shows.

    Raises:
        InputError: as `source`.
    """
    one = card(name)
    splits = {
        split: CaseSource(one, cases) for split, cases in by_split(one.cases(manual_dir)).items()
    }
    return SourceBuilder(
        splits,
        data_dir=data_dir,
        name=name,
        description=f"{one.title}. {one.about}",
        homepage=one.page,
        citation=one.citation,
        terms=f"{one.licence}. {one.terms}",
        attributes={split: cases.attributes for split, cases in splits.items()},
        shapes=_shapes(one),
    )


def _shapes(one: Card) -> dict[str, tuple[int | None, ...]]:
    return {
        "affine": (4, 4),
        "boxes": (None, len(one.box)),
        "classes": (len(one.classes),),
        "contours": (None, 3),
    }
