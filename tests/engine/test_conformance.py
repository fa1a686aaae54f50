"""A fixed part of the conformance suite (`make conformance` runs all of it): every quick-th row of each group."""

from __future__ import annotations

import pytest
from engine_cases import one
from oracle import Group, Outcome, layers, refusals, solvers, suite, table
from oracle.training import train_ours

from pycaffe_ext.engine.layers.neuron import ReLU
from pycaffe_ext.engine.solver import solver
from pycaffe_ext.engine.solver.lr_policy import learning_rate
from pycaffe_ext.errors import UserError

GROUPS = [group for group in suite.all_groups() if group.chapter != "Layers"]  # test_engine_layers runs them all


def _row(group: Group):
    """Whole nets take minutes; tests/nets trains and tests each of them in both engines too."""
    marks = [pytest.mark.thorough] if group.chapter == "Whole nets" else []
    return pytest.param(group, id=f"{group.chapter}: {group.name}", marks=marks)


@pytest.mark.slow
@pytest.mark.genuine
@pytest.mark.parametrize("group", [_row(group) for group in GROUPS])
def test_this_engine_conforms(group, tmp_path):
    if not group.rows:
        pytest.skip("its files are not beside the checkout")
    outcomes = list(group.run(group.part(), tmp_path))
    assert len(outcomes) == len(group.part())
    assert not [f"{outcome.name}: {outcome.problem}" for outcome in outcomes if outcome.problem]


@pytest.mark.genuine
@pytest.mark.parametrize("row", refusals.SOUND, ids=[row.name for row in refusals.SOUND])
def test_what_has_nothing_wrong_is_accepted_by_both(row, tmp_path):
    assert refusals.try_both(row, tmp_path) == (None, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.thorough] if kind != "SGD" else []) for kind in solvers.TYPES]
)
def test_every_setting_of_a_solver_row_changes_the_training(kind, tmp_path):
    """Else the row would compare what another row compares already."""
    rows = solvers.rows_of(kind)
    plain = rows[:: len(rows) // len(solvers.POLICIES)]  # the first row of each policy
    some = {row.name: row for row in rows if row in plain or row.settings["lr_policy"] == "step"}.values()
    nets = {frozen: solvers.prepare(tmp_path / f"net{frozen:d}", frozen) for frozen in (False, True)}
    seen = {}
    for i, row in enumerate(some):
        after = train_ours(row.write(tmp_path / str(i), nets[row.frozen]), solvers.ITERATIONS)
        seen.setdefault(after["fc2:0"].tobytes(), []).append(row.name)
    assert [names for names in seen.values() if len(names) > 1] == []


def test_names_tell_rows_apart():
    for group in GROUPS:
        names = [row.name for row in group.rows]
        assert len(set(names)) == len(names), group.name


def test_a_part_is_spread_evenly_and_ends_with_the_last_row():
    group = Group("c", "g", range(10), lambda rows, folder: iter(()), "", quick=4)
    assert group.part() == [1, 5, 9] and group.part(1) == list(range(10)) and group.part(100) == [9]


@pytest.mark.genuine
def test_a_wrong_layer_and_a_case_that_kills_an_engine_are_failed_rows(tmp_path, monkeypatch):
    def forward(self, bottom, top):
        top[0].data = 1.1 * bottom[0].data

    monkeypatch.setattr(ReLU, "forward", forward)
    cases = [one("TanH"), one("ReLU"), one("Nonesuch"), one("PReLU", shape=(1, 2, 1, 1, 3)), one("AbsVal")]
    found = list(layers.run(cases, tmp_path))
    assert [outcome.name for outcome in found] == [case.name for case in cases]
    good, wrong, unknown, fatal, last = (outcome.problem for outcome in found)
    assert not good and not last
    assert "data:y" in wrong and "unknown type" in unknown and "the genuine Caffe died" in fatal


@pytest.mark.genuine
def test_a_rate_that_is_off_by_a_thousandth_is_a_failed_row(tmp_path, monkeypatch):
    rows = solvers.rows_of("SGD")[:2]
    monkeypatch.setattr(solver, "learning_rate", lambda *given: 1.001 * learning_rate(*given))
    assert all("fc2:0" in outcome.problem for outcome in solvers.run(rows, tmp_path))


def test_rows_behind_a_broken_one_are_failed_and_not_dropped(tmp_path):
    def run(rows, folder):
        yield Outcome("a")
        raise OSError("disk full")

    rows = [refusals.Row("a"), refusals.Row("b"), refusals.Row("c")]
    found = list(suite.outcomes(Group("c", "g", rows, run, ""), rows, tmp_path))
    assert [outcome.name for outcome in found] == ["a", "b", "c"]
    assert not found[0].problem and all("not run, OSError: disk full" in outcome.problem for outcome in found[1:])


def test_the_table_shows_what_failed():
    group = Group("Layers", "pooling", [1, 2], lambda rows, folder: iter(()), "largest difference", 1e-5)
    outcomes = [Outcome("good", 1e-7), Outcome("bad", float("nan"), "the genuine Caffe died")]
    text = table.markdown([table.Result(group, outcomes)])
    assert "| Layers | pooling | 2 | 1 | nan | 1e-05 |" in text
    assert "## Failed" in text and "`bad`: the genuine Caffe died" in text and "`good`" not in text


def test_an_unknown_group_is_told():
    with pytest.raises(UserError, match="no group 'poling'; there are Layers/"):
        suite.chosen(["poling"])
    assert {group.chapter for group in suite.chosen(["solvers"])} == {"Solvers"}
