"""A study's facts as the reporting guidelines ask for them: CLAIM, STARD-AI and TRIPOD+AI.

Item numbers are those of CLAIM (Mongan, Moy and Kahn 2020), STARD 2015 (Bossuyt et al.), which STARD-AI extends, and
TRIPOD+AI (Collins et al. 2024).  What a program can know stands in the table; what only the authors can is named, so
that it is not forgotten.  A fact that breaks a guideline's rule is pointed out in its row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pycaffe_ext.report.model import Table

NOT_RECORDED = "not recorded"
AUTHORS = "to be stated by the authors"
HEADER = ("topic", "CLAIM", "STARD", "TRIPOD+AI", "in this study", "to be noted")


class Partition(NamedTuple):
    """A part of the data.  groups : videos or patients        items : frames or images        targets : lesions, None
    where the items themselves are classified"""

    groups: int
    items: int
    targets: int | None = None


class Look(NamedTuple):
    """Something that was chosen on data.  what : "voting", "forests", "snapshot"        on : the part, in words
    tested : how many of its items are tested on by a seed that uses the choice; None = not recorded"""

    what: str
    on: str
    tested: int | None


@dataclass(frozen=True)
class Facts:
    """What a study is known by; None where it is not recorded, an empty sequence where there is none.

    source : the data set in words        reference : where the ground truth comes from        unit : what is counted
    item, target : "frame", "polyp"; no target where items are classified
    group : what belongs together, "video" or "patient"        groups_known : whether the data set names them; False =
    every picture is taken as a group of its own, although some may be of one patient
    partitions : "training" -> counts, of one seed        shared_groups : groups that lie in two partitions of a seed
    seeds : trainings of each net        overlap : mean share of test frames that two seeds have in common
    endpoint : the primary one        threshold : how it was chosen, in words        looks : see `Look`
    excluded : (what, how many) of the frames or videos that were left out        intervals, adjustment : in words
    smallest_difference : the smallest difference that the study can show, with its unit, in words
    """

    source: str
    unit: str
    item: str
    target: str
    group: str
    groups_known: bool
    partitions: Mapping[str, Partition]
    seeds: int
    endpoint: str
    intervals: str
    reference: str | None = None
    shared_groups: int | None = None
    overlap: float | None = None
    threshold: str | None = None
    looks: Sequence[Look] | None = None
    excluded: Sequence[tuple[str, int]] | None = None
    adjustment: str | None = None
    smallest_difference: str | None = None
    external: str | None = None


class Row(NamedTuple):
    """A row of the table (HEADER); note : what a reader must know, or ""."""

    topic: str
    claim: str
    stard: str
    tripod: str
    text: str
    note: str = ""


def rows(facts: Facts) -> list[Row]:
    """The table in the order of a paper's methods and results."""
    return [
        Row("data source", "7", "8", "5a", facts.source),
        Row("eligibility, setting, dates, demographics", "8, 34", "6-9, 20", "5b, 6a-6b, 20b", AUTHORS),
        Row("exclusions", "10, 33", "19", "20a", _excluded(facts.excluded)),
        Row("reference standard", "14", "10b", "8a", facts.reference or NOT_RECORDED),
        Row("unit of analysis", "11", "14", "8a", facts.unit),
        Row("clustering", "21", "14", "12d", _clustering(facts), _clustering_note(facts)),
        Row("partitions", "20", "18", "12a", _partitions(facts)),
        Row("level at which partitions are disjoint", "21", "-", "12a", facts.group, _shared_note(facts)),
        Row("repeated trainings", "25", "-", "12c", _seeds(facts), _overlap_note(facts)),
        Row("tuning", "26", "12a", "12c", _tuning(facts.looks), _tuning_note(facts)),
        Row("threshold", "28", "12a", "15", facts.threshold or NOT_RECORDED),
        Row("primary endpoint", "28", "14", "12e", facts.endpoint),
        Row("uncertainty", "29, 36", "24", "23a", facts.intervals),
        Row("several comparisons", "29", "14", "12e", facts.adjustment or NOT_RECORDED),
        Row("sample size", "19", "18", "10", _size(facts.smallest_difference)),
        Row("external validation", "32", "-", "16", facts.external or AUTHORS),
    ]


def table(found: Sequence[Row], made_by: Sequence[Callable[..., Any]] = ()) -> Table:
    """The table for a reader."""
    return Table(HEADER, found, made_by=(rows, *made_by))


def _excluded(excluded: Sequence[tuple[str, int]] | None) -> str:
    if excluded is None:
        return NOT_RECORDED
    return ", ".join(f"{count} {what}" for what, count in excluded if count) or "none"


def _clustering(facts: Facts) -> str:
    if not facts.groups_known:
        return "every picture is a group of its own"
    test = facts.partitions.get("test")
    return f"by {facts.group}" + (f", {test.groups} in the test set" if test else "")


def _clustering_note(facts: Facts) -> str:
    if facts.groups_known:
        return ""
    return f"the data set does not name {facts.group}s: pictures of one may be on both sides, and intervals too narrow"


def _partitions(facts: Facts) -> str:
    return "; ".join(f"{name}: {_sizes(facts, part)}" for name, part in facts.partitions.items())


def _sizes(facts: Facts, part: Partition) -> str:
    targets = [] if part.targets is None else [_several(part.targets, facts.target)]
    return ", ".join([_several(part.groups, "group"), _several(part.items, facts.item), *targets])


def _several(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _shared_note(facts: Facts) -> str:
    if facts.shared_groups is None:
        return NOT_RECORDED
    return f"{facts.shared_groups} in two partitions: the test is not independent" if facts.shared_groups else ""


def _seeds(facts: Facts) -> str:
    return f"{_several(facts.seeds, 'training')} of each net"


def _overlap_note(facts: Facts) -> str:
    if not facts.overlap:
        return ""
    return f"two test sets share {100 * facts.overlap:.0f} % of their {facts.item}s on average"


def _tuning(looks: Sequence[Look] | None) -> str:
    if looks is None:
        return NOT_RECORDED
    return "; ".join(f"{look.what} on {look.on}" for look in looks) or "nothing was tuned"


def _tuning_note(facts: Facts) -> str:
    looks, items = facts.looks or (), f"{facts.item}s"
    seen = [
        f"{look.tested} of the {items} that {look.what} was chosen on are tested on" for look in looks if look.tested
    ]
    unknown = ", ".join(look.what for look in looks if look.tested is None)
    return "; ".join([*seen, *([f"whether test {items} were seen is not recorded: {unknown}"] if unknown else [])])


def _size(smallest: str | None) -> str:
    return f"smallest difference that can be shown: {smallest}" if smallest else NOT_RECORDED
