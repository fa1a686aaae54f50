"""What a metric must answer: how nets are judged, from patch scores to the pages of a report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats, Ints, Samples
from pycaffe_ext.evaluation import roc
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.findings.model import Merit

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import Study


SCORES = "scores.csv"


@dataclass(frozen=True)
class PatchScores:
    """n scored patches.  sample : (n,) int32, row of TestData.samples.   label : (n,) int, class of the sample.
    probability : (n, classes) float64."""

    sample: Ints
    label: Ints
    probability: Floats


@dataclass(frozen=True)
class TestData:
    """What a net is tested on.  items : names of the test items.   group : (items,) str.
    samples : their `item` counts `items`.   classes : names, class 0 the background."""

    __test__ = False  # pytest: this is no test

    items: tuple[str, ...]
    group: NDArray[Any]
    samples: Samples
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A CSV file of a run or a report."""

    file: str
    header: Sequence[str]
    rows: Iterable[Sequence[Any]]


@dataclass(frozen=True)
class Headline:
    """The one number of a run, by which runs are listed and compared; higher is better unless it says otherwise."""

    name: str  # "sensitivity at 1 false positive a frame"
    value: float
    low: float | None = None
    high: float | None = None
    higher_is_better: bool = True

    def __str__(self) -> str:
        ends = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{ends}"


E = TypeVar("E")


class Metric(ABC, Generic[E]):
    """How an application's nets are judged; E is the evaluation of one net on the test data."""

    baseline: ClassVar[str | None] = None  # what the samples' own scores come from: "detector"; None where nothing

    @property
    @abstractmethod
    def unit(self) -> str:
        """What is counted, in words."""

    @abstractmethod
    def validation(self, probability: Floats, label: Ints) -> float:
        """What early stopping maximises; (n, classes) float64 and (n,) int of the validation patches."""

    def tuned(self, validation: TestData, scores: PatchScores) -> Metric[E]:
        """This metric with what it chooses on the scored validation samples; most choose nothing."""
        return self

    @abstractmethod
    def evaluate(self, test: TestData, scores: PatchScores) -> E:
        """The evaluation of a net whose patches have these scores."""

    @abstractmethod
    def result(self, evaluation: E, seed: int) -> dict[str, Any]:
        """What result.json says of the test: JSON-able."""

    @abstractmethod
    def headline(self, result: Mapping[str, Any], of_baseline: bool = False) -> Headline:
        """The primary endpoint, from what `result` gave; of the baseline's own scores if asked for."""

    @abstractmethod
    def text(self, result: Mapping[str, Any]) -> list[str]:
        """Lines for the terminal about the test, from what `result` gave."""

    @abstractmethod
    def thresholds(self, validation: E, test: E, seed: int) -> list[dict[str, Any]]:
        """Thresholds chosen on the validation samples and what they reach there and on the test, the primary one first.

        validation : the evaluation of all validation samples, as they occur.   Rows as in `carried`.
        """

    @abstractmethod
    def scores(self, evaluation: E) -> Table:
        """scores.csv: every sample with its scores."""

    @abstractmethod
    def tables(self, evaluation: E, seed: int) -> Iterator[Table]:
        """scores.csv, which `read` reads again, and the curves."""

    @abstractmethod
    def figures(self, folder: Path, evaluation: E, name: str, title: str) -> list[str]:
        """Draw the figures of a run into its folder; returns their file names.  name : of the curve."""

    @abstractmethod
    def read(self, run: Path, test: TestData, file: str = SCORES) -> E:
        """The evaluation of a finished run, from its table of scores; UserError if that is not of `test`."""

    @abstractmethod
    def merit(self, evaluation: E | None = None) -> Merit:
        """By what a study over a grid compares nets; fixed before any result.

        evaluation : of any of them, which may tell the figure's exact name; None before there is one.
        """

    @abstractmethod
    def judged(self, evaluation: E, of_baseline: bool = False) -> Any:
        """The test items with the net's scores, or the baseline's, as `judged_figure` takes them; None without a
        baseline."""

    @abstractmethod
    def judged_figure(
        self,
        judged: Mapping[int, Mapping[str, Any]],
        group: Mapping[int, Sequence[Hashable]],
        names: Sequence[str],
    ) -> Figure:
        """The merit of what `judged` gave, as `merit_figure` has it."""

    def merit_figure(
        self,
        evaluations: Mapping[int, Mapping[str, E]],
        group: Mapping[int, Sequence[Hashable]],
        names: Sequence[str],
        baseline: str = "",
    ) -> Figure:
        """The merit of every seed (rows) and net (columns, as in `names`), more is better.

        evaluations : seed, or fold of a seed -> name -> its test, at least one.   group : seed -> of each test item;
        the same name in two seeds is the same group.   baseline : what a last column is called, which has the merit of
        the baseline's own scores; "" = none
        """
        judged = {key: {name: self.judged(one) for name, one in own.items()} for key, own in evaluations.items()}
        if not baseline:
            return self.judged_figure(judged, group, names)
        for key, own in evaluations.items():
            judged[key][baseline] = self.judged(next(iter(own.values())), of_baseline=True)
        return self.judged_figure(judged, group, [*names, baseline])

    @abstractmethod
    def report(self, folder: Path, study: Study, missing: Sequence[str], options: Mapping[str, Any]) -> None:
        """Write the figures, tables and pages of a study's report into an empty folder.

        missing : runs of the study that are not finished.   options : of the report alone, such as `margin`.
        """


def positive(probability: Floats) -> Floats:
    """(n,) score of "anything but class 0": 1 - P(class 0), summed over the other classes to keep small values.

    probability : (n, classes).   With two classes it is P(class 1); for imt the two interface classes count as one
    positive class [S].
    """
    score: Floats = probability[:, 1:].sum(axis=1)
    return score


def patch_auc(probability: Floats, label: Ints) -> float:
    """ROC AUC of patches; anything but class 0 is positive."""
    return roc.auc(np.asarray(label) > 0, positive(probability))
