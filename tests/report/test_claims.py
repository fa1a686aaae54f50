"""The paper's claims on polyps: which schemes each of them speaks of, and which contrast and verdict comes of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pycaffe_ext.evaluation.contrasts import Figure, Test, Verdict, contrast_test
from pycaffe_ext.evaluation.convergence import Course
from pycaffe_ext.evaluation.findings.model import Finding
from pycaffe_ext.evaluation.margins import MARGINS, Margins
from pycaffe_ext.evaluation.study_figures import StudyFigures
from pycaffe_ext.report import claims as c
from pycaffe_ext.report import claims_table, model, page
from pycaffe_ext.schemes import STAGES, compared

METHODS = [c.Method(scheme, scheme) for scheme in compared("alexnet")]
RATES = (0.5, 1.0)
LAST_TWO = "Tuning the last two layers beats tuning only the last"
AS_GOOD = "Deep tuning is as good as training from scratch or better"
GROWS = "Performance grows with the depth of tuning"
SOONER = "Deeply tuned nets converge sooner than nets from scratch"


def figures(values: dict[str, float], seeds: int = 8, training: float = 0.01, groups: int = 100) -> StudyFigures:
    """Every figure of a scheme is its value, plus `training` times a number of each net's own; cases vary nothing."""
    names = tuple(values)
    drawn = np.random.default_rng(0).normal(size=(seeds, len(names)))
    figure = Figure(np.array([*values.values()]) + training * drawn, np.zeros((seeds, len(names)) * 2), groups)
    return StudyFigures(tuple(range(seeds)), names, dict.fromkeys(RATES, figure), figure, figure)


def found(values: dict[str, float], courses=None, margins=MARGINS, methods=METHODS, **options) -> dict[str, Finding]:
    own = [method for method in methods if method.name in values]
    result = c.claims(own, "detector", c.of_curves(figures(values, **options), margins), courses or {})
    return {claim.statement: claim for claim in result}


def as_markdown(claims: list[Finding]) -> str:
    """The lines of the table."""
    page = model.markdown([model.Section("claims", [claims_table.table(claims)])])
    return "\n".join(line for line in page.splitlines() if line.startswith("|"))


def test_the_depths_of_alexnet_are_those_that_the_paper_names():
    who = c.roles(METHODS)
    assert who.last == ["ft-fc8"] and who.last_two == ["ft-fc7"]
    assert who.shallow == ["ft-fc7", "ft-fc6"]
    assert who.moderate == ["ft-conv5", "ft-conv4", "ft-conv3"]
    assert who.deep == ["ft-conv2", "ft-conv1"]
    assert who.scratch == ["scratch"]


def test_every_scheme_of_every_net_has_one_depth():
    for arch in set(STAGES) - {"alexnet", "caffenet"}:
        methods = [c.Method(scheme, scheme, arch) for scheme in compared(arch)]
        who = c.roles(methods)
        assert sorted([*who.tuned, *who.scratch]) == sorted(compared(arch)), arch
        assert len(who.last) == len(who.last_two) == 1 and who.deep, arch


RISING = {
    "ft-fc8": 0.5,
    "ft-fc7": 0.58,
    "ft-fc6": 0.6,
    "ft-conv4": 0.7,
    "ft-conv1": 0.8,
    "scratch": 0.6,
    "detector": 0.2,
}


def test_nets_that_grow_better_with_depth_uphold_the_claims_and_the_reverse_contradicts_them():
    rising = found(RISING)
    falling = found({name: 1 - value for name, value in RISING.items()})
    contrasts = [name for name, claim in rising.items() if isinstance(claim.test, Test)]
    assert len(contrasts) == 10
    assert {rising[name].verdict for name in contrasts} == {Verdict.SHOWN}
    assert {falling[name].verdict for name in contrasts} == {Verdict.AGAINST}
    assert "Deep tuning beats moderate tuning at 0.5 false positives a frame" in rising


def test_each_claim_is_one_contrast_of_means():
    study = figures(RISING)
    claim = found(RISING)["Moderate tuning beats shallow tuning (the last two or three layers)"]
    at = {name: i for i, name in enumerate(RISING)}
    own = study.mean.values
    wanted = own[:, at["ft-conv4"]] - (own[:, at["ft-fc7"]] + own[:, at["ft-fc6"]]) / 2
    assert claim.test.estimate.value == pytest.approx(wanted.mean())
    assert claim.test.estimate.error == pytest.approx(wanted.std(ddof=1) / np.sqrt(8))
    assert claim.contrast == "ft-conv4 minus mean of ft-fc7, ft-fc6"
    assert claim.figure == "sensitivity by polyp, mean at 0.5, 1 false positives a frame"


def test_p_values_are_adjusted_by_holm_over_the_claims_tested():
    claims = list(found(RISING).values())
    tested = sorted((claim for claim in claims if claim.test), key=lambda claim: claim.p)
    assert tested[0].p_holm == pytest.approx(len(tested) * tested[0].p)
    assert all(claim.tested == len(tested) and claim.p_holm >= claim.p for claim in tested)
    one = replace(tested[0], p_holm=0.2)
    assert one.verdict is Verdict.NOT_SHOWN, "the adjusted p alone decides"


def test_equal_nets_show_nothing_and_absent_ones_are_not_tested():
    same = found({"detector": 0.5, "ft-fc8": 0.5, "ft-conv1": 0.5})
    assert same["Every CNN outperforms the hand-crafted detector"].verdict is Verdict.NOT_SHOWN
    assert same[LAST_TWO].verdict is Verdict.NOT_TESTED and "were not run" in same[LAST_TWO].reason
    assert same[AS_GOOD].verdict is Verdict.NOT_TESTED


def test_one_seed_shows_nothing_however_large_a_difference_is():
    single = found(RISING, seeds=1, courses={"ft-conv1": {0: course(2)}, "scratch": {0: course(9)}})
    assert {claim.verdict for claim in single.values()} == {Verdict.NOT_TESTED}
    assert "1 seed with every net of the contrast: the variance between trainings is unknown" in single[LAST_TWO].reason
    assert "One seed" in claims_table.explanation(list(single.values()), [0])


def test_equal_runs_under_several_seeds_are_no_evidence():
    copies = found(RISING, training=0.0)
    assert copies[LAST_TWO].verdict is Verdict.NOT_TESTED and "give the same value" in copies[LAST_TWO].reason


def test_few_groups_are_not_tested():
    few = found(RISING, groups=9)
    assert few[LAST_TWO].verdict is Verdict.NOT_TESTED
    assert few[LAST_TWO].reason == "a test set has 9 groups with polyps; 10 are needed"
    assert found(RISING, groups=10)[LAST_TWO].verdict is Verdict.SHOWN


@pytest.mark.parametrize(
    ("deep", "verdict"),
    [(0.6, Verdict.SHOWN), (0.65, Verdict.SHOWN), (0.55, Verdict.INCONCLUSIVE), (0.45, Verdict.AGAINST)],
)
def test_as_good_is_noninferiority_with_a_margin(deep, verdict):
    claim = found({"ft-conv1": deep, "scratch": 0.6, "detector": 0.1})[AS_GOOD]
    assert claim.verdict is verdict and claim.margin == 0.05 and claim.test.null == -0.05
    low = claim.test.estimate.interval().low
    line = next(line for line in as_markdown([claim]).splitlines() if AS_GOOD in line)
    assert f"lower bound {low:+.3f}, margin -0.05" in line


def test_the_margins_are_those_that_were_stated():
    worse = {"ft-conv1": 0.5, "scratch": 0.6, "detector": 0.1}
    wide = found(worse, margins=Margins(0.2, 0.02))
    assert wide[AS_GOOD].verdict is Verdict.SHOWN
    assert wide[f"{AS_GOOD}, by AUC"].verdict is Verdict.AGAINST and wide[f"{AS_GOOD}, by AUC"].margin == 0.02


def test_growth_with_depth_is_a_slope_within_seeds():
    tuned = [method.name for method in METHODS if method.learning]
    values = {name: 0.6 + 0.01 * i for i, name in enumerate(tuned)} | {"detector": 0.1}
    up = found(values)[GROWS]
    assert up.verdict is Verdict.SHOWN and up.test.estimate.value == pytest.approx(0.07, abs=0.015)
    assert "rise from ft-fc8 to ft-conv1" in up.contrast and up.figure == "AUC of candidates"
    down = found({name: 1 - value for name, value in values.items()})[GROWS]
    assert down.verdict is Verdict.AGAINST
    tiny = found({name: 0.6 + 0.0001 * i for i, name in enumerate(tuned)} | {"detector": 0.1})[GROWS]
    assert tiny.verdict is Verdict.NOT_SHOWN, "eight depths in one order are no evidence where training varies more"
    four = found({name: value for name, value in values.items() if name in [*tuned[:4], "detector"]})[GROWS]
    assert four.verdict is Verdict.NOT_TESTED and four.reason == "4 depths were run; a claim about growth needs 5"


def course(epoch: float, stopped: bool = True, cap: int = 20) -> Course:
    return Course(((1.0, 0.5), (epoch, 0.9), (epoch + 1, 0.9)), cap, stopped)


def sooner(deep: list[Course], scratch: list[Course]) -> Finding:
    courses = {"ft-conv1": dict(enumerate(deep)), "scratch": dict(enumerate(scratch))}
    return found({"ft-conv1": 0.5, "scratch": 0.5, "ft-fc8": 0.5, "detector": 0.5}, courses)[SOONER]


def test_sooner_is_a_sign_test_over_seeds():
    quick, slow, capped = course(3), course(9), course(12, stopped=False)
    shown = sooner([quick] * 9, [slow] * 8 + [capped])
    assert shown.contrast == "ft-conv1 before scratch" and shown.p == pytest.approx(2**-8)
    assert shown.verdict is Verdict.SHOWN, shown.p_holm
    assert sooner([slow] * 9, [quick] * 9).verdict is Verdict.AGAINST
    assert sooner([quick, slow] * 5, [slow, quick] * 5).verdict is Verdict.NOT_SHOWN
    assert claims_table.numbers(shown)[:3] == (1.0, pytest.approx(0.6637, abs=1e-4), 1.0)
    assert "sooner 9, later 0, tied 0, undecided 0" in as_markdown([shown])


def test_sooner_is_not_tested_by_few_seeds_or_behind_a_cap():
    quick, slow = course(3), course(9)
    few = sooner([quick] * 3, [slow] * 3)
    assert few.verdict is Verdict.NOT_TESTED
    assert few.reason.startswith("3 of 3 seeds decide, a sign test needs 6 (seed 0: 3 and 9; ")
    capped = sooner([course(3, stopped=False)] * 8, [slow] * 8)
    assert capped.reason.startswith("0 of 8 seeds decide") and "≥ 3 (not reached) and 9" in capped.reason
    other = sooner([course(3, cap=3)] * 8, [slow] * 8)
    assert other.reason == "their caps on epochs differ: 3 and 20; give both the same EPOCHS="


SAME = "Nets from scratch end equally good, whatever their weights start from, by AUC"
FROM_MSRA = "Nets from scratch converge sooner from msra weights than from the published ones"
FROM_XAVIER = "Nets from scratch converge sooner from xavier weights than from the published ones"
FILLERS = [*METHODS, c.Method("scratch-xavier", "scratch-xavier"), c.Method("scratch-msra", "scratch-msra")]


@pytest.mark.parametrize(
    ("xavier", "verdict"),
    [(0.6, Verdict.SHOWN), (0.62, Verdict.INCONCLUSIVE), (0.58, Verdict.INCONCLUSIVE), (0.68, Verdict.AGAINST)],
)
def test_fillers_are_equal_if_every_pair_is_within_the_margin_in_both_directions(xavier, verdict):
    values = {"ft-conv1": 0.6, "scratch": 0.6, "scratch-xavier": xavier, "scratch-msra": 0.6, "detector": 0.1}
    claim = found(values, methods=FILLERS, training=0.004)[SAME]
    assert claim.verdict is verdict and claim.margin == MARGINS.auc and claim.test.null == -MARGINS.auc
    own = figures(values, training=0.004).auc.values[:, 1:4]
    pairs = [own[:, a] - own[:, b] for a in range(3) for b in range(3) if a != b]
    p = [stats.ttest_1samp(pair, -MARGINS.auc, alternative="greater").pvalue for pair in pairs]
    p_below = [stats.ttest_1samp(pair, -MARGINS.auc, alternative="less").pvalue for pair in pairs]
    assert claim.p == pytest.approx(min(1, 2 * min(max(p), 6 * min(p_below))), rel=1e-5, abs=1e-9)
    if verdict is Verdict.AGAINST:
        assert claim.test.weakest.endswith("minus scratch-xavier"), "the others lie beyond the margin below it"


def test_how_fast_nets_from_scratch_converge_is_asked_of_each_filler():
    values = {"ft-conv1": 0.6, "scratch": 0.6, "scratch-xavier": 0.6, "scratch-msra": 0.6, "detector": 0.1}
    courses = {"scratch": dict.fromkeys(range(10), course(9)), "scratch-msra": dict.fromkeys(range(10), course(3))}
    claims = found(values, courses, methods=FILLERS)
    assert claims[FROM_MSRA].verdict is Verdict.SHOWN and claims[FROM_MSRA].contrast == "scratch-msra before scratch"
    assert claims[FROM_XAVIER].verdict is Verdict.NOT_TESTED, "it has no courses"
    only = found({name: value for name, value in values.items() if name != "scratch-xavier"}, methods=FILLERS)
    assert "scratch-xavier were not both run" in only[FROM_XAVIER].reason


def test_a_study_with_one_filler_is_not_asked_about_fillers():
    assert not {SAME, FROM_MSRA, FROM_XAVIER} & set(found(RISING))


def test_nets_from_scratch_of_two_donors_are_asked_about_once():
    tuned = [c.Method(f"ft-conv1 {donor}", "ft-conv1", donor=donor) for donor in ("a", "b")]
    methods = [*tuned, c.Method("scratch", "scratch"), c.Method("scratch-msra", "scratch-msra")]
    claims = found({method.name: 0.6 for method in methods} | {"detector": 0.1}, methods=methods)
    assert [name for name in claims if name.startswith(SAME)] == [f"{SAME} (alexnet, donor a)"]


def test_nets_of_different_kinds_never_meet_in_a_claim():
    """As in a study of SqueezeNet tuned and AlexNet from scratch: nothing can be said about tuning against scratch."""
    methods = [c.Method(f"ft-{stage}", f"ft-{stage}", "squeezenet", "1", "d") for stage in ("conv10", "fire9", "conv1")]
    methods.append(c.Method("alexnet scratch", "scratch", "alexnet", "1/8"))
    values = {"ft-conv10": 0.5, "ft-fire9": 0.6, "ft-conv1": 0.8, "alexnet scratch": 0.4, "detector": 0.2}
    claims = found(values, methods=methods)
    assert claims[f"{AS_GOOD} (squeezenet)"].verdict is Verdict.NOT_TESTED
    every = "Every CNN outperforms the hand-crafted detector"
    assert "alexnet" not in claims[f"{every} (squeezenet)"].contrast
    assert claims[f"{every} (alexnet)"].verdict is Verdict.SHOWN
    assert [name for name in claims if "(alexnet)" in name] == [f"{every} (alexnet)"], "others have nothing to say"


def test_families_are_one_architecture_width_and_donor():
    methods = [
        c.Method("a", "ft-fc8", donor="x"),
        c.Method("b", "ft-fc8", donor="y"),
        c.Method("c", "ft-fc7", donor="x"),
        c.Method("d", "scratch"),
        c.Method("e", "scratch", width="1/8"),
    ]
    assert {name: [m.name for m in own] for name, own in c.families(methods).items()} == {
        "alexnet of width 1, donor x": ["a", "c", "d"],
        "alexnet of width 1, donor y": ["b", "d"],
        "alexnet of width 1/8": ["e"],
    }


def test_every_verdict_is_traceable():
    claims = list(found(RISING).values())
    rows = [dict(zip(claims_table.HEADER, row, strict=True)) for row in claims_table.rows(claims)]
    row = next(row for row in rows if row["claim"] == LAST_TWO)
    study = figures(RISING)
    chosen = c.of_curves(study).chosen
    test = contrast_test(study.mean, 1.0 * chosen(["ft-fc7"]) - chosen(["ft-fc8"]))
    assert (row["effect"], row["p"], row["statistic"]) == (test.estimate.value, test.p, test.statistic)
    assert (row["low"], row["high"]) == test.estimate.interval()
    assert (row["seeds"], row["groups"], row["df_seeds"], row["df_groups"]) == (8, 100, 7, 99)
    assert row["verdict"] == "shown" and row["p_holm"] <= row["claims_tested"] * row["p"]
    assert row["smallest"] == test.estimate.smallest(0.05 / row["claims_tested"])
    module, function = row["function"].rsplit(".", 1)
    import importlib

    assert callable(getattr(importlib.import_module(f"pycaffe_ext.{module}"), function))
    untested = next(row for row in rows if row["verdict"] == "not tested")
    assert untested["reason"] and untested["effect"] == ""


def test_the_table_has_a_line_for_each_claim():
    claims = list(found(RISING).values())
    lines = as_markdown(claims).splitlines()
    assert len(lines) == 2 + len(claims)
    assert all(claim.verdict.value in line for claim, line in zip(claims, lines[2:], strict=True))


@pytest.fixture(scope="module")
def claims_page(tmp_path_factory) -> Path:
    """The table in a page, all claims tested: contrasts, the weakest of several, margins and convergence."""
    courses = {name: {seed: course(epoch) for seed in range(8)} for name, epoch in (("ft-conv1", 2), ("scratch", 9))}
    claims = list(found(RISING, courses).values())
    assert all(claim.test for claim in claims)
    path = tmp_path_factory.mktemp("claims") / "report.html"
    path.write_text(page.html([model.Section("The paper's claims", [claims_table.table(claims)])], "Report"), "utf-8")
    return path


@pytest.fixture
def opened(browser, claims_page):
    """Opens the page at a width."""
    contexts = []

    def show(width: int):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}))
        tab = contexts[-1].new_page()
        tab.goto(claims_page.as_uri())
        return tab

    yield show
    for context in contexts:
        context.close()


@pytest.mark.slow
def test_it_fits_a_screen_of_1280_pixels(opened):
    tab = opened(1280)
    assert tab.locator(".scroll").evaluate("(box) => box.scrollWidth - box.clientWidth") <= 0
    heights = tab.locator("tbody tr").evaluate_all("(rows) => rows.map((row) => row.getBoundingClientRect().height)")
    assert max(heights) < 200, "no column is squeezed into single words"


@pytest.mark.slow
def test_a_phone_scrolls_it_within_the_page_and_keeps_the_claims_in_sight(opened):
    tab = opened(390)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.locator(".scroll").evaluate("(box) => box.scrollTo(box.scrollWidth, 0)")
    first, last = (tab.locator(f"tbody tr:first-child > *:{end}-child").bounding_box() for end in ("first", "last"))
    assert first["x"] >= 0 and first["x"] + first["width"] <= 200 and last["x"] + last["width"] <= 391
    assert last["x"] >= first["x"] + first["width"] - 1
