"""A source into a store: what there is to do, done by many processes, and told in a report.

A case is done when the store has it whole and its record beside it, with the mark of the
very files it was made of. So a run that was killed goes on where it was, one that was not
does nothing, and a file that changed is prepared anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medjax.core.errors import InputError, MedjaxError
from medjax.core.progress import progress
from medjax.data.case import Case
from medjax.data.image import Header
from medjax.data.store import Writer

from .discover import fault, find_cases
from .plan import Plan, all_channels, existing_plan, first_plan, plan_settings
from .records import is_finished, mark, read_records, unfinish, write_record
from .report import refresh_report
from .slides import prepare_slides, slides_in
from .steps import Prepared, Settings, prepare_case
from .workers import cores, outcomes

ON_ERROR = ("stop", "skip")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a source.

    Attributes:
        layout: as `find_cases` names it, or the public data set's name.
        prepared: cases that were written.
        kept: cases that were there already, of these very files.
        skipped: case to the error that kept it out.
        others: cases of the store that the source does not have; they stay.
    """

    layout: str
    prepared: int
    kept: int
    skipped: dict[str, str]
    others: int


def prepare(
    source: str | Path,
    store: str | Path,
    settings: Settings | None = None,
    *,
    dataset: str | None = None,
    label_maps: bool = False,
    workers: int | None = None,
    on_error: str = "stop",
    shown: bool = False,
) -> Outcome:
    """Prepare every case of a source into a store, or go on with it.

    Args:
        source: as `find_cases` has it, or a slide or folder of slides, each of which
            becomes ``STORE/NAME.zarr``.
        store: a folder or URL.
        settings: what is done to each case. What they leave open (a median spacing, a
            standard histogram, the channels) the first run decides, and the store keeps.
        dataset: a public data set's name, whose owners' layout the source has.
        label_maps: the files of a plain folder are labels without images.
        workers: processes, each with one case in memory; 0 for none; by default as many
            as there are cores. They are spawned, so a script must keep what it runs
            below ``if __name__ == "__main__":``.
        on_error: "stop" at the first case that cannot be prepared, or "skip" it.
        shown: whether to show progress.

    Raises:
        InputError: for a source without cases, cases that cannot be told apart, a store
            of other settings, and, unless they are to be skipped, for the first case
            that cannot be prepared. Those that were are kept.
    """
    if on_error not in ON_ERROR:
        raise InputError("on_error", f"one of {', '.join(ON_ERROR)}", repr(on_error))
    number = cores() if workers is None else workers
    if number < 0:
        raise InputError("workers", "a number of at least 0", number)
    source, asked = Path(source), settings or Settings()
    if slides := slides_in(source):
        options = {"workers": number, "on_error": on_error, "shown": shown}
        return Outcome("slides", *prepare_slides(slides, store, asked, **options), others=0)
    layout, cases = find_cases(source, dataset=dataset, label_maps=label_maps)
    job = _Job(number, on_error, shown)
    plan = existing_plan(store, asked)
    if plan is None:
        channels = asked.channels or all_channels(cases)
        readable = job.readable(cases, channels)
        plan = first_plan(readable, dataclasses.replace(asked, channels=channels), job.each)
    readable = job.readable(cases, plan.settings.channels)

    kept = plan_settings(plan, asked)
    writer = Writer(str(store), settings=kept, values=plan.settings.values)
    whole = writer.complete()
    records = read_records(store, whole)
    marks = {case.id: mark(case) for case in readable}
    todo = [c for c in readable if records.get(c.id, {}).get("files") != marks[c.id]]
    if todo:
        unfinish(store)
    prepared = job.each("preparing", _Work(store, writer, plan, marks, dataset or ""), todo)
    if not whole and not prepared:
        raise InputError(source, "a case that can be prepared", f"{len(job.skipped)} skipped")
    new = bool(todo) or not is_finished(store)
    if new:
        writer.finish()
    refresh_report(store, kept, {i: _short(e) for i, e in job.skipped.items()}, new=new)
    others = len(whole - {case.id for case in cases})
    skipped = {id: str(error) for id, error in job.skipped.items()}
    return Outcome(layout, len(prepared), len(readable) - len(todo), skipped, others)


class _Job:
    """How cases are gone through, and which of them were skipped."""

    def __init__(self, workers: int, on_error: str, shown: bool):
        self.workers, self.on_error, self.shown = workers, on_error, shown
        self.skipped: dict[str, MedjaxError] = {}

    def readable(self, cases: Sequence[Case], channels: Sequence[str]) -> list[Case]:
        """The cases that have all their files and channels, and were not skipped before."""
        kept = []
        for case in cases:
            error = fault(case, channels)
            if error is not None:
                self.skip(case, error)
            elif case.id not in self.skipped:
                kept.append(case)
        return kept

    def each(self, title: str, function: Callable[[Case], Any], cases: Sequence[Case]) -> list[Any]:
        """The function's results, in the order of the cases that have one."""
        if not cases:
            return []
        names, found = [f"case {case.id}" for case in cases], {}
        with progress(title, len(cases), shown=self.shown) as update:
            pairs = outcomes(function, cases, names, self.workers)
            for count, (place, outcome) in enumerate(pairs, 1):
                update(count, cases[place].id)
                if isinstance(outcome, MedjaxError):
                    self.skip(cases[place], outcome)
                else:
                    found[place] = outcome
        return [found[place] for place in sorted(found)]

    def skip(self, case: Case, error: MedjaxError) -> None:
        if self.on_error == "stop":
            raise error
        self.skipped[case.id] = error


class _Work:
    """One case from its files into the store; can be pickled."""

    def __init__(
        self, store: str | Path, writer: Writer, plan: Plan, marks: Mapping[str, str], source: str
    ):
        self.store, self.writer, self.plan = store, writer, plan
        self.marks, self.source = marks, source

    def __call__(self, case: Case) -> None:
        prepared = prepare_case(case, self.plan.settings, self.plan.landmarks)
        known = {"image": prepared.image, "label": prepared.label}
        split = {} if case.split is None else {"split": case.split}
        self.writer.write(
            case.id,
            {name: image for name, image in known.items() if image is not None},
            subject=case.subject,
            session=case.session,
            source=self.source,
            original=_original(prepared),
            attributes={**prepared.record["source"]["scanner"], **case.attributes, **split},
        )
        write_record(self.store, case.id, {**prepared.record, "files": self.marks[case.id]})


def _short(error: MedjaxError) -> str:
    """An error without the folders of its file, which may be a person's."""
    if not isinstance(error, InputError):
        return str(error)
    return f"{Path(error.what).name}: expected {error.expected}, got {error.got}"


def _original(prepared: Prepared) -> Header:
    source = prepared.record["source"]
    image = prepared.image if prepared.image is not None else prepared.label
    rest = (len(image.channels),) if image.channels else ()
    affine = np.asarray(source["affine"], np.float64)
    shape, dtype = (*source["shape"], *rest), np.dtype(source["dtype"])
    return Header(shape, dtype, affine, image.channels, image.modality)
