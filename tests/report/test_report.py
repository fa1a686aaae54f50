"""The report of a study says what its runs' files say, refuses what may not stand in one figure, and is whole."""

import csv
import json
import re
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import provenance_lab
import pytest
from programs import run_tool
from report_lab import SKILLS, write_study
from scipy.special import expit, logit
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from pycaffe_ext.applications.polyp import lesion_areas
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import contrasts
from pycaffe_ext.report import (
    claims,
    claims_table,
    design_part,
    examples,
    model,
    reporting_part,
    study_parts,
    table_s1,
)
from pycaffe_ext.report import report as report_of
from pycaffe_ext.report.detection import curves, pages, pairs, pictures, results, strata
from pycaffe_ext.report.detection.material import RATES, Material
from pycaffe_ext.report.figures import DETECTOR
from pycaffe_ext.report.report import write_report
from pycaffe_ext.runs import finished, summary

ROOT = Path(__file__).parents[2]
ORDER = ["ft-fc8", "ft-fc7", "ft-conv3", "ft-conv1", "scratch"]
RESAMPLES = 200


def report(folders, out, **options):
    done, missing = report_of.loaded(folders)
    return write_report(done, out, missing, resamples=RESAMPLES, progress=False, **options)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Run folders of five schemes with two seeds."""
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def out(study, tmp_path_factory):
    """Their report."""
    folder = tmp_path_factory.mktemp("report") / "polyp"
    report(study, folder)
    return folder


@pytest.fixture
def tables_only(monkeypatch):
    """Reports without pictures, where these are not the matter."""
    monkeypatch.setattr(pages, "PARTS", (results.claims, results.results, results.by_depth))


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def run_of(study, scheme, seed=0):
    """The folder of a run."""
    return next(f for f in study if f"-{scheme}-" in f.name and settings_of(f)["training"]["seed"] == seed)


def settings_of(folder):
    return json.loads((folder / "run.json").read_text())["settings"]


def packed_of(folder):
    return Path(json.loads((folder / "run.json").read_text())["resolved"]["data"])


def items_of(folder):
    """Rows of items.csv of a run's found data."""
    return table(packed_of(folder).parent / "items.csv")


class Scored:
    """A run's test by brute force, from its files."""

    def __init__(self, study, name, seed):
        folder = run_of(study, "ft-fc8" if name == DETECTOR else name, seed)
        column = "detector" if name == DETECTOR else "probability"
        rows = [(r["frame"], int(r["lesion"]), float(r[column])) for r in table(folder / "scores.csv")]
        self.frames = [r for r in items_of(folder) if r["split"] == "test"]
        self.polyps = sum(int(r["targets"]) for r in self.frames)
        self.rows = sorted(rows, key=lambda r: -r[2])
        self.label, self.score = [int(r[1] > 0) for r in rows], [r[2] for r in rows]

    def sensitivity(self, rate):
        """Hits at the lowest threshold with at most `rate` false positives a frame (no two scores are equal)."""
        found, false = set(), 0
        for frame, lesion, _ in self.rows:
            false += lesion == 0
            if false > rate * len(self.frames):
                break
            if lesion:
                found.add((frame, lesion))
        return len(found)


def test_the_page_shows_every_file_and_every_file_is_there(out):
    page = (out / "report.md").read_text()
    linked = set(re.findall(r"\]\(([^)]+)\)", page))
    written = {path.name for path in out.iterdir()} - {"report.md", "report.html", "report.json"}
    assert linked == written
    assert {
        "froc.png",
        "froc_all_by_lesion.png",
        "froc_all_by_frame.png",
        "roc.png",
        "table_s1.png",
        "table_s1.csv",
        "auc_by_depth.png",
        "counts.csv",
        "candidates.png",
        "patches.png",
        "extreme_candidates.png",
        "filters.png",
        "convergence.png",
    } <= written
    for picture in out.glob("*.png"):
        image = cv2.imread(str(picture))
        assert image.shape[1] == 1400 and image.std() > 1, "seven inches at 200 dots an inch"


def test_every_number_leads_to_the_function_that_made_it(study, out, tmp_path, monkeypatch, tables_only):
    provenance_lab.check_page((out / "report.md").read_text())
    assert provenance_lab.check_claims(out / "claims.csv") == 0, "nothing is tested with 8 groups"
    monkeypatch.setattr(claims, "ENOUGH_GROUPS", 8)
    report(study, tmp_path / "tested")
    assert provenance_lab.check_claims(tmp_path / "tested" / "claims.csv") > 5


def test_what_is_unreliable_is_no_claim(study, out):
    """Every comparison of eight groups is unreliable, so no contrast may be tested."""
    assert {row["reliable"] for row in table(out / "table_s1.csv")} == {"False"}
    assert {row["reliable"] for row in table(out / "summary_pairs.csv")} == {"False"}
    assert {row["verdict"] for row in table(out / "summary_pairs.csv")} == {"not tested"}
    assert {row["verdict"] for row in table(out / "claims.csv")} == {"not tested"}
    assert all(claim.test is None for claim in material_of(study).claims)


def test_whole_curves_by_brute_force(study, out):
    rows = {(row["name"], row["figure"]): row for row in table(out / "summaries.csv")}
    rates = [0.125, 0.25, 0.5, 1, 2, 4, 8]
    for name in ("ft-conv3", DETECTOR):
        scored = Scored(study, name, 0)
        mean = np.mean([scored.sensitivity(rate) / scored.polyps for rate in rates])
        assert float(rows[name, "mean sensitivity at 1/8 to 8 FP a frame"]["value"]) == pytest.approx(mean)
        along = [scored.sensitivity((k + 0.5) / 24) / scored.polyps for k in range(48)]  # 24 frames: steps of 1/24
        area = rows[name, "area under FROC up to 2 FP a frame"]
        assert float(area["value"]) == pytest.approx(np.mean(along))
        assert float(area["low"]) < float(area["value"]) < float(area["high"])
        best = {r["frame"]: -1.0 for r in scored.frames if r["targets"] == "0"}
        for frame, lesion, score in scored.rows:
            if frame in best and not lesion:
                best[frame] = max(best[frame], score)
        found = {(frame, lesion): 0.0 for frame, lesion, _ in scored.rows if lesion}
        for frame, lesion, score in scored.rows:
            if lesion:
                found[frame, lesion] = max(found[frame, lesion], score)
        marks = [*found.values(), *[-1.0] * (scored.polyps - len(found))]
        wins = np.mean([(mark > other) + 0.5 * (mark == other) for mark in marks for other in best.values()])
        assert float(rows[name, "AFROC"]["value"]) == pytest.approx(wins)
    pairs = table(out / "summary_pairs.csv")
    assert len(pairs) == 2 * 4 * 15  # seeds, figures, pairs of five nets and the detector
    for row in pairs[::9]:
        if row["seed"] == "0":
            gap = float(rows[row["first"], row["figure"]]["value"]) - float(rows[row["second"], row["figure"]]["value"])
            assert float(row["difference"]) == pytest.approx(gap)
            assert float(row["p_max_t"]) >= float(row["p"]) and float(row["p_holm"]) >= float(row["p"])


def test_carried_thresholds_are_those_of_the_runs(study, out):
    rows = table(out / "thresholds.csv")
    assert [(row["name"], row["seed"]) for row in rows] == [
        *((name, str(seed)) for name in ORDER for seed in (0, 1)),
        *(("detector", str(seed)) for seed in (0, 1)),
    ]
    page = (out / "report.md").read_text()
    for row in rows:
        recorded = json.loads(
            (
                run_of(study, ORDER[0] if row["name"] == "detector" else row["name"], int(row["seed"])) / "result.json"
            ).read_text()
        )
        own = recorded["thresholds"][row["name"] == "detector"]
        assert row["criterion"] == "at most 1 false positive a frame"
        if own["threshold"] is None:
            assert row["reason"] == own["reason"] and row["test_sensitivity"] == ""
            continue
        assert float(row["threshold"]) == own["threshold"]
        assert float(row["test_sensitivity"]) == own["test"]["sensitivity"]
        low, high = own["test"]["group_95"]
        assert (float(row["test_group_95_low"]), float(row["test_group_95_high"])) == pytest.approx((low, high))
        if row["seed"] == "0":
            assert f"| {own['test']['sensitivity']:.3f} [{low:.3f}, {high:.3f}] |" in page


def test_runs_of_an_earlier_version_have_no_thresholds_and_say_so(study, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "PARTS", (pages._carried, strata.section))
    old = changed(run_of(study, "ft-conv1"), tmp_path / "run", "result.json", lambda result: result.pop("thresholds"))
    page = report([old], tmp_path / "out").read_text()
    assert "Not recorded by runs of an earlier version: ft-conv1, seed 0" in page
    assert "read off the test curve, as this run recorded no other" in page
    assert re.search(r"\| threshold \| 28 \| 12a \| 15 \| not recorded", page)


def test_sensitivity_by_group_and_size_by_brute_force(study, out):
    scored = Scored(study, "ft-conv1", 0)
    rows = [row for row in table(out / "sensitivity_by_group.csv") if row["name"] == "ft-conv1"]
    threshold = float(rows[0]["threshold"])
    for row in rows:
        frames = {r["frame"] for r in scored.frames if r["group"] == row["group"]}
        above = [(frame, lesion) for frame, lesion, score in scored.rows if frame in frames and score >= threshold]
        assert int(row["frames"]) == len(frames)
        assert int(row["hits"]) == len({(frame, lesion) for frame, lesion in above if lesion})
        assert int(row["polyps"]) == sum(int(r["targets"]) for r in scored.frames if r["frame"] in frames)
        false = sum(lesion == 0 for _, lesion in above) / len(frames)
        assert float(row["false_positives_per_frame"]) == pytest.approx(false)
    (size,) = (row for row in table(out / "sensitivity_by_size.csv") if row["name"] == "ft-conv1")  # all are alike
    assert int(size["polyps"]) == scored.polyps and int(size["hits"]) == sum(int(row["hits"]) for row in rows)


def test_the_area_of_lesions_in_the_order_of_their_numbers():
    mask = np.zeros((100, 200), bool)
    mask[0:20, 0:40] = mask[60:80, 100:180] = mask[40, 0] = True  # one pixel is a speck, no lesion
    assert lesion_areas(mask) == pytest.approx([4.0, 8.0])


def test_a_report_without_masks_has_no_sizes(study, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "PARTS", (strata.section,))

    def gone(material):
        raise UserError("my/frames: no such folder")

    monkeypatch.setattr(strata, "lesion_sizes", gone)
    page = report(study[:2], tmp_path / "out").read_text()
    assert "No sizes: my/frames: no such folder." in page and "area, % of the frame" not in page


def test_the_reporting_table_is_of_what_the_runs_recorded(study, tmp_path):
    left = [{"kind": ".heic", "files": 3, "example": "a.heic"}]
    own = changed(run_of(study, "ft-conv1"), tmp_path / "run", "run.json", lambda r: r.update(left_out=left))
    found = reporting_part.facts(
        finished.study(report_of.loaded([own, run_of(study, "ft-fc8")])[0]), "e", "i", [0.2, 3.0]
    )
    items = items_of(own)
    for part, name in (("train", "training"), ("val", "validation"), ("test", "test")):
        inside = [row for row in items if row["split"] == part]
        groups, polyps = len({row["group"] for row in inside}), sum(int(row["targets"]) for row in inside)
        assert found.partitions[name] == (groups, len(inside), polyps)
    assert found.groups_known and found.shared_groups == 0 and found.seeds == 1
    assert found.excluded == [(".heic files that no frame was made from", 3)]
    assert found.reference == "masks of the data set, read with MASK=auto"
    assert found.threshold == "chosen on the validation samples: at most 1 false positive a frame"
    assert found.smallest_difference == "0.200 to 0.200, by claim; none by 1 of 2 claims"
    assert [(look.what, look.tested) for look in found.looks][:2] == [("snapshot", 0), ("threshold", 0)]


def test_a_group_in_two_partitions_is_counted(study, tmp_path):
    run = finished.load(run_of(study, "scratch"))
    moved = tmp_path / "found"
    shutil.copytree(run.packed.found, moved)
    lines = (moved / "items.csv").read_text().replace("video05,", "video00,")
    (moved / "items.csv").write_text(lines)
    other = replace(run.packed, folder=moved / run.packed.folder.name)
    run.__dict__["packed"] = other
    assert reporting_part.shared_groups(run) == 1


def test_curves_stand_in_the_order_of_table_two_from_shallow_to_deep(study):
    found = finished.study(report_of.loaded(study)[0])
    assert found.names == ORDER and found.depths == ORDER[:4] and found.scratch == ["scratch"]
    assert curves.representative(found) == ["ft-fc8", "ft-fc7", "ft-conv3", "ft-conv1", "scratch"]


def test_table_s1_is_what_the_scores_say(study, out):
    rows = table(out / "table_s1.csv")
    pairs = list(combinations([*ORDER, DETECTOR], 2))
    assert [(r["seed"], r["first"], r["second"], float(r["at_most_false_positives_per_frame"])) for r in rows] == [
        (str(seed), *pair, rate) for seed in (0, 1) for pair in pairs for rate in RATES
    ]
    for row in rows[::7]:
        rate, spans = float(row["at_most_false_positives_per_frame"]), []
        for who in ("first", "second"):
            scored = Scored(study, row[who], int(row["seed"]))
            hits = scored.sensitivity(rate)
            assert (int(row[f"{who}_hits"]), int(row[f"{who}_of"])) == (hits, scored.polyps)
            interval = binomtest(hits, scored.polyps).proportion_ci(method="exact")
            assert float(row[f"{who}_exact_low"]) == pytest.approx(interval.low)
            assert float(row[f"{who}_exact_high"]) == pytest.approx(interval.high)
            spans.append(interval)
        first, second = spans
        apart = first.low > second.high or second.low > first.high
        assert (row["paper_verdict"] not in ("no difference shown", "not tested")) == apart
        assert row["difference"] == "" or float(row["difference"]) == pytest.approx(
            float(row["first_sensitivity"]) - float(row["second_sensitivity"])
        )


def test_the_page_has_table_s1_with_the_numbers_of_the_csv(out):
    page = (out / "report.md").read_text()
    start = page.index("<summary>Table S1")
    section = page[start : page.index("</details>", start)]
    lines = [
        [cell.strip().lstrip("\\") for cell in line.split("|")[1:-1]] for line in section.splitlines() if " : " in line
    ]
    rows = [row for row in table(out / "table_s1.csv") if row["seed"] == "0"]
    assert len(lines) == len(rows) == 45
    for line, row in zip(lines, rows, strict=True):
        assert line[0] == f"{row['first']} : {row['second']}"
        assert float(line[1]) == float(row["at_most_false_positives_per_frame"])
        assert line[2:4] == [f"{float(row[f'{who}_sensitivity']):.3f}" for who in ("first", "second")]
        assert line[4].split(" ")[0] == (f"{float(row['difference']):+.3f}" if row["difference"] else "-")
        assert line[10] == row["note"]
        assert float(line[9]) == pytest.approx(float(row["effective_groups"]), abs=0.05)
        for shown, p in zip(line[5:7], (row["p_holm"], row["p_max_t"]), strict=True):
            assert shown == "-" if p == "" else shown == "< 0.001" or float(shown) == pytest.approx(float(p), abs=5e-4)
        for sign, verdict in zip(line[7:9], (row["paper_verdict"], row["test_verdict"]), strict=True):
            said = {
                ">": f"{row['first']} > {row['second']}",
                "<": f"{row['second']} > {row['first']}",
                "=": "no difference shown",
                "-": "not tested",
            }[sign]
            assert said == verdict


def test_pictures_are_described_by_a_whole_sentence(out):
    said = re.findall(r"^!\[(.*)\]\(froc.png\)$", (out / "report.md").read_text(), re.M)
    assert said == [f"FROC curves of representative nets and of the {DETECTOR}, as Fig. 2(a) of the paper"]


def test_a_table_in_which_nothing_can_be_shown_says_so(study):
    material = Material(finished.study(report_of.loaded(study)[0]), resamples=RESAMPLES)
    few = {
        seed: [replace(row, groups=8, effective_groups=7.4) for row in rows]
        for seed, rows in material.comparisons.items()
    }
    tests = sum(row.difference is not None for row in few[0])
    assert f"seed 0: 8 groups with polyps, which tell as much as 7.4 equal ones, {tests} comparisons" in pairs.hopeless(
        few
    )
    many = {seed: [replace(row, groups=40, effective_groups=40.0) for row in rows] for seed, rows in few.items()}
    assert pairs.hopeless(many) == ""


def test_the_page_has_sensitivities_with_both_intervals(out):
    page = (out / "report.md").read_text()
    rows = [row for row in table(out / "table_s1.csv") if row["seed"] == "0"]
    for row in rows:
        for who in ("first", "second"):
            ends = [[float(row[f"{who}_{kind}_{end}"]) for end in ("low", "high")] for kind in ("exact", "group")]
            spans = " ".join(f"[{low:.3f}, {high:.3f}]" for low, high in ends)
            cell = re.escape(f"{float(row[f'{who}_sensitivity']):.3f} {spans}")
            assert re.search(rf"\| {row[who]} \|.*{cell}", page)


def test_the_matrix_says_what_the_table_says(study):
    material = Material(finished.study(report_of.loaded(study)[0]), resamples=RESAMPLES)
    names = [*ORDER, DETECTOR]
    for rate in RATES:
        tested, paper = table_s1.verdicts(names, material.comparisons[0], rate)
        for row in (r for r in material.comparisons[0] if r.rate == rate):
            i, j = names.index(row.first), names.index(row.second)
            for found, verdict in ((tested, row.verdict), (paper, row.paper)):
                wanted = {
                    f"{row.first} > {row.second}": (1, -1),
                    f"{row.second} > {row.first}": (-1, 1),
                    "no difference shown": (0, 0),
                    "not tested": (2, 2),
                }[verdict]
                assert (found[i, j], found[j, i]) == wanted


def test_counts_are_those_of_the_packed_files(study, out):
    for row in table(out / "counts.csv"):
        packed, split = packed_of(run_of(study, "scratch", int(row["seed"]))), row["split"]
        frames = {r["frame"]: r for r in table(packed.parent / "items.csv") if r["split"] == split}
        labels = [r for r in table(packed.parent / "samples.csv") if r["frame"] in frames]
        patches = [r["label"] for r in table(packed / f"patches_{split}.csv")]
        hit = {(r["frame"], r["target"]) for r in labels if r["target"] != "0"}
        positive = sum(r["target"] != "0" for r in labels)
        wanted = {
            "groups": len({r["group"] for r in frames.values()}),
            "frames": len(frames),
            "frames_with_polyps": sum(r["targets"] != "0" for r in frames.values()),
            "polyps": sum(int(r["targets"]) for r in frames.values()),
            "polyps_with_candidate": len(hit),
            "candidates": len(labels),
            "positive_candidates": positive,
            "false_candidates": len(labels) - positive,
            "positive_views": 120 * positive,
            "negative_views": 120 * (len(labels) - positive),
            "positive_patches": patches.count("1"),
            "negative_patches": patches.count("0"),
        }
        assert {name: int(row[name]) for name in wanted} == wanted
        assert int(row["frames_without_polyps"]) == wanted["frames"] - wanted["frames_with_polyps"]


def test_counts_of_an_earlier_version_are_refused(study, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "PARTS", (results.data,))
    old = tmp_path / "polyp-frames-old"
    shutil.copytree(packed_of(study[0]), old)
    record = json.loads((old / "data.json").read_text())
    del record["facts"]["test"]["patches"]
    (old / "data.json").write_text(json.dumps(record))
    run = changed(study[0], tmp_path / "run", "run.json", lambda record: record["resolved"].update(data=str(old)))
    with pytest.raises(UserError, match="data.json is of an earlier version"):
        report([run], tmp_path / "out")


def material_of(study) -> Material:
    return Material(finished.study(report_of.loaded(study)[0]), resamples=RESAMPLES)


def test_results_are_means_over_seeds(study, out):
    rows = {(row["name"], row["figure"]): row for row in table(out / "results.csv")}
    at_one = "sensitivity at 1 FP a frame"
    for name in [*ORDER, DETECTOR]:
        scored = [Scored(study, name, seed) for seed in (0, 1)]
        wanted = {
            "candidate AUC": [roc_auc_score(one.label, one.score) for one in scored],
            at_one: [one.sensitivity(1) / one.polyps for one in scored],
        }
        if name != DETECTOR:
            results = [json.loads((run_of(study, name, seed) / "result.json").read_text()) for seed in (0, 1)]
            wanted["patch AUC"] = [result["test"]["patch_auc"] for result in results]
        for figure, values in wanted.items():
            assert float(rows[name, figure]["mean"]) == pytest.approx(np.mean(values))
            assert rows[name, figure]["seeds"] == "2"
    depths = {(row["level"], row["name"]): row["mean"] for row in table(out / "auc_by_depth.csv")}
    for name in ORDER:
        assert depths["patches", name] == rows[name, "patch AUC"]["mean"]
        assert depths["candidates", name] == rows[name, "candidate AUC"]["mean"]
    assert depths["candidates", DETECTOR] == rows[DETECTOR, "candidate AUC"]["mean"]


def test_intervals_over_seeds_know_the_test_groups(study, out):
    """Both seeds test on the same groups here: the cases' part is that of one test set, by the jackknife."""
    rows = {(row["name"], row["figure"]): row for row in table(out / "results.csv")}
    figures = material_of(study).figures
    place = figures.schemes.index("ft-conv3")
    values = figures.auc.values[:, place]
    found = contrasts.estimate(values, figures.auc.covariance[:, place, :, place], figures.auc.effective_groups)
    reach = (found.interval().high - found.value) / (found.value * (1 - found.value))  # on the logit scale
    row = rows["ft-conv3", "candidate AUC"]
    assert (float(row["low"]), float(row["high"])) == pytest.approx(tuple(expit(logit(found.value) + [-reach, reach])))
    assert rows["ft-conv3", "patch AUC"]["low"] == "", "equal test sets, and nothing is known of the patches' cases"
    page = (out / "report.md").read_text()
    line = "overlap of the seeds' test sets, by group: 100 % on average, at most 100 % (halves drawn by chance: 67 %)"
    assert f"{line}; 1 distinct test sets among 2 seeds" in page
    assert "> **1 distinct test set among 2 seeds, 100 % in common on average: the seeds hardly vary the split" in page


def test_synthetic_groups_of_two_seeds_are_other_groups(study):
    """Every seed draws its own sequences, under the same names."""
    real = finished.study(report_of.loaded(study)[0])
    runs = [
        replace(
            run,
            settings=replace(run.settings, request=replace(run.settings.request, data=None, seed=run.settings.seed)),
        )
        for run in real.runs
    ]
    assert design_part.overlap(replace(real, runs=tuple(runs))) == (0, 0)
    assert design_part.overlap(real) == pytest.approx((1, 1))


def test_claims_are_contrasts_over_seeds(study, out, monkeypatch):
    rows = table(out / "claims.csv")
    assert "hand-crafted" in rows[0]["claim"] and rows[0]["verdict"] == "not tested"
    assert rows[0]["reason"] == "a test set has 8 groups with polyps; 10 are needed"
    page = (out / "report.md").read_text()
    assert model.markdown([model.Section("", [claims_table.table(material_of(study).claims)])]).strip("# \n") in page

    monkeypatch.setattr(claims, "ENOUGH_GROUPS", 8)
    found = {claim.statement: claim for claim in material_of(study).claims}
    claim = found["Tuning the last two layers beats tuning only the last"]
    gaps = [
        np.mean([Scored(study, name, seed).sensitivity(rate) / Scored(study, name, seed).polyps for rate in RATES])
        for seed in (0, 1)
        for name in ("ft-fc7", "ft-fc8")
    ]
    assert claim.test.estimate.value == pytest.approx((gaps[0] - gaps[1] + gaps[2] - gaps[3]) / 2)
    assert claim.test.estimate.seeds == 2 and claim.test.estimate.groups == 8
    assert found["Performance grows with the depth of tuning"].reason.startswith("4 depths were run")
    sooner = found["Deeply tuned nets converge sooner than nets from scratch"]
    assert sooner.reason == "0 of 2 seeds decide, a sign test needs 6 (seed 0: 2 and 2; seed 1: 2 and 2)"


def test_the_primary_endpoint_is_named_first(out):
    page = (out / "report.md").read_text().splitlines()
    first = next(line for line in page if line.startswith("- "))
    assert first.startswith("- primary endpoint: sensitivity at 1 false positive a frame by polyp, fixed beforehand")
    assert [row["figure"] for row in table(out / "results.csv")][0] == "sensitivity at 1 FP a frame"


def test_margins_are_those_that_were_asked_for(study, tmp_path, tables_only):
    report(study, tmp_path / "out", margin=0.2, auc_margin=0.1)
    margins = {row["claim"]: row["margin"] for row in table(tmp_path / "out" / "claims.csv")}
    assert margins["Deep tuning is as good as training from scratch or better"] == "0.2"
    assert margins["Deep tuning is as good as training from scratch or better, by AUC"] == "0.1"
    for wrong in (0.0, 1.0, -0.05, float("nan")):
        with pytest.raises(UserError, match="^MARGIN=.*: a margin must lie between 0 and 1"):
            report(study, tmp_path / "wrong", margin=wrong)
    assert not (tmp_path / "wrong").exists()


def test_best_and_worst_candidates(study, out):
    folder = run_of(study, "ft-conv1")
    group = {r["frame"]: r["group"] for r in items_of(folder)}
    scores = table(folder / "scores.csv")
    wanted = {
        "hits that score highest": (lambda r: r["lesion"] != "0", -1),
        "hits that score lowest": (lambda r: r["lesion"] != "0", 1),
        "false positives that score highest": (lambda r: r["lesion"] == "0", -1),
    }
    found = table(out / "extreme_candidates.csv")
    for kind, (belongs, sign) in wanted.items():
        seen, best = set(), []
        for row in sorted(filter(belongs, scores), key=lambda r: sign * float(r["probability"])):
            if group[row["frame"]] not in seen:
                seen.add(group[row["frame"]])
                best.append((row["frame"], row["candidate"], row["probability"]))
        own = [row for row in found if row["kind"] == kind]
        assert [(row["frame"], row["candidate"], row["score"]) for row in own] == best[: examples.SHOWN]


def test_shown_frames_are_spread_over_the_test_and_some_have_no_polyp(study):
    run = finished.load(run_of(study, "ft-conv1"))
    names = examples.shown_frames(run)
    lesions = {r["frame"]: int(r["targets"]) for r in table(run.packed.found / "items.csv") if r["split"] == "test"}
    assert len(set(names)) == examples.SCENES and set(names) <= lesions.keys()
    assert [lesions[name] > 0 for name in names] == [True] * 4 + [False] * 2
    assert len({name.split("/")[0] for name in names[:4]}) == 4


def test_masks_that_changed_since_packing_are_refused(study, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "PARTS", (pictures.extremes,))
    moved = tmp_path / "study"
    shutil.copytree(study[0].parents[1], moved)
    own = [moved / "runs" / folder.name for folder in study]
    for folder in own:
        record = json.loads((folder / "run.json").read_text())
        record["settings"]["data"]["data"] = str(moved / "frames")
        (folder / "run.json").write_text(json.dumps(record))
    for mask in (moved / "frames" / "masks").rglob("*.png"):
        cv2.imwrite(str(mask), np.roll(cv2.imread(str(mask), 0), 30, axis=1))
    with pytest.raises(UserError, match="the ground truth of frame .* has changed since .* was packed"):
        report(own, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_moved_study_finds_its_data_beside_its_runs(study, tmp_path):
    moved = tmp_path / "runs"
    shutil.copytree(study[0].parent, moved)
    packed = {seed: packed_of(run_of(study, "scratch", seed)) for seed in (0, 1)}
    shutil.rmtree(moved / "data" / packed[1].parent.name)
    for folder in [folder for folder in moved.iterdir() if (folder / "run.json").exists()]:
        record = json.loads((folder / "run.json").read_text())
        record["resolved"]["data"] = record["resolved"]["data"].replace(str(study[0].parent), "/gone")
        (folder / "run.json").write_text(json.dumps(record))
    found = finished.load(moved / run_of(study, "scratch").name).packed.folder
    assert found == moved / "data" / packed[0].parent.name / packed[0].name
    with pytest.raises(UserError, match="the packed data of .* are gone"):
        _ = finished.load(moved / run_of(study, "scratch", 1).name).packed


def test_unfinished_runs_are_named(study, tmp_path, tables_only):
    (tmp_path / "runs").mkdir()
    unfinished = tmp_path / "runs" / "polyp-ft-conv5-frames-123456"
    page = report([*study[:5], unfinished], tmp_path / "out").read_text()
    assert "Incomplete: 1 run of this study not finished" in page and unfinished.name in page
    assert json.loads((tmp_path / "out" / "report.json").read_text())["missing"] == [unfinished.name]
    with pytest.raises(UserError, match="none of 1 runs is finished, e.g. .*ft-conv5"):
        report([unfinished], tmp_path / "none")


def test_a_complete_report_says_nothing_of_missing_runs(out):
    assert "Incomplete" not in (out / "report.md").read_text()


def changed(folder, to, file, change):
    """A copy of a run with one of its records changed."""
    shutil.copytree(folder, to)
    record = json.loads((to / file).read_text())
    change(record)
    (to / file).write_text(json.dumps(record))
    return to


def test_runs_of_one_seed_with_other_test_data_are_refused(study, tmp_path):
    other = packed_of(run_of(study, "scratch", 1))
    foreign = changed(
        run_of(study, "scratch"),
        tmp_path / "run",
        "run.json",
        lambda record: record["resolved"].update(data=str(other)),
    )
    with pytest.raises(UserError, match="seed 0, but were tested on different data .*packed-"):
        report([run_of(study, "ft-fc8"), foreign], tmp_path / "out")


def test_scores_of_other_candidates_are_refused(study, tmp_path):
    shutil.copytree(run_of(study, "scratch"), tmp_path / "run")
    scores = (tmp_path / "run" / "scores.csv").read_text().splitlines()
    (tmp_path / "run" / "scores.csv").write_text("\n".join(scores[:-1]) + "\n")
    with pytest.raises(UserError, match=r"scores.csv: not the candidates that were tested"):
        report([run_of(study, "ft-fc8"), tmp_path / "run"], tmp_path / "out")


def test_patches_of_another_size_are_the_same_test(study, tmp_path):
    """Nets of other inputs have their own packed folder over the same candidates."""
    small = packed_of(run_of(study, "scratch"))
    large = tmp_path / "data" / small.parent.name / "packed-224"
    shutil.copytree(small.parent, large.parent)
    shutil.copytree(small, large)

    def other_net(record):
        record["settings"]["training"]["arch"] = "caffenet"
        record["resolved"]["data"] = str(large)

    other = changed(run_of(study, "scratch"), tmp_path / "run", "run.json", other_net)
    found = finished.study(report_of.loaded([run_of(study, "ft-fc8"), other])[0])
    assert found.names == ["ft-fc8", "caffenet scratch"] and found.scratch == ["caffenet scratch"]


def test_one_scheme_and_seed_twice_is_refused(study, tmp_path):
    shutil.copytree(study[0], tmp_path / "again")
    with pytest.raises(UserError, match="are both ft-fc8 with seed 0"):
        report([study[0], tmp_path / "again"], tmp_path / "out")


def test_other_data_sets_are_refused(study, tmp_path):
    other = changed(
        run_of(study, "scratch", 1),
        tmp_path / "run",
        "run.json",
        lambda record: record["settings"]["data"].update(data="elsewhere"),
    )
    with pytest.raises(UserError, match="different data sets"):
        report([study[0], other], tmp_path / "out")


@pytest.mark.parametrize("file", ("run.json", "result.json"))
@pytest.mark.parametrize("content", ("", "[]", "{"))
def test_damaged_records_are_named(study, tmp_path, file, content):
    shutil.copytree(study[0], tmp_path / "run")
    (tmp_path / "run" / file).write_text(content)
    with pytest.raises(UserError, match=f"{file} is missing or damaged|another version"):
        report([tmp_path / "run"], tmp_path / "out")


def test_an_interrupted_report_leaves_the_earlier_one_whole(study, tmp_path, monkeypatch, tables_only):
    folder = tmp_path / "out"
    report(study[:5], folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pages, "PARTS", (results.results, interrupted))
    with pytest.raises(KeyboardInterrupt):
        report(study[:5], folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list(tmp_path.iterdir()) == [folder]


def test_an_earlier_report_is_replaced_and_equal_runs_give_equal_bytes(study, out, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pages, "PARTS", (results.results,))
        report(study[:5], tmp_path / "out")
    report(study, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        path.name: path.read_bytes() for path in out.iterdir()
    }


def test_a_folder_of_the_user_is_not_replaced(study, tmp_path, tables_only):
    own = tmp_path / "thesis"
    own.mkdir()
    (own / "chapter.tex").write_text("years of work")
    with pytest.raises(UserError, match="is there already and is no report; choose another OUT="):
        report(study[:1], own)
    report(study[:5], tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"notes\.txt"):
        report(study[:5], tmp_path / "out")
    assert (own / "chapter.tex").exists() and (tmp_path / "out" / "notes.txt").exists()


def test_what_is_not_faithful_and_not_as_in_the_paper_is_said(study, out, tmp_path, tables_only):
    page = (out / "report.md").read_text()
    assert "fp32 throughout, as Caffe" in page and "not 100000" in page and "8 of 120 patches scored" in page
    assert str(study[0].parents[1] / "donor.caffemodel") in page
    fast = changed(
        run_of(study, "ft-conv1"),
        tmp_path / "run",
        "run.json",
        lambda record: record["settings"]["training"].update(precision="bf16"),
    )
    page = report([run_of(study, "ft-fc8"), fast], tmp_path / "out").read_text()
    assert "NOT FAITHFUL TO CAFFE" in page and "ft-conv1 (seed 0: bf16)" in page


def test_what_runs_warned_of_is_said_once_with_their_names(study, out, tmp_path, tables_only):
    assert "Warning" not in (out / "report.md").read_text()
    text = "donor x.caffemodel: the weights of conv1 are 42 times smaller"
    runs = [
        changed(run_of(study, scheme), tmp_path / scheme, "result.json", lambda result: result.update(warnings=[text]))
        for scheme in ("ft-fc8", "ft-conv1")
    ]
    page = report(runs, tmp_path / "out").read_text()
    assert page.count(text) == 1 and f"> **Warning by ft-fc8 (seed 0), ft-conv1 (seed 0): {text}**" in page


def test_resumed_runs_are_said(study, out, tmp_path, tables_only):
    assert "resumed after an interruption: no run\n" in (out / "report.md").read_text()
    assert {row["resumed_at"] for row in table(out / "runs.csv")} == {""}
    again = [
        {"iteration": at, "solverstate": state, "time": "2026-01-01T00:00:00+00:00", "caffe": "lab"}
        for at, state in ((50, "a"), (0, None), (10, "b"), (20, "c"))
    ]
    own = changed(run_of(study, "ft-conv1"), tmp_path / "run", "result.json", lambda r: r.update(resumes=again))
    page = report([run_of(study, "ft-fc8"), own], tmp_path / "out").read_text()
    assert (
        "> **Resumed after an interruption, so that their numbers need not be what the seed gives undisturbed: ft-conv1"
        " (seed 0, at iteration 10 20)**\n"
    ) in page
    assert "resumed after an interruption: ft-conv1 (seed 0, at iteration 10 20)\n" in page
    told = {row["name"]: row["resumed_at"] for row in table(tmp_path / "out" / "runs.csv")}
    assert told == {"ft-fc8": "", "ft-conv1": "10 20"}
    title = Material(finished.study(report_of.loaded([run_of(study, "ft-fc8"), own])[0])).title
    assert title == "frames, 1 of 2 runs resumed, seed 0"


def test_single_pictures_say_what_they_must_not_be_taken_for(study, tmp_path):
    donor = summary.donor_text(True, embedded=True, file=tmp_path)
    own = changed(run_of(study, "ft-conv1"), tmp_path / "run", "result.json", lambda result: result.update(donor=donor))
    record = json.loads((own / "run.json").read_text())
    record["settings"]["training"]["precision"] = "bf16"
    (own / "run.json").write_text(json.dumps(record))
    found = finished.study(report_of.loaded([run_of(study, "ft-fc8"), own])[0])
    title = Material(found).title
    assert title == "frames, embedded donor (not ImageNet), bf16: not faithful to Caffe, seed 0"
    plain = Material(finished.study(report_of.loaded(study[:5])[0])).title
    assert plain == "frames, seed 0"


def test_a_score_that_many_candidates_share_is_told(study, out, tmp_path, tables_only):
    assert "have the same score" not in (out / "report.md").read_text()
    shutil.copytree(run_of(study, "ft-conv1"), tmp_path / "run")
    rows = table(tmp_path / "run" / "scores.csv")
    for row in rows[: len(rows) // 4]:
        row["probability"] = "0.5"
    with open(tmp_path / "run" / "scores.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    page = report([run_of(study, "ft-fc8"), tmp_path / "run"], tmp_path / "out").read_text()
    share = round(100 * (len(rows) // 4) / len(rows))
    assert f"- ft-conv1, seed 0: {share} % of the test candidates have the same score, 0.5" in page
    assert "- ft-fc8, seed 0:" not in page


def test_no_picture_of_filters_where_no_net_tunes_its_first_layer(study, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "PARTS", (study_parts.training,))
    page = report([run_of(study, "ft-fc8"), run_of(study, "scratch")], tmp_path / "out").read_text()
    assert not (tmp_path / "out" / "filters.png").exists() and "No picture of the first layer's filters" in page


def test_a_study_without_depths_has_no_figure_of_them(study, tmp_path, tables_only):
    page = report([run_of(study, "scratch")], tmp_path / "out").read_text()
    assert not (tmp_path / "out" / "auc_by_depth.png").exists() and "No fine-tuned net in this study" in page


def test_figures_of_single_runs_show_the_seed_that_has_most_schemes(study):
    some = [run_of(study, "ft-fc8", 0), *(run_of(study, name, 1) for name in ("ft-fc8", "scratch"))]
    found = finished.study(report_of.loaded(some)[0])
    assert found.seeds == [0, 1] and found.main_seed == 1 and list(found.main) == ["ft-fc8", "scratch"]


def program(*arguments, cwd):
    return run_tool("write_report", *arguments, cwd=cwd)


def test_the_program_takes_the_options_of_the_study(study, tmp_path, tables_only):
    root = study[0].parents[1]
    options = [
        "polyp",
        "--data",
        str(root / "frames"),
        "--runs",
        str(root / "runs"),
        "--seeds",
        "0",
        "--schemes",
        " ".join([*SKILLS, "ft-conv5"]),
    ]
    done = program(*options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 of 6 runs are not finished: polyp-ft-conv5-frames-" in done.stdout
    assert (tmp_path / "reports" / "polyp" / "report.md").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    (
        (("polyp",), "none of 9 runs is finished"),
        (("polip",), "did you mean 'polyp'?"),
        (("polyp", "--schemes", "ft-conv7"), "unknown scheme"),
    ),
)
def test_the_program_tells_mistakes_in_one_line(tmp_path, arguments, said):
    done = program(*arguments, cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_report_says_what_the_patches_were_made_into_for_which_nets(study):
    real = finished.study(report_of.loaded(study)[0])
    said = {
        name: "B G R minus 104, 117, 123, times 1" if name.startswith("ft") else "the data's" for name in real.names
    }

    def having(inputs):
        runs = [replace(run, result=replace(run.result, input=inputs[real.name(run)])) for run in real.runs]
        return study_parts.inputs(replace(real, runs=tuple(runs)))

    tuned, scratch = ([name for name in real.names if name.startswith("ft") is which] for which in (True, False))
    assert having(said) == [
        f"input of {', '.join(tuned)}: B G R minus 104, 117, 123, times 1",
        f"input of {', '.join(scratch)}: the data's",
    ]
    assert having(dict.fromkeys(real.names, "one")) == ["input: one"]
    assert having(dict.fromkeys(real.names, "")) == [], "runs of an older version"
