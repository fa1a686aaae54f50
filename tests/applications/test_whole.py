"""Applications about whole pictures, frames and folder: from a folder to packed patches."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np
import pytest

from pycaffe_ext.applications import preparation, registry
from pycaffe_ext.applications.frames import MODEL
from pycaffe_ext.data import crops, synthetic
from pycaffe_ext.data.pack import database_path, index_path
from pycaffe_ext.data.synthetic.degrade import LIMIT
from pycaffe_ext.detector import quality
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.runs.settings import DataRequest

SIZE = 20


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(quality, "TREES", 10)
    monkeypatch.setenv("PYCAFFE_EXT_THREADS", "1")  # no processes of its own


def noise(seed: int, size: tuple[int, int] = (30, 44)) -> np.ndarray:
    """A picture that resembles no other one."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def request(app: str, data: Path | None, **options: str) -> DataRequest:
    return DataRequest(
        app, str(data) if data else None, patches=options.pop("patches", 80), options=tuple(options.items())
    )


def prepared(app: str, data: Path | None, runs: Path, **options: Any) -> preparation.Prepared:
    application, wanted = registry.load(app), request(app, data, **options)
    application.check(wanted)
    return preparation.prepare(application, wanted, SIZE, runs)


def class_folders(folder: Path, counts: dict[str, int]) -> Path:
    for k, (name, count) in enumerate(counts.items()):
        for n in range(count):
            write(folder / name / f"{n}.png", noise(1000 * k + n))
    return folder


def index(done: preparation.Prepared, split: str) -> list[dict[str, str]]:
    with index_path(done.packed.folder, split).open() as file:
        return list(csv.DictReader(file))


def patches(done: preparation.Prepared, split: str) -> dict[str, np.ndarray]:
    """key -> (3, SIZE, SIZE) of the packed LMDB."""
    found = {}
    with lmdb.open(str(database_path(done.packed.folder, split)), readonly=True, lock=False) as database:
        for key, value in database.begin().cursor():
            datum = caffe_pb2.Datum.FromString(value)
            found[key.decode()] = np.frombuffer(datum.data, np.uint8).reshape(3, SIZE, SIZE)
    return found


def test_folder_packs_balanced_crops_of_every_class(tmp_path):
    data = class_folders(tmp_path / "data", {"c": 12, "a b": 24, "\u00e4": 6})
    done = prepared("folder", data, tmp_path / "runs", patches=150)
    assert done.packed.classes == ("a b", "c", "\u00e4")
    for split in ("train", "val"):
        labels = [int(row["label"]) for row in index(done, split)]
        assert len(set(np.bincount(labels, minlength=3))) == 1, "as many of each class"
    test = index(done, "test")
    assert len(test) == 9 * 21
    views = {(row["dy"], row["dx"]) for row in test}
    assert len(views) == 9
    assert {row["mirror"] for row in test} == {"0"}
    assert done.packed.facts["test"]["classes"] == {"a b": 12, "c": 6, "\u00e4": 3}
    text = registry.load("folder").data_text(done.packed.facts, done.packed.patches)
    assert text[2].startswith("test  21 images in 21 groups, 12 a b, 6 c, 3 \u00e4; 189 patches")


def test_the_packed_pixels_are_the_crops_that_the_index_names(tmp_path):
    data = class_folders(tmp_path / "data", {"a": 6, "b": 6})
    done = prepared("folder", data, tmp_path / "runs", resize="keep")
    packed = patches(done, "train")
    for row in index(done, "train")[::7]:
        image = cv2.imread(str(data / f"{row['image']}.png"))
        crop = crops.Crop(float(row["dy"]), float(row["dx"]), bool(int(row["mirror"])))
        (expected,) = crops.cut(image, [crop], SIZE, "keep")
        np.testing.assert_array_equal(packed[row["key"]], expected)


def test_without_balance_the_patches_are_as_the_data_are(tmp_path):
    data = class_folders(tmp_path / "data", {"a": 24, "b": 6})
    done = prepared("folder", data, tmp_path / "runs", balance="0")
    a, b = np.bincount([int(row["label"]) for row in index(done, "train")])
    assert a > 2.5 * b


def test_fixed_splits_are_kept_and_another_table_is_another_folder(tmp_path):
    data = class_folders(tmp_path / "data", {"a": 6, "b": 6})
    words = ("train", "train", "train", "val", "test", "test")
    lines = [f"{kind}/{i},{words[i]}" for kind in "ab" for i in range(6)]
    (data / "splits.csv").write_text("\n".join(["frame,split", *lines]))
    done = prepared("folder", data, tmp_path / "runs")
    assert {split: [image.name for image in part] for split, part in done.found.parts.items()} == {
        split: [f"{kind}/{i}" for kind in "ab" for i in range(6) if words[i] == split]
        for split in ("train", "val", "test")
    }
    (data / "splits.csv").write_text("\n".join(["frame,split", *lines]).replace("0,train", "0,test"))
    again = prepared("folder", data, tmp_path / "runs")
    assert again.found.folder != done.found.folder
    assert len(again.found.parts["test"]) == 6


def test_near_duplicates_are_joined_or_refused_across_fixed_splits(tmp_path):
    data = class_folders(tmp_path / "data", {"a": 6, "b": 6})
    write(data / "a" / "copy.png", noise(0))
    done = prepared("folder", data, tmp_path / "runs")
    groups = {image.name: image.group for image in done.found.items}
    assert groups["a/copy"] == groups["a/0"]
    lines = [f"{kind}/{i},{('train', 'val', 'test')[i % 3]}" for kind in "ab" for i in range(6)]
    (data / "splits.csv").write_text("\n".join(["frame,split", *lines, "a/copy,test"]))
    with pytest.raises(UserError, match="1 pair, the first: a/0 in train and a/copy in test; give .* the splits.csv"):
        prepared("folder", data, tmp_path / "runs")


@pytest.mark.parametrize(("app", "names"), [("folder", ("lesion", "normal")), ("frames", ("bad", "good"))])
def test_labels_that_contradict_each_other_are_said_and_kept_of_found_data_too(app, names, tmp_path):
    data = class_folders(tmp_path / "data", {names[0]: 12, names[1]: 12})
    write(data / names[1] / "copy.png", noise(0))
    text = f"1 pair of near-duplicates has different classes: {names[0]}/0.png = {names[1]}/copy.png; check the labels"
    for _ in range(2):
        said: list[str] = []
        done = preparation.prepare(registry.load(app), request(app, data), SIZE, tmp_path / "runs", said.append)
        assert said.count(f"warning: {text}") == 1 and list(done.found.warnings) == [text]
        assert sum("2 of 25" in line and "near-duplicates of others" in line for line in said) == 1


def test_the_positive_class_is_class_1_and_said_and_names_stay_without_it(tmp_path):
    data = class_folders(tmp_path / "data", {"lesion": 8, "normal": 8})
    found, texts = {}, {}
    for positive in ("", "lesion"):
        wanted, said = request("folder", data, positive=positive), []
        found[positive] = preparation.prepare(registry.load("folder"), wanted, SIZE, tmp_path / "runs", said.append)
        texts[positive] = [line for line in said if line.startswith("positive: ")]
    assert texts == {
        "": ["positive: normal (the second by alphabet; POSITIVE= chooses)"],
        "lesion": ["positive: lesion (POSITIVE=)"],
    }
    assert request("folder", data, positive="") == request("folder", data), "so runs and folders keep their names"
    assert found["lesion"].found.folder != found[""].found.folder
    assert found["lesion"].packed.classes == found["lesion"].test.classes == ("normal", "lesion")
    labels = {(image.kind, image.label) for image in found["lesion"].found.items}
    assert labels == {("normal", 0), ("lesion", 1)}


def test_pictures_to_predict_for_are_named_as_those_of_a_class(tmp_path):
    for name in ("g16.png", "g16.tif", "p1/b.png"):
        write(tmp_path / "a" / name, noise(1))
        write(tmp_path / "b" / name, noise(2))
    for app in ("folder", "frames"):
        assert set(registry.load(app).pictures(tmp_path / "a", tmp_path)) == {"g16.png", "g16.tif", "p1/b"}
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="none: no image in it .*png"):
        registry.load("folder").pictures(tmp_path / "none", tmp_path)


@pytest.mark.parametrize(
    ("app", "options", "words"),
    [
        ("folder", {}, "folder needs your images"),
        ("folder", {"resize": "sqash"}, "did you mean 'squash'"),
        ("frames", {"positive": "informative"}, "POSITIVE= is no setting of frames"),
        ("folder", {"balance": "2"}, "unknown BALANCE '2'"),
        ("folder", {"damaged": "kep"}, "did you mean 'keep'"),
        ("frames", {"degrade": "1"}, "DEGRADE=1 degrades the frames of DATA="),
        ("frames", {"degrade": "yes"}, "unknown DEGRADE 'yes'"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(app, options, words):
    with pytest.raises(UserError, match=words):
        registry.load(app).check(request(app, None, **options))


def test_more_views_than_there_are_are_refused(tmp_path):
    wanted = DataRequest("folder", str(class_folders(tmp_path, {"a": 3, "b": 3})), test_views=19)
    with pytest.raises(UserError, match="TEST_VIEWS=19 is out of range; allowed: 1 to 18"):
        registry.load("folder").check(wanted)


# --- frames -----------------------------------------------------------------------------------------------------------


def test_frames_of_class_folders_have_scores_of_a_baseline_that_saw_no_test_frame(tmp_path):
    data = tmp_path / "data"
    for video in range(6):
        for n in range(4):
            image = noise(10 * video + n, (64, 64))
            write(data / "informative" / f"v{video}" / f"{n}.png", image)
            write(
                data / "uninformative" / f"v{video}" / f"b{n}.png",
                cv2.GaussianBlur(noise(900 + 10 * video + n, (64, 64)), (0, 0), 6),
            )
    done = prepared("frames", data, tmp_path / "runs")
    found, samples = done.found, done.found.samples
    assert {image.group for image in found.items} == {f"v{video}" for video in range(6)}
    rows = found.rows("test")
    label, score = samples.label[rows], samples.score[rows]
    assert score[label == 1].min() > score[label == 0].max()
    train = found.parts["train"]
    table = np.stack([quality.features(image.pixels()) for image in train])
    expected = quality.train(table, np.array([image.label for image in train]), 0)
    assert quality.Model.load(found.folder / MODEL).digest() == expected.digest(), "of the training frames alone"
    again = registry.load("frames").apply(found.parts["test"], found.folder)
    np.testing.assert_allclose(again.score, score, atol=1e-9)


def small_videos(folder: Path, *_counts: int, **options: Any) -> None:
    write_sequences(folder, videos=6, frames=4, size=(64, 80), seed=options["seed"], workers=1, progress=False)


write_sequences = synthetic.write_sequences


@pytest.mark.parametrize("degrade", [False, True], ids=["synthetic", "the user's polyps"])
def test_half_of_the_frames_of_every_video_are_degraded(degrade, tmp_path, monkeypatch):
    data = None
    if degrade:
        small_videos(data := tmp_path / "polyps", seed=5)
    monkeypatch.setattr(synthetic, "write_sequences", small_videos)
    done = prepared("frames", data, tmp_path / "runs", **({"degrade": "1"} if degrade else {}))
    items = done.found.items
    assert "semi-synthetic" in done.found.application.data_name(done.found.request)
    assert len(items) == 24
    shown = [registry.load("frames").show(image) for image in items]
    assert all(np.array_equal(one, image.pixels()) for one, image in zip(shown, items, strict=True))
    assert any(not np.array_equal(one, image.picture()) for one, image in zip(shown, items, strict=True))
    for group in {image.pristine.parent.name for image in items}:
        assert sum(image.label for image in items if image.pristine.parent.name == group) == 2
    assert {image.source for image in items} == {f"semi-synthetic {'polyps' if degrade else 'synthetic'}"}
    (table,) = (tmp_path / "runs" / "data").glob("semi-synthetic-*/frames.csv")
    with table.open() as file:
        for row in csv.DictReader(file):
            assert (row["label"] == "informative") == (not row["degradation"] or float(row["severity"]) < LIMIT)
