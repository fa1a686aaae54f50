"""What an application must answer; everything else (splits, packing, training, scoring, tables) is shared.

`registry.py` lists the applications, `preparation.py` takes them from items to packed patches, `runs.pipeline` from
there to the result.  CONTRIBUTING.md has the steps to add one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.doubles import Said
from pycaffe_ext.data.fixed import with_splits
from pycaffe_ext.data.frames import SUFFIXES
from pycaffe_ext.data.items import Floats, Ints, Item, Parts, Picture, Samples, Views
from pycaffe_ext.data.sources import left_out_text, listing
from pycaffe_ext.data.splits import TEST_FRACTION
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.evaluation.metrics.base import Metric, Table

if TYPE_CHECKING:
    from pycaffe_ext.data.groups import Hashed
    from pycaffe_ext.data.sources import LeftOut
    from pycaffe_ext.runs.settings import DataRequest


NOTED = 10  # notes on a collection that are said


@dataclass(frozen=True)
class Collection:
    """What a data set holds.  left_out : pictures and videos in its folder that no item was made from.
    damaged : names of the damaged items that DAMAGED=keep takes.   notes : what else was left out or chosen."""

    items: Sequence[Any]
    left_out: Sequence[LeftOut] = ()
    damaged: Sequence[str] = ()
    notes: Sequence[str] = ()


def say_about(collection: Collection, say: Callable[[str], None]) -> None:
    """Say what no item was made from, and what was chosen."""
    for note in collection.notes[:NOTED]:
        say(note)
    if (more := len(collection.notes) - NOTED) > 0:
        say(f"and {more} more notes of this kind")
    if collection.left_out:
        say(left_out_text(list(collection.left_out)))


def as_split(found: Collection, home: Path, file: Callable[[Any], Path], request: DataRequest) -> Collection:
    """With the splits that splits.csv in `home` fixes (`data.fixed`); file : of an item, by which it may be called."""
    files = [file(item) for item in found.items]
    return replace(found, items=with_splits(found.items, files, home, Path(request.data or "")))


def check_dataset(request: DataRequest, sources: Iterable[str]) -> None:
    """Raise UserError for a DATASET= without DATA=, or one that none of the `sources` is called."""
    if request.dataset and not request.data:
        known(request.dataset, sources, "data set")
        raise UserError(f"DATASET={request.dataset} says what DATA= holds; give DATA= too, or leave DATASET= out")


def length(request: DataRequest, name: str, span: tuple[float, float]) -> float:
    """An option in mm; raises UserError for one that is not a number in `span`."""
    text, (low, high) = request.option(name), span
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not low <= value <= high:
        raise UserError(f"{name.upper()}={text}: expected a length in mm, {low:g} to {high:g}")
    return value


E = TypeVar("E")
I = TypeVar("I", bound=Item)  # noqa: E741 (an item)


class Application(ABC, Generic[I, E]):
    """Subclass it, set the constants, answer the questions; put a row into registry.APPLICATIONS."""

    slug: ClassVar[str]
    words: ClassVar[tuple[str, str]] = ("frame", "candidate")  # an item and a sample, in tables and messages
    target: ClassVar[str] = ""  # what an item can hold several of, "polyp"; none where items themselves are classified
    places: ClassVar[tuple[str, ...]] = ()  # what the numbers of a sample's place are called
    measures: ClassVar[tuple[str, ...]] = ()  # what the columns of Samples.measures are called
    endings: ClassVar[tuple[str, ...]] = SUFFIXES  # of the pictures that `unlabelled` takes
    test_views: ClassVar[int]  # patches scored per test sample by default
    layout: ClassVar[int] = 1  # of what `propose` leaves; raise it when old folders must not be used again
    any_task: ClassVar[bool] = False  # whether each data set is a task of its own, as anyone's class folders are
    views: Views
    metric: Metric[E]

    @property
    def columns(self) -> tuple[str, ...]:
        """First columns of samples.csv."""
        return *self.words, *self.places

    def check(self, request: DataRequest) -> None:
        """Raise UserError for what is wrong with DATA= and the application's options, before an item is read."""

    def check_test_views(self, request: DataRequest) -> None:
        """Raise UserError for more TEST_VIEWS= than a sample has views."""
        if request.test_views is not None and request.test_views > len(self.views):
            raise UserError(f"TEST_VIEWS={request.test_views} is out of range; allowed: 1 to {len(self.views)}")

    def data_name(self, request: DataRequest) -> str:
        """What the data are called in titles and reports."""
        return request.source if request.data else "synthetic data"

    def same_items(self, request: DataRequest) -> bool:
        """Whether every seed has the same items; else each draws its own, of the same groups where DATA= is given."""
        return bool(request.data)

    def reference(self, request: DataRequest) -> str:
        """Where the ground truth comes from, in words."""
        return "labels of the data set" if request.data else "known, as the data are synthetic"

    @abstractmethod
    def classes(self, request: DataRequest) -> tuple[str, ...]:
        """Names of the classes, class 0 the background; known before anything is packed: the head needs it."""

    @abstractmethod
    def items(self, request: DataRequest, runs: Path) -> Collection:
        """What the data set holds, or synthetic items (kept in `runs`/data), sorted by name.

        Raises UserError that names the file at fault.
        """

    def doubles(self, items: Sequence[I], hashed: Hashed) -> Said:
        """What is to be said of near-duplicates among the items; hashed : as `groups.hash_frames` gives it."""
        return Said()

    def whole(self, request: DataRequest, runs: Path) -> Collection:
        """The items of a data set that is tested on as a whole: it is not split, so it may be smaller than others."""
        return self.items(request, runs)

    @abstractmethod
    def strata(self, items: Sequence[I]) -> tuple[Ints, tuple[str, ...]]:
        """(items,) int, what the splits balance (shows a polyp, the image's class); and a name for each stratum.

        Each but stratum 0 must be in three groups, one for each split; if stratum 0 must be too, name it, else "".
        """

    def test_fraction(self, request: DataRequest) -> float:
        """Share of the items that the split keeps for the test, above 0 and below 1: the paper's half."""
        return TEST_FRACTION

    def fixed_splits(self, items: Sequence[I]) -> Mapping[str, Sequence[I]] | None:
        """split -> its items where the user fixed the splits; None where they are to be drawn."""
        return None

    def tuning(self, request: DataRequest) -> float:
        """Share of the data set's groups on which settings of this application may be chosen; see `tuning_items`."""
        return 0.0

    @abstractmethod
    def propose(self, parts: Mapping[str, Sequence[I]], workspace: Path, request: DataRequest) -> Samples:
        """Where patches may be cut and what each is; `item` counts the items of all parts, in order.

        Learns from parts["train"] only, and leaves its model in the folder `workspace`.
        """

    def pictures(self, folder: Path, cache: Path) -> Mapping[str, Path]:
        """name -> file of the pictures to predict for below `folder`; `cache` : for the frames of videos."""
        return listing.images(folder, self.endings)

    @abstractmethod
    def unlabelled(self, pictures: Sequence[tuple[str, Path]], request: DataRequest) -> list[I]:
        """Items of pictures without labels, each (name, file), to predict for; request : of the run."""

    @abstractmethod
    def apply(self, items: Sequence[I], workspace: Path) -> Samples:
        """Samples of items without labels (all 0), proposed by the model that `propose` left in `workspace`."""

    def apply_labelled(self, items: Sequence[I], workspace: Path) -> Samples:
        """What `apply` gives, of items with labels: each sample with its own."""
        return self.apply(items, workspace)

    @abstractmethod
    def cut(self, item: I, places: NDArray[np.float32], views: Ints, size: int) -> Iterator[Picture]:
        """(3, size, size) uint8 BGR patches, in the order asked for; places : (m, k), views : (m,) int."""

    def dense(self, request: DataRequest) -> bool:
        """Whether nets see whole regions in the test (`runs.dense`) instead of a patch at each place."""
        return False

    def canvas(self, item: I, size: int) -> Picture:
        """(3, H, W) uint8 of which every patch of `size` is a part as it is; only where `dense` may hold."""
        raise NotImplementedError

    def corners(self, item: I, places: NDArray[np.float32], size: int) -> Ints:
        """(m, 2) x and y of the first pixel of each place's patch on `canvas`; places : (m, k)."""
        raise NotImplementedError

    def show(self, item: I) -> Picture:
        """(H, W, 3) uint8 BGR: the item as patches are cut from it, for a reader.

        `Item.picture` may be another one: what near-duplicates are recognised by.
        """
        return item.picture()

    def as_tested(self, test: Mapping[str, Any]) -> Application[I, E]:
        """The application with what a run chose on its validation items; test : what `Metric.result` gave."""
        return self

    def predictions(self, items: Sequence[I], samples: Samples, probability: Floats) -> Sequence[Table]:
        """The tables of predictions, the first one named to the user; none where a line a sample says it all.

        probability : (n, classes) of the samples.
        """
        return ()

    @abstractmethod
    def overlay(self, item: I, samples: Samples, probability: Floats, classes: Sequence[str]) -> Picture:
        """The item's picture, (H, W, 3) uint8 BGR, with what a net says of its samples drawn on it.

        samples : m, of this item.   probability : (m, classes).
        """

    def overlays(self, item: I, samples: Samples, probability: Floats, classes: Sequence[str]) -> Mapping[str, Picture]:
        """What is drawn of an item for `make predict`: name -> picture; "" is a file called as the item, others lie in
        a folder of its name.   Arguments as for `overlay`."""
        return {"": self.overlay(item, samples, probability, classes)}

    def balanced(self, request: DataRequest) -> bool:
        """Whether training and validation patches are as many of each class (the paper) or as the data are."""
        return True

    def fitted(self, workspace: Path) -> Mapping[str, str]:
        """File -> digest of the models that `propose` left there; each run checks them again."""
        return {}

    def learnt(self, workspace: Path) -> Mapping[str, Any]:
        """What `propose` decided on the training items, for a reader; kept with the counts of `facts` of "train"."""
        return {}

    def key(self) -> Mapping[str, Any]:
        """What decides about `propose` besides the request: settings of a detector; JSON-able."""
        return {}

    @abstractmethod
    def facts(self, items: Parts, samples: Samples, patches: Ints) -> dict[str, Any]:
        """split -> counts at each stage, for a reader; patches : (n,) packed patches of each sample."""

    @abstractmethod
    def data_text(self, facts: Mapping[str, Any], patches: Mapping[str, int]) -> list[str]:
        """Lines for the terminal about the data, from what `facts` gave."""
