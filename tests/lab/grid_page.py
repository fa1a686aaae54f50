"""Made-up finished runs of a grid, and findings about them, for its page: nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.evaluation.contrasts import Estimate, Figure, Test
from pycaffe_ext.evaluation.convergence import SignTest
from pycaffe_ext.evaluation.findings.model import (
    Best,
    Candidate,
    Chance,
    Doubling,
    Evidence,
    Finding,
    Findings,
    Gap,
    LearningCurve,
    Merit,
    Point,
    Recommendation,
    Scheme,
)
from pycaffe_ext.evaluation.metrics.base import Headline
from pycaffe_ext.evaluation.seeds import SeedInterval
from pycaffe_ext.nets.architectures import deploy, train_val
from pycaffe_ext.nets.solver import Schedule, solver
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.proto import to_text
from pycaffe_ext.report.grid.material import Material, Panel, Unfinished
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.runs.records import Best as BestSnapshot
from pycaffe_ext.runs.records import ExternalRecord, ResultRecord, RunRecord, write_external, write_result, write_run
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.training.table import Row, write_rows

SCHEMES = (Scheme("ft-fc8", 1), Scheme("ft-conv3", 6), Scheme("ft-conv1", 8, True), Scheme("scratch", None))
FRACTIONS = ("1", "1/4", "1/20")
BASELINES = {"frames": "hand-crafted features", "imt": "gradients"}
ALONE = -0.5  # what they gain
GROUPS = 40  # of the training
AUC = Merit("AUC of frames", "AUC", 1.0, (0.0, 1.0), True, 0.02)
MM = Merit("mean absolute error of the thickness in mm", "mm", 0.0, None, False, 0.05)
STUDY_FILE = "# A made-up study.\nSEEDS: [0, 1]\nblocks:\n  - APP: [frames, imt]\n"
VERSIONS = {"pycaffe_ext": "0.1.0", "caffe": "caffe version 1.0.0 (lab)", "numpy": "2.0"}


def material(root: Path, seeds: Sequence[int] = (0, 1), fractions: Sequence[str] = FRACTIONS) -> Material:
    """Two applications, one of which is judged by an error: 2 x 4 schemes at each fraction and seed."""
    frames, walls = (_panel(root, *one, seeds, fractions) for one in (("frames", AUC), ("imt", MM)))
    test_outside(frames.runs[0])
    missing = (Unfinished("frames-ft-fc7, FRACTION=1, seed 0", "failed: the disk is full"),)
    cells = len(frames.runs) + len(walls.runs) + 1
    return Material("mine", STUDY_FILE, (frames, walls), findings([frames.evidence, walls.evidence]), cells, missing)


def _panel(root: Path, app: str, merit: Merit, seeds: Sequence[int], fractions: Sequence[str]) -> Panel:
    own = evidence(app, merit, seeds, fractions)
    runs = []
    for fraction, scheme, (i, seed) in product(fractions, SCHEMES, enumerate(seeds)):
        value = own.figure.values[i, own.column(scheme.name, fraction)]
        runs.append(write_finished(root, app, merit, scheme.name, fraction, seed, float(value)))
    return Panel(own, tuple(runs))


def evidence(app: str, merit: Merit, seeds: Sequence[int] = (0, 1), fractions: Sequence[str] = FRACTIONS) -> Evidence:
    """Deeper is better, more data help, scratch suffers from few, and the baseline is worse than the nets."""
    gain = np.array([*(_gain(*pair) for pair in product(SCHEMES, fractions)), ALONE])
    rng = np.random.default_rng(len(app))
    base = 0.7 if merit.higher_is_better else -0.5
    values = base + 0.2 * gain + rng.normal(0, 0.01, (len(seeds), gain.size))
    n = values.size
    covariance = (np.eye(n) * 4e-4 + 4e-4).reshape(*values.shape, *values.shape)
    figure = Figure(values, covariance, 24, of_one_size=22.5)
    trained = tuple(GROUPS * float(Fraction(fraction)) for fraction in fractions)
    title = f"{app}, alexnet"
    return Evidence(
        app, "alexnet", title, "synthetic", merit, SCHEMES, tuple(fractions), trained, figure, BASELINES[app]
    )


def _gain(scheme: Scheme, fraction: str) -> float:
    share = np.log2(float(Fraction(fraction)))
    return (scheme.learning or 2) / 8 + (0.16 if scheme.learning is None else 0.05) * share


def write_finished(root: Path, app: str, merit: Merit, scheme: str, fraction: str, seed: int, value: float) -> RunFiles:
    """The folder of a finished run, with everything in it that the page reads."""
    settings = Settings.of(app, scheme, seed=seed, fraction=fraction, patches=400)
    folder = root / settings.name()
    folder.mkdir(parents=True)
    rise = 0.1 + 0.02 * len(scheme) + 0.01 * seed
    write_rows(
        folder / "auc.csv", [Row(10 * i, float(i), 0.5, 0.6, 0.5 + rise * (1, 2, 1.5)[i - 1]) for i in (1, 2, 3)]
    )
    spec = NetSpec(app, scheme, APPLICATIONS[app].classes or 2, width=Fraction(1, 8), batch_size=16)
    (folder / "deploy.prototxt").write_text(to_text(deploy(spec)))
    (folder / "train_val.prototxt").write_text(to_text(train_val(spec)))
    (folder / "solver.prototxt").write_text(
        to_text(solver(spec, Schedule(320, 80), net="train_val.prototxt", snapshot_prefix="s"))
    )
    tuned = scheme.startswith("ft-")
    resolved = {"width": "1/8", "batch": 16, "data": "", "donor": "/nowhere/donor.caffemodel" if tuned else None}
    inputs = dict.fromkeys(("items", "splits.csv", "donor", "train_val.prototxt", "solver.prototxt"), "ab" * 32)
    cost = {"prepare": 3.0, "train": 60.0, "test": 6.0}
    record = RunRecord(settings.record(), {}, resolved, {}, [], [], inputs, VERSIONS, cost=cost, weights="cd" * 32)
    donor = "the embedded donor, pre-trained on procedural images; it is NOT ImageNet" if tuned else "none"
    share = {"share": fraction, "groups": GROUPS * float(Fraction(fraction)), "of": GROUPS, "patches": 320}
    best = BestSnapshot(20, 2.0, 0.5 + 2 * rise)
    result = ResultRecord(
        settings.title, donor, best, 3, "patience", _facts(fraction), {}, [], {"value": merit.shown(value)}, [],
        share=share, input="B G R minus 127, times 1 (/nowhere/donor.card.prototxt)",
    )  # fmt: skip
    write_run(folder, record)
    write_result(folder, result)
    run = RunFiles(settings, folder, result, record)
    run.__dict__.update(application=application(app, merit), evaluation=None, test=TEST)
    run.__dict__["packed"] = SimpleNamespace(facts=result.data, tuning={}, share=share)
    return run


def test_outside(run: RunFiles) -> None:
    """A test on another data set beside a finished run."""
    folder = run.folder / "external" / "clinic-abcdef"
    folder.mkdir(parents=True)
    fields = {"name": "a run", "data": "/nowhere/clinic", "dataset": None, "source": "clinic", "fingerprint": "f"}
    counts = {"items": 5, "groups": 5, "facts": {}, "patches": 5, "damaged": [], "left_out": [], "similar": {}}
    rest = {"test": {"value": 0.625}, "thresholds": [], "files": []}
    write_external(folder, ExternalRecord(**fields, packed="p", weights="w", caffe="c", **counts, **rest))


test_outside.__test__ = False  # it is no test


def _facts(fraction: str) -> dict[str, object]:
    groups = {"train": round(GROUPS * float(Fraction(fraction))), "val": 10, "test": 24}
    return {part: {"groups": n, "images": {"informative": 3 * n, "not": 2 * n}} for part, n in groups.items()}


TEST = SimpleNamespace(group=np.array([f"group {i}" for i in range(24)]), items=[f"picture {i}" for i in range(24)])
DATA = {"frames": "semi-synthetic frames", "imt": "an ultrasound phantom"}


def application(app: str, merit: Merit) -> SimpleNamespace:
    def headline(test: dict[str, float], of_baseline: bool = False) -> Headline:
        value = test["value"]
        return Headline(merit.name, value, value - 0.05, value + 0.05, merit.higher_is_better)

    return SimpleNamespace(
        metric=SimpleNamespace(unit="the image", headline=headline, baseline=None, merit=lambda evaluation: merit),
        words=("image", "sample"),
        views=range(9),
        test_views=1,
        data_name=lambda request: DATA[app],
        reference=lambda request: "known, as the data are synthetic",
    )


def without(panel: Panel, fraction: str) -> Panel:
    """The panel with no finished run at a fraction."""
    own = panel.evidence
    values = own.figure.values.copy()
    values[:, [own.column(scheme.name, fraction) for scheme in own.schemes]] = np.nan
    runs = tuple(run for run in panel.runs if run.settings.request.fraction != fraction)
    return Panel(replace(own, figure=replace(own.figure, values=values)), runs)


def findings(evidence: Sequence[Evidence]) -> Findings:
    """What the statistics could say of it: every kind of finding, tested and not."""
    return Findings(
        tuple(evidence),
        tuple(_claims(evidence)),
        tuple(
            Gap(own.title, f, ESTIMATE if f == "1" else None, "" if f == "1" else "one seed")
            for own, f in each(evidence)
        ),
        tuple(_best(own, f) for own, f in each(evidence)),
        tuple(_recommendation(own, f) for own, f in each(evidence)),
        tuple(_curve(own) for own in evidence),
        ("two seeds: intervals are wide",),
    )


ESTIMATE = Estimate(0.031, 0.006, 0.008, 2, 24.0, 0.01, 0.02)


def each(evidence: Sequence[Evidence]) -> Iterator[tuple[Evidence, str]]:
    return ((own, fraction) for own in evidence for fraction in own.fractions)


def _claims(evidence: Sequence[Evidence]) -> Iterator[Finding]:
    test = Test(ESTIMATE, 0.0, 0.012, True, "evaluation.findings.gaps.by_evidence")
    none_worse = Test(ESTIMATE, 0.0, 0.2, True, "evaluation.contrasts.every_test", "ft-fc8")
    about = evidence[0].title
    yield Finding(
        1, "Deep is as good", about, "ft-conv1 minus scratch", "AUC", test, p_holm=0.036, tested=3, margin=0.02
    )
    yield Finding(
        4, "Deep is sooner", about, "ft-conv1 before scratch", "epochs", SignTest(6, 1, 0, 1, 0.125), p_holm=0.25
    )
    yield Finding(5, "Every net is better", about, "each minus features", "AUC", none_worse, p_holm=0.4, tested=3)
    yield Finding(5, "Depth helps", about, "-", "AUC", reason="2 depths were run")
    yield Finding(2, "The gap grows", evidence[0].title, "ft-conv1 minus scratch", "AUC", test, p_holm=0.024, tested=2)
    yield Finding(2, "The gap grows", evidence[0].title, "ends", "AUC", test, primary=False)
    yield Finding(3, "The best depth depends on the application", "alexnet", "-", "-", reason="one application")


def _best(own: Evidence, fraction: str) -> Best:
    rows = tuple(Chance(s.name, own.merit.shown(0.8), 2, 0.25) for s in own.schemes)
    return Best(own.title, fraction, rows, seeds=2)


def _recommendation(own: Evidence, fraction: str) -> Recommendation:
    known = fraction == own.fractions[0]
    candidates = tuple(
        Candidate(s.name, "ft-conv1", ESTIMATE, 0.01, s.learning == 6, 12 if s.learning == 1 else None)
        for s in own.schemes
    )
    scheme, needs = ("ft-conv3", "") if known else (None, "about 12 seeds would show it")
    return Recommendation(own.title, fraction, own.merit.margin, own.merit.unit, scheme, candidates, needs)


def _curve(own: Evidence) -> LearningCurve:
    shown = own.merit.shown
    middle = [own.figure.values[:, own.column("ft-conv3", fraction)].mean() for fraction in own.fractions]
    points = []
    for fraction, groups, value in zip(own.fractions, own.trained, middle, strict=True):
        ends = sorted((shown(value - 0.03), shown(value + 0.03)))
        points.append(Point(fraction, groups, SeedInterval(shown(value), *ends, 2)))
    drawn = tuple((share, shown(middle[0] + 0.01 * np.log2(share))) for share in (0.05, 0.25, 0.5, 1.0, 2.0))
    doubling = Doubling(shown(middle[0]), shown(middle[0] + 0.01), 0.01, -0.005, 0.025)
    shares = tuple(own.share(fraction) / own.share(own.fractions[0]) for fraction in own.fractions)
    return LearningCurve(
        own.title, "ft-conv3", own.merit.unit, tuple(points), "inverse power law", {}, drawn, doubling,
        base=own.fractions[0], shares=shares,
    )  # fmt: skip
