"""Distance of two boundaries: how nets are judged that find the wall of an artery, the far one's thickness first."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.columns import read_columns
from pycaffe_ext.data.items import Floats, Ints
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import walls
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.findings.model import Merit
from pycaffe_ext.evaluation.margins import MARGINS
from pycaffe_ext.evaluation.metrics.base import SCORES, Headline, Metric, PatchScores, Table, TestData, patch_auc
from pycaffe_ext.evaluation.seeds import NOT_POSITIVE
from pycaffe_ext.evaluation.wall_figures import accuracy_figure
from pycaffe_ext.evaluation.walls import INTERFACES, Walls, text_of

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import Study

ENDPOINT = "mean absolute error of the thickness in mm"  # the primary endpoint
NETWORK, ALONE, BASELINE = "network", "network_alone", "gradients"
MEASURES = (  # of samples: pixels, NaN = not judged; mm; how much the image itself looks like either boundary there
    *("true_li", "true_ma", "baseline_li", "baseline_ma"),
    "mm_per_pixel",
    *("edge_li", "edge_ma"),
)
AS_TEXT = {ALONE: "network without the image's edges"}
CURVES = ("true_li", "true_ma", "network_li", "network_ma", "gradients_li", "gradients_ma")
KINDS = {"image": str, "x": float, **dict.fromkeys(CURVES, float)}
IMAGE_HEADER = ("scores", "image", "group", "mm_per_pixel", "columns", "true_thickness_mm", "thickness_mm")
Self = TypeVar("Self", bound="Boundaries")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The test of one net.

    network, baseline : the same images and columns, as the net and as the gradients find the boundaries.
    alone : as the net does without the image's own edges; None in an evaluation that was read back.
    patch_auc : of the single places, both interfaces one class [S]; None in an evaluation that was read back.
    chosen : what was chosen on the validation images, JSON-able.
    """

    network: Walls
    baseline: Walls
    patch_auc: float | None = None
    chosen: Mapping[str, Any] | None = None
    alone: Walls | None = None

    @property
    def of(self) -> dict[str, Walls]:
        return {NETWORK: self.network, BASELINE: self.baseline}


class Boundaries(Metric[Evaluation]):
    """An application subclasses it to say how probabilities become curves."""

    unit = "the image, by the mean thickness of its judged columns; the boundaries by column"
    baseline = BASELINE

    @abstractmethod
    def curves(
        self, test: TestData, probability: Floats, alone: bool = False
    ) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Image and x (c,) of each column, by image and x, and (c, 2) rows of both boundaries, in pixels.

        alone : from the net's maps only, without the image's own edges.
        """

    @property
    @abstractmethod
    def chosen(self) -> Mapping[str, Any] | None:
        """What `tuned` chose, JSON-able; None before."""

    def validation(self, probability: Floats, label: Ints) -> float:
        """AUC of patches; the two interfaces are one positive class [S]."""
        return patch_auc(probability, label)

    def evaluate(self, test: TestData, scores: PatchScores) -> Evaluation:
        """Raises UserError if no column of an image is judged."""
        probability = mean_by_sample(scores, len(test.samples))
        made = walls_of(test, *self.curves(test, probability))
        alone = walls_of(test, *self.curves(test, probability, alone=True))[0]
        known = np.isfinite(measures_of(test)[:, 0])
        auc = patch_auc(probability[known], test.samples.label[known])
        return Evaluation(*made, auc, self.chosen, alone)

    def result(self, evaluation: Evaluation, seed: int) -> dict[str, Any]:
        """Raises UserError for fewer than two judged images: nothing can be said of their agreement."""
        if (count := len(evaluation.network.judged)) < 2:
            raise UserError(f"{count} test image with a column that can be judged; at least 2 are needed")
        return {
            **walls.counts(evaluation.network),
            "patch_auc": evaluation.patch_auc,
            "chosen": evaluation.chosen,
            **{name: walls.record(own, seed) for name, own in evaluation.of.items()},
            **({ALONE: walls.record(evaluation.alone, seed)} if evaluation.alone else {}),
        }

    def headline(self, result: Mapping[str, Any], of_baseline: bool = False) -> Headline:
        figure = result[BASELINE if of_baseline else NETWORK]["thickness"]["mean_absolute"]
        low, high = figure["group_95"] or (None, None)
        return Headline(ENDPOINT, figure["value"], low, high, higher_is_better=False)

    def text(self, result: Mapping[str, Any]) -> list[str]:
        lines = [f"test: {result['judged_images']} images in {result['groups']} groups; 95 % intervals by group"]
        for name in (NETWORK, ALONE, BASELINE):
            if name not in result:  # of an earlier version
                continue
            thickness, words = result[name]["thickness"], AS_TEXT.get(name, name)
            lines.append(
                f"  {words}: {ENDPOINT} {text_of(thickness['mean_absolute'])}, bias {text_of(thickness['bias'])}"
            )
            for kind, words in INTERFACES.items():
                columns = result[name][kind]["columns"]
                lines.append(
                    f"    {words}: median error {columns['median']:.0f}, mean {columns['mean']:.0f}, signed"
                    f" {columns['signed']:+.0f} micrometres"
                )
        return lines

    def thresholds(self, validation: Evaluation, test: Evaluation, seed: int) -> list[dict[str, Any]]:
        """None: nothing is called at a threshold."""
        return []

    def scores(self, evaluation: Evaluation) -> Table:
        """A line a column."""
        return Table(SCORES, tuple(KINDS), _rows(evaluation))

    def tables(self, evaluation: Evaluation, seed: int) -> Iterator[Table]:
        yield self.scores(evaluation)
        errors = [f"{kind.lower()}_{name}_um" for kind in INTERFACES for name in walls.OF_IMAGE]
        yield Table("images.csv", (*IMAGE_HEADER, *errors), image_rows(evaluation))

    def figures(self, folder: Path, evaluation: Evaluation, name: str, title: str) -> list[str]:
        from pycaffe_ext.report.boundaries import figures

        return figures.run_figures(folder, {name: evaluation.network, BASELINE: evaluation.baseline}, title)

    def read(self, run: Path, test: TestData, file: str = SCORES) -> Evaluation:
        columns = read_columns(run / file, KINDS)
        place = {name: i for i, name in enumerate(test.items)}
        image = np.array([place.get(name, -1) for name in columns["image"].tolist()], np.int64)
        true, found, baseline = (
            np.column_stack([columns[f"{of}_{kind.lower()}"] for kind in INTERFACES])
            for of in ("true", NETWORK, BASELINE)
        )
        if (image < 0).any() or (np.diff(image) < 0).any():
            raise UserError(f"{run / file}: not the images that were tested; remove the run and repeat it")
        made = walls_of(test, image, columns["x"], found)
        same = [
            np.allclose(a, b, atol=1e-6, equal_nan=True) for a, b in ((made[0].true, true), (made[1].found, baseline))
        ]
        if not all(same):
            raise UserError(f"{run / file}: not the boundaries that were tested; remove the run and repeat it")
        return Evaluation(*made)

    def merit(self, evaluation: Evaluation | None = None) -> Merit:
        """The primary endpoint."""
        return Merit(ENDPOINT, "mm", 0.0, NOT_POSITIVE, False, MARGINS.millimetres)

    def judged(self, evaluation: Evaluation, of_baseline: bool = False) -> Walls:
        return evaluation.baseline if of_baseline else evaluation.network

    def judged_figure(
        self, judged: Mapping[int, Mapping[str, Any]], group: Mapping[int, Sequence[Hashable]], names: Sequence[str]
    ) -> Figure:
        return accuracy_figure(judged, group, names)

    def report(self, folder: Path, study: Study, missing: Sequence[str], options: Mapping[str, Any]) -> None:
        from pycaffe_ext.report.boundaries import pages

        pages.write(folder, study, missing, options.get("progress", True), options.get("external"))


def mean_by_sample(scores: PatchScores, count: int) -> Floats:
    """(count, classes) mean over the patches of each sample."""
    total = np.zeros((count, scores.probability.shape[1]))
    np.add.at(total, scores.sample, scores.probability)
    return total / np.bincount(scores.sample, minlength=count)[:, None]


def measures_of(test: TestData) -> Floats:
    """(n, len(MEASURES)) of the samples; ValueError where they have none."""
    if test.samples.measures is None:
        raise ValueError("samples of boundaries need their measures")
    return np.asarray(test.samples.measures, np.float64)


def walls_of(test: TestData, image: NDArray[np.int64], x: Floats, found: Floats) -> tuple[Walls, Walls]:
    """What was found, and the baseline, beside the truth of the same columns; as `Boundaries.curves` gives them.

    Raises UserError if a column was not tested, or none can be judged.
    """
    samples, measures = test.samples, measures_of(test)
    keys = np.column_stack([samples.item, samples.place[:, 0].astype(np.float64)])
    first = np.flatnonzero(np.r_[True, (np.diff(keys, axis=0) != 0).any(axis=1)])
    tested = keys[first]
    if len(tested) != len(image) or not (
        np.array_equal(tested[:, 0], image) and np.allclose(tested[:, 1], x, atol=1e-3)
    ):
        raise UserError("the scores are of other columns than were tested; remove the run and repeat it")
    known, mm = measures[first], np.ones(len(test.items))
    mm[tested[:, 0].astype(np.int64)] = known[:, 4]
    network = Walls(test.items, np.asarray(test.group), mm, image, tested[:, 1], known[:, :2], found)
    if not network.judged:
        raise UserError(f"no column of {len(test.items)} images can be judged: the callipers are on every one")
    return network, replace(network, found=known[:, 2:4])


def _rows(evaluation: Evaluation) -> Iterator[tuple[Any, ...]]:
    network, baseline = evaluation.network, evaluation.baseline
    table = np.column_stack([network.true, network.found, baseline.found])
    for image, x, row in zip(network.image.tolist(), network.x.tolist(), table.tolist(), strict=True):
        yield network.names[image], repr(x), *map(repr, row)


def image_rows(evaluation: Evaluation) -> Iterator[tuple[Any, ...]]:
    """Rows of images.csv: of the network and the baseline, each judged image."""
    for name, own in evaluation.of.items():
        found, true = own.thickness
        each = [own.of_images(interface) for interface in range(len(INTERFACES))]
        for row, image in enumerate(own.judged):
            errors = [getattr(of[row], field) for of in each for field in walls.OF_IMAGE]
            head = name, own.names[image], own.group[image], own.mm[image], each[0][row].columns
            yield *head, true[row], found[row], *errors
