"""A run on class folders: what was found in the data stays in its records, and its predictions know the classes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from class_folders_lab import draw

from pycaffe_ext.runs import pipeline
from pycaffe_ext.runs.predict import predict
from pycaffe_ext.runs.records import read_result, read_run
from pycaffe_ext.runs.settings import Machine, Settings


@pytest.mark.slow
def test_contradicting_labels_and_the_positive_class_are_in_all_that_a_run_leaves(tmp_path):
    for k, name in enumerate(("lesion", "normal")):
        for n in range(6):
            draw(tmp_path / f"data/{name}/{n}.png", 100 * k + n)
    draw(tmp_path / "data/normal/copy.png", 0)
    settings = Settings.of("folder", "ft-fc8", data=str(tmp_path / "data"), patches=40, epochs=1, positive="lesion")
    said: list[str] = []
    folder = pipeline.run(settings, tmp_path / "runs", machine=Machine(threads=1), say=said.append)
    (warning,) = read_result(folder).warnings
    assert "lesion/0.png = normal/copy.png" in warning and read_run(folder).warnings == [warning]
    assert read_run(folder).settings["data"]["options"] == {"positive": "lesion"}
    assert "sensitivity for lesion at a specificity" in (text := "\n".join(said))
    assert text.index("positive: lesion (POSITIVE=)") < text.index(f"warning: {warning}") < text.index("train ")
    for n, name in enumerate(("g16.png", "g16.tif")):
        draw(tmp_path / "new" / name, n, Path(name).suffix)
    out = predict(folder, tmp_path / "new", tmp_path / "out", Machine(threads=1), say=said.append)
    with (out / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[2:] == ["probability of normal", "probability of lesion"]
    assert [row["image"] for row in rows] == ["g16.png", "g16.tif"]
    assert {path.name for path in (out / "overlays").iterdir()} == {"g16.png.png", "g16.tif.png"}
