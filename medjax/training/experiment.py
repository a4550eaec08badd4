"""What a config returns: everything that one run needs, as plain values and functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Key, PyTree
from medjax.learners import Learner, State

from .placement import Placement
from .samples import Samples
from .watch import POLICIES, Rule

Loader = Callable[..., Iterable[Batch]]
"""``loader(host=0, hosts=1)`` gives this host's part of every global batch."""


class Metric(NamedTuple):
    """One number a sample.

    Attributes:
        function: ``(output, target) -> (batch,)``.
        unit: as printed, "" for none.
        higher_is_better: which way is good.
        decimals: digits after the point in tables.
    """

    function: Callable[[Any, Any], Array]
    unit: str = ""
    higher_is_better: bool = True
    decimals: int = 3


class Control(NamedTuple):
    """A method without learned parameters, set beside the learner.

    Attributes:
        function: ``(batch, value) -> output`` on a prepared batch.
        candidates: values of its one free parameter. More than one are tried on
            the validation data and the best is used; the test data never chooses.
        parameter: what that value is called.
    """

    function: Callable[[Batch, Any], Any]
    candidates: tuple[float, ...] = (0.0,)
    parameter: str = ""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How outputs are judged.

    Attributes:
        validation: finite loader of held-out data, for choosing.
        test: finite loader of other held-out data, for reporting once.
        prepare: ``(key, batch) -> batch`` on the device. Anything random in it is
            keyed by the batch's ``index`` entry, so that a sample is the same in
            any batch.
        target: the prepared batch's entry to compare with.
        view: maps outputs and targets to what is compared and shown, for example
            the magnitude of a complex image.
        metrics: names to metrics; the first chooses.
        controls: names to methods that the learner has to beat.
        origin: whether row 0 of an image is drawn ``"lower"``, as radiologists draw
            axial slices of RAS volumes, or ``"upper"``, as photographs are.
    """

    validation: Loader
    test: Loader
    prepare: Callable[[Key[Array, ""], Batch], Batch]
    target: str
    metrics: Mapping[str, Metric]
    view: Callable[[Any], Array] = lambda output: output
    controls: Mapping[str, Control] = field(default_factory=dict)
    origin: str = "lower"

    def __post_init__(self):
        if self.origin not in ("lower", "upper"):
            raise InputError("origin", "'lower' or 'upper'", repr(self.origin))


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A run, whole: `medjax.training.fit` needs nothing else but a folder.

    Attributes:
        title: of the report.
        learner: how parameters change.
        example: shapes and dtypes (`jax.ShapeDtypeStruct`) of one global training
            batch, so that nothing has to be read to know the state's shapes.
        train: infinite loader of training batches.
        evaluation: how outputs are judged; None where they are features, of which nothing
            can be said before something is learned from them.
        steps: of training.
        seed: of parameters, augmentation and everything else on the device.
        placement: over devices.
        log_every, evaluate_every, checkpoint_every: in steps.
        samples: what is drawn while it trains, with a film at the end; None for nothing.
        rules: what the logged scalars are watched for, see `medjax.training.watch`.
        on_unstable: what is done when a rule finds something: "warn" says so, "stop" saves and
            stops, "ignore" writes it down alone, as the others do too, in ``unstable.json``.
        predictor: ``(predict, path) -> image``: reads a user's file, calls
            ``predict(batch)`` and gives an image with its geometry; it validates
            the file before anything else.
        pretrained: takes out of a learner's state the variables of the network that another
            task goes on from, for ``medjax weights export``; None where there is no such.
        labels: how methods are called in figures and tables, by name.
        caveats: what the result does not show, for the top of the report.
        splits: how the data was divided, in words, by part.
        assignment: ``() -> {side: {"samples": n, "subjects": [digest]}}``, such as
            `medjax.data.Splits.record`: kept with the run, which goes on only with the
            same. Not called before the run begins.
    """

    title: str
    learner: Learner
    example: Batch
    train: Loader
    steps: int
    evaluation: Evaluation | None = None
    seed: int = 0
    placement: Placement = field(default_factory=Placement)
    log_every: int = 10
    evaluate_every: int = 200
    checkpoint_every: int = 100
    samples: Samples | None = None
    rules: tuple[Rule, ...] = ()
    on_unstable: str = "warn"
    predictor: Callable[[Callable[[Batch], Any], Path], Any] | None = None
    pretrained: Callable[[State], PyTree] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    splits: Mapping[str, str] = field(default_factory=dict)
    assignment: Callable[[], Mapping[str, Any]] | None = None

    def __post_init__(self):
        for name in ("steps", "log_every", "evaluate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise InputError(name, "a number of at least 1", getattr(self, name))
        if self.on_unstable not in POLICIES:
            raise InputError("on_unstable", f"one of {', '.join(POLICIES)}", repr(self.on_unstable))
        if not 0 <= self.seed < 2**32:
            raise InputError("seed", "a number in 0 to 2**32 - 1", self.seed)
