"""The reporting table: every fact in its row, what is missing named, what breaks a rule pointed out."""

from dataclasses import replace

import pytest

from pycaffe_ext.report import model
from pycaffe_ext.report.reporting import AUTHORS, HEADER, NOT_RECORDED, Facts, Look, Partition, rows, table

FACTS = Facts(
    source="CVC-ClinicDB",
    unit="sensitivity by polyp, false positives by frame",
    item="frame",
    target="polyp",
    group="video",
    groups_known=True,
    partitions={"training": Partition(15, 300, 320), "test": Partition(14, 312, 330)},
    seeds=3,
    endpoint="sensitivity at 1 false positive per frame",
    intervals="95 % by video",
    reference="masks of the data set",
    shared_groups=0,
    overlap=0.0,
    threshold="chosen on validation frames",
    looks=(Look("voting", "a tuning part", 0), Look("snapshot", "validation frames", 0)),
    excluded=(("damaged frames", 2), ("frames without a mask", 0)),
    adjustment="Holm over the claims",
    smallest_difference="0.07 of sensitivity",
)


def by_topic(facts):
    return {row.topic: row for row in rows(facts)}


def test_every_fact_stands_in_its_row():
    found = by_topic(FACTS)
    assert found["data source"].text == "CVC-ClinicDB" and found["exclusions"].text == "2 damaged frames"
    assert found["unit of analysis"].text == "sensitivity by polyp, false positives by frame"
    assert found["clustering"].text == "by video, 14 in the test set"
    assert found["partitions"].text == (
        "training: 15 groups, 300 frames, 320 polyps; test: 14 groups, 312 frames, 330 polyps"
    )
    assert found["tuning"].text == "voting on a tuning part; snapshot on validation frames"
    assert found["repeated trainings"].text == "3 trainings of each net"
    assert found["sample size"].text == "smallest difference that can be shown: 0.07 of sensitivity"
    assert found["external validation"].text == AUTHORS
    assert not any(row.note for row in found.values()), "nothing breaks a rule"
    assert not any(row.text == NOT_RECORDED for row in found.values())


@pytest.mark.parametrize(
    "change, topic, note",
    [
        ({"groups_known": False}, "clustering", "does not name videos"),
        ({"shared_groups": 3}, "level at which partitions are disjoint", "3 in two partitions"),
        ({"shared_groups": None}, "level at which partitions are disjoint", NOT_RECORDED),
        ({"overlap": 0.494}, "repeated trainings", "two test sets share 49 % of their frames on average"),
        ({"looks": (Look("voting", "training frames of seed 0", 196),)}, "tuning", "196 of the frames that voting was"),
        ({"looks": (Look("edges", "200 frames", None),)}, "tuning", "not recorded: edges"),
    ],
)
def test_what_breaks_a_rule_is_pointed_out(change, topic, note):
    found = by_topic(replace(FACTS, **change))
    assert note in found[topic].note
    assert [row.topic for row in found.values() if row.note] == [topic]


@pytest.mark.parametrize(
    "field, topic",
    [
        ("reference", "reference standard"),
        ("threshold", "threshold"),
        ("looks", "tuning"),
        ("excluded", "exclusions"),
        ("adjustment", "several comparisons"),
        ("smallest_difference", "sample size"),
    ],
)
def test_what_is_not_recorded_says_so(field, topic):
    assert by_topic(replace(FACTS, **{field: None}))[topic].text == NOT_RECORDED


def test_none_is_not_the_same_as_not_recorded():
    found = by_topic(replace(FACTS, looks=(), excluded=(), seeds=1))
    assert found["tuning"].text == "nothing was tuned" and found["exclusions"].text == "none"
    assert found["repeated trainings"].text == "1 training of each net"


def test_the_table_for_a_reader():
    shown = table(rows(FACTS))
    assert shown.header == HEADER and shown.rows == rows(FACTS)
    page = model.markdown([model.Section("Reporting", [shown])])
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert lines[0] == f"| {' | '.join(HEADER)} |" and len(lines) == 2 + len(rows(FACTS))
    assert all(line.count("|") == len(HEADER) + 1 for line in lines)


def test_classified_items_have_no_targets():
    facts = replace(FACTS, item="image", target="", partitions={"test": Partition(3, 40)})
    assert by_topic(facts)["partitions"].text == "test: 3 groups, 40 images"
