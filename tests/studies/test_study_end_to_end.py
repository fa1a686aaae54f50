"""`make polyp` and `make polyp-tables` as a user runs them, on miniature data: two schemes, then the report."""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from programs import run_tool

OPTIONS = (
    "polyp",
    "--schemes",
    "ft-fc8 scratch:epochs=2",
    "--seeds",
    "3",
    "--patches",
    "120",
    "--test-views",
    "1",
    "--batch",
    "16",
    "--epochs",
    "1",
)
PICTURES = {
    "froc.png",
    "froc_all_by_lesion.png",
    "froc_all_by_frame.png",
    "roc.png",
    "auc_by_depth.png",
    "table_s1.png",
    "candidates.png",
    "patches.png",
    "extreme_candidates.png",
    "convergence.png",
}
TABLES = {"table_s1.csv", "auc_by_depth.csv", "counts.csv", "claims.csv", "runs.csv", "report.md"}

pytestmark = pytest.mark.slow


def run(folder: Path, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_tool(tool, *arguments, cwd=folder)


@pytest.fixture(scope="module")
def studied(miniature, tmp_path_factory) -> tuple[Path, tuple[str, ...], str]:
    folder = tmp_path_factory.mktemp("study")
    shutil.copytree(miniature, folder / "frames")
    options = (*OPTIONS, "--data", "frames")
    early = run(folder, "write_report", *options)
    assert early.returncode == 1 and early.stderr.count("\n") == 1 and "none of 2 runs is finished" in early.stderr
    done = run(folder, "run_study", *options)
    assert done.returncode == 0, done.stderr
    return folder, options, done.stdout


def test_each_scheme_ran_once_with_its_own_epochs_and_a_repeat_trains_nothing(studied):
    folder, options, said = studied
    assert "[1/2] polyp-ft-fc8, seed 3" in said and "[2/2] polyp-scratch, seed 3" in said and "detector alone" in said
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("runs/polyp-*/run.json"))]
    assert [(r["settings"]["training"]["scheme"], r["settings"]["training"]["epochs"]) for r in records] == [
        ("ft-fc8", 1),
        ("scratch", 2),
    ]
    assert len({record["resolved"]["data"] for record in records}) == 1, "both were trained on the same patches"
    before = {path: path.stat().st_mtime_ns for path in folder.glob("runs/polyp-*/*")}
    again = run(folder, "run_study", *options)
    assert again.returncode == 0 and again.stdout.count(": finished") == 2
    assert {path: path.stat().st_mtime_ns for path in folder.glob("runs/polyp-*/*")} == before


def test_the_report_has_every_picture_and_table_and_the_numbers_of_the_runs(studied):
    folder, options, _ = studied
    done = run(folder, "write_report", *options)
    assert done.returncode == 0, done.stderr
    report = folder / "reports" / "polyp"
    assert {path.name for path in report.iterdir()} >= PICTURES | TABLES
    with (report / "runs.csv").open() as file:
        shown = {row["name"]: float(row["patch_auc"]) for row in csv.DictReader(file)}
    results = [json.loads(path.read_text()) for path in folder.glob("runs/polyp-*/result.json")]
    assert shown == {
        result["name"].removeprefix("polyp-"): pytest.approx(result["test"]["patch_auc"]) for result in results
    }
    text = (report / "report.md").read_text()
    assert all(name in text for name in PICTURES)
    assert "NOT ImageNet" in text and "hand-crafted detector" in text
