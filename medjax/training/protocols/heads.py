"""Classical classifiers on frozen features. The only file that imports scikit-learn."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from medjax.core.errors import MissingExtraError

from .linear import standardiser
from .protocol import CHOICE, Classifier, Protocol
from .sets import Labelled

_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


class _Classical(Protocol):
    """What the three share: standardised features, scores of classes that were not seen."""

    def model(self, setting: Mapping[str, Any], seed: int) -> Any:
        """The unfitted classifier."""
        raise NotImplementedError

    def predicted(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        """Scores of the classes that the model was fitted to."""
        return model.predict_proba(inputs)

    def fit(
        self, train: Labelled, classes: int, setting: Mapping[str, Any], seed: int
    ) -> Classifier:
        standard = standardiser(train.inputs)
        seen = np.unique(train.labels)
        model = self.model(setting, seed)
        if len(seen) > 1:  # else there is nothing to tell apart, and scikit-learn refuses
            model.fit(standard(train.inputs), train.labels)

        def classifier(inputs: np.ndarray) -> np.ndarray:
            if len(seen) > 1:
                found = self.predicted(model, standard(inputs))
            else:
                found = np.ones((len(inputs), 1))
            scores = np.full((len(inputs), classes), found.min() - 1, np.float32)
            scores[:, seen] = found
            return scores

        return classifier


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogisticHead(_Classical):
    """Logistic regression with scikit-learn's solver.

    `LinearProbe` is the same model without scikit-learn, for any number of samples.

    Attributes:
        strengths: to choose from: scikit-learn's ``C``, which is one over the penalty times
            the number of training samples; the smallest first.
    """

    title: ClassVar[str] = "logistic regression on frozen features (scikit-learn)"
    fixed: ClassVar[tuple[str, ...]] = (
        "features standardised by the training samples' mean and standard deviation",
        "L2 penalty",
        f"strength {CHOICE}",
    )

    strengths: tuple[float, ...] = _STRENGTHS

    def candidates(self) -> Sequence[Mapping[str, Any]]:
        return [{"strength": c} for c in self.strengths]

    def model(self, setting: Mapping[str, Any], seed: int) -> Any:
        return _sklearn("linear_model").LogisticRegression(C=setting["strength"], max_iter=10_000)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SVMHead(_Classical):
    """Support vectors with radial basis functions.

    Attributes:
        strengths: to choose from: ``C``, the cost of a violated margin; the smallest first.
    """

    title: ClassVar[str] = "support vector machine on frozen features (scikit-learn)"
    fixed: ClassVar[tuple[str, ...]] = (
        "features standardised by the training samples' mean and standard deviation",
        "radial basis functions exp(-|x - y|^2 / channels); classes one against one",
        f"strength {CHOICE}",
    )

    strengths: tuple[float, ...] = _STRENGTHS

    def candidates(self) -> Sequence[Mapping[str, Any]]:
        return [{"strength": c} for c in self.strengths]

    def model(self, setting: Mapping[str, Any], seed: int) -> Any:
        return _sklearn("svm").SVC(C=setting["strength"], gamma="auto")

    def predicted(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        found = model.decision_function(inputs)
        # Of two classes scikit-learn gives only the second one's.
        return np.stack([-found, found], axis=1) if found.ndim == 1 else found


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForestHead(_Classical):
    """A random forest.

    Attributes:
        shares: to choose from: the share of features that a split may look at.
        trees: grown to the end, on bootstrap samples.
    """

    title: ClassVar[str] = "random forest on frozen features (scikit-learn)"
    fixed: ClassVar[tuple[str, ...]] = (
        "features standardised by the training samples' mean and standard deviation",
        f"share of features at a split {CHOICE}",
    )
    seeded: ClassVar[bool] = True

    shares: tuple[float, ...] = (0.05, 0.2, 0.5)
    trees: int = 200

    def candidates(self) -> Sequence[Mapping[str, Any]]:
        return [{"share": share} for share in self.shares]

    def model(self, setting: Mapping[str, Any], seed: int) -> Any:
        return _sklearn("ensemble").RandomForestClassifier(
            self.trees, max_features=setting["share"], random_state=seed
        )


def _sklearn(module: str) -> Any:
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError:
        raise MissingExtraError("scikit-learn", "probes", "a classical head") from None
