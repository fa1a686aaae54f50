"""Which variables a target of make takes, and how others are refused."""

from __future__ import annotations

import pytest

from pycaffe_ext.command_line.variables import options, refusal

PREDICT = "it takes: RUN, DATA, OUT, CAFFE, GPU, THREADS"
STUDY = "it takes: STUDY, WORKERS, ADDRESS, CAFFE, GPU, THREADS, CACHE_GB, RUNS"


@pytest.mark.parametrize(
    ("goals", "given", "expected"),
    [
        ("predict", "TEST_VIEWS", f"TEST_VIEWS= is not taken by make predict; {PREDICT}"),
        ("predict", "RUNS", f"RUNS= is not taken by make predict; did you mean RUN=? {PREDICT}"),
        ("study", "PATCHES", f"PATCHES= is not taken by make study; {STUDY}"),
        ("study", "COLOUR", f"COLOUR= is no option; {STUDY}"),
        ("study", "WORKER", "WORKER= is no option; did you mean WORKERS=? make help lists all"),
        ("polyp-ft-conv3", "patches", "patches= is no option; did you mean PATCHES=? make help lists all"),
        ("polyp-ft-conv3", "test-views", "test-views= is no option; did you mean TEST_VIEWS=? make help lists all"),
        ("polyp-ft-conv3", "PATCH", "PATCH= is no option; did you mean PATCHES=? make help lists all"),
        ("polyp-ft-conv3", "WEIGHT", "WEIGHT= is no option; did you mean WEIGHTS=? make help lists all"),
        ("polyp-ft-conv3", "TESTDATA", "TESTDATA= is no option; did you mean TEST_DATA=? make help lists all"),
        ("lint", "PYTHN", "PYTHN= is no option; did you mean PYTHON=? make help lists all"),
        ("lint test", "SEED", "SEED= is not taken by make lint test; it takes none"),
        ("", "SEED", "SEED= is not taken by make help; it takes none"),
        (
            "study",
            "SEED WORKER",
            f"SEED= is not taken by make study; WORKER= is no option; did you mean WORKERS=? {STUDY}",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(goals: str, given: str, expected: str) -> None:
    assert refusal(goals.split(), given.split()) == expected


@pytest.mark.parametrize(
    ("goals", "variable", "start"),
    [
        ("folder", "SEED", "SEED= is not taken by make folder; did you mean SEEDS=? it takes: SCHEMES, SEEDS, DATA, "),
        ("folder-tables", "SEED", "SEED= is not taken by make folder-tables; did you mean SEEDS=? it takes: SCHEMES, "),
        ("pe-ft-fire9", "SEEDS", "SEEDS= is not taken by make pe-ft-fire9; did you mean SEED=? it takes: DATA, "),
        ("polyp-deepen", "TEST_DATA", "TEST_DATA= is not taken by make polyp-deepen; it takes: FROM, DATA, "),
        ("polyp-probe", "EPOCHS", "EPOCHS= is not taken by make polyp-probe; it takes: "),
        ("kvasir", "EPOCHS", "EPOCHS= is not taken by make kvasir; it takes: DATA, "),
        ("chest-xray", "OUT", "OUT= is not taken by make chest-xray; it takes: DATA, "),
    ],
)
def test_what_a_target_takes_is_listed(goals: str, variable: str, start: str) -> None:
    assert refusal(goals.split(), [variable]).startswith(start)


def test_an_application_is_told_its_own_options_only_and_judges_those_of_others_itself() -> None:
    assert "MASK" in refusal(["polyp"], ["SEED"]) and "RESIZE" not in refusal(["polyp"], ["SEED"])
    assert not refusal(["polyp"], ["RESIZE"])


@pytest.mark.parametrize(
    ("goals", "given"),
    [
        ("polyp-ft-conv3 polyp-tables", "SEED SEEDS OUT"),  # each is taken by one of them
        ("kvasir", "DATA WEIGHTS RUNS MARGIN"),
        ("setup", "TORCH VENV PYTHON"),
        ("gpu-bundle", "FOR WITHOUT OUT"),
        ("nosuch", "SEEDS"),  # make says that there is no such target
        ("polyp-tabels", "SEEDS"),  # the command says that there is no such scheme
        ("polyp", ""),
    ],
)
def test_what_a_goal_takes_is_not_refused(goals: str, given: str) -> None:
    assert refusal(goals.split(), given.split()) == ""


def test_every_variable_of_a_target_is_listed_once() -> None:
    names = [row.variable for row in options("kvasir")]
    assert len(names) == len(set(names)) and {"DATA", "AUC_MARGIN"} < {*names}
