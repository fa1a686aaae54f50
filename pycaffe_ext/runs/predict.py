"""A finished run applied to pictures or videos without labels: probabilities as a table, and drawn on the pictures.

The run's own model proposes the samples, its own mean and scale prepare the patches, and a caffe command line
scores them, as in its test: predictions for test items are the scores of the test.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pycaffe_ext.applications.base import Application
from pycaffe_ext.data import depths, pack
from pycaffe_ext.data.balance import take_all
from pycaffe_ext.data.depths import Depth
from pycaffe_ext.data.frames import SUFFIXES
from pycaffe_ext.data.items import Floats, Material, Picture, Samples
from pycaffe_ext.data.sources import decode
from pycaffe_ext.data.sources.listing import ending
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_csv, writing, writing_folder
from pycaffe_ext.pictures import stored
from pycaffe_ext.progress import bar
from pycaffe_ext.runs import finished, rescoring
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.runs.rescoring import BATCH
from pycaffe_ext.runs.settings import Machine
from pycaffe_ext.threads import at_most
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.scoring import ScoreNet, score

SLICE = 20_000  # patches on the disk at a time
TABLE = "predictions.csv"
OVERLAYS = "overlays"
RATE = 25.0  # frames a second of an annotated video whose own rate is not known


@dataclass(frozen=True)
class Source:
    """Pictures to predict for: (name, file) in order, and the video that they are the frames of, if any."""

    pictures: Sequence[tuple[str, Path]]
    video: Path | None = None


def predict(
    folder: Path, data: Path, out: Path, machine: Machine, overlays: bool = True, say: Callable[[str], None] = print
) -> Path:
    """Apply the finished run in `folder` to `data`, a picture, a folder of pictures, or a video; returns `out`.

    out : a new folder; gets predictions.csv and, with `overlays`, overlays/NAME.png or overlays/VIDEO.mp4.
    Raises UserError if the run is not finished or its files are gone, if `data` is not of the application's kind, has
    pictures on another scale than the run's own (`data.depths`), or if `out` exists.
    """
    if (run := finished.load(folder)) is None:
        raise UserError(f"{folder}: no finished run (result.json is missing); give RUN= the folder of one")
    if out.exists():
        raise UserError(f"{out} is there already; choose another OUT= or remove it")
    with at_most(machine.threads), tempfile.TemporaryDirectory(prefix="predict-") as work:
        application = run.application
        source = sources_of(data, Path(work), application)
        items = application.unlabelled(source.pictures, run.settings.request)
        depth = depths.of(items, f"DATA={data}")
        depths.check_same(Depth.read(run.packed.depth), depth, f"DATA={data}")
        for warning in depths.warnings(depth, f"DATA={data}"):
            say(f"warning: {warning}")
        samples = application.apply(items, run.packed.found)
        if not len(samples):
            raise UserError(f"{data}: no {application.words[1]} in {len(items)} {application.words[0]}s")
        probability = probabilities(run, items, samples, machine, Path(work))
        tables = application.predictions(items, samples, probability)
        with writing_folder(out) as part:
            for table in tables:
                write_csv(part / table.file, table.header, table.rows)
            if not tables:
                write_table(part / TABLE, application, run.packed.classes, items, samples, probability)
            if overlays:
                _draw(part / OVERLAYS, source, application, run.packed.classes, items, samples, probability)
    first = out / (tables[0].file if tables else TABLE)
    say(f"{first}: {len(samples)} {application.words[1]}s in {len(items)} {application.words[0]}s")
    return out


def sources_of(data: Path, cache: Path, application: Application[Any, Any]) -> Source:
    """The pictures that `data` holds; the frames of a video are decoded into `cache`."""
    if data.is_dir():
        return Source(list(application.pictures(data, cache / "videos").items()))
    if not data.exists():
        raise UserError(f"DATA={data}: no such file or folder; give a picture, a folder of pictures or a video")
    if ending(data) not in application.endings and not set(SUFFIXES) & set(application.endings):
        endings, word = ", ".join(application.endings), application.words[0]
        raise UserError(f"DATA={data}: not a {word} ({endings}); give one, or a folder of {word}s")
    if ending(data) in decode.SUFFIXES:
        (frames,) = decode.decode([(data, False)], cache / "video")
        return Source([(f"{data.stem}/{path.stem}", path) for path in sorted(frames.glob("*.png"))], data)
    try:
        if ending(data) in SUFFIXES or ending(data) not in application.endings:
            stored.header(data)
    except UserError as error:
        raise UserError(f"DATA={data}: neither a picture nor a video ({error})") from None
    return Source([(data.name[: -len(ending(data))] or data.name, data)])


def probabilities(run: RunFiles, items: Sequence[Any], samples: Samples, machine: Machine, work: Path) -> Floats:
    """(n, classes) float64: the mean over each sample's patches, as in the test."""
    if run.application.dense(run.settings.request):
        caffe = Caffe.from_setting(machine.caffe, machine.gpu, run.settings.training.precision)
        return rescoring.of_regions(run, caffe, items, samples, work)
    application, classes, size = run.application, len(run.packed.classes), rescoring.input_size(run)
    net = rescoring.write_net(run, pack.database_path(work, "test"), work / "score.prototxt")
    views = run.settings.request.test_views or application.test_views
    caffe = Caffe.from_setting(machine.caffe, machine.gpu, run.settings.training.precision)
    material = Material(items, samples, application.views, application.cut, application.words)
    weights, total = run.weights, np.zeros((len(samples), classes))
    step = max(1, SLICE // views)
    for start in bar(range(0, len(samples), step), "predicting", unit="slice", progress=len(samples) > step):
        rows = np.arange(start, min(start + step, len(samples)))
        chosen = take_all(samples.label[rows], len(application.views), views)
        part, encoding = replace(chosen, sample=chosen.sample + start), run.settings.request.encoding
        pack.pack(material, part, work, "test", encoding=encoding, size=size, progress=False)
        read = ScoreNet(net, len(chosen), BATCH, rescoring.head(run), classes)
        got, _ = score(caffe, read, weights, progress=True)
        np.add.at(total, start + chosen.sample, got[pack.order_of_keys(len(chosen), 0)])
    mean: Floats = total / views
    return mean


def write_table(
    path: Path,
    application: Application[Any, Any],
    classes: Sequence[str],
    items: Sequence[Any],
    samples: Samples,
    probability: Floats,
) -> None:
    """A line a sample: item, rank, place, the probability of each class, the proposer's own score if it has one."""
    own = [] if samples.score is None else ["score"]
    header = (*application.columns, *(f"probability of {name}" for name in classes), *own)
    write_csv(path, header, _rows(items, samples, probability))


def _rows(items: Sequence[Any], samples: Samples, probability: Floats) -> Iterator[tuple[Any, ...]]:
    score = [()] * len(samples) if samples.score is None else [(repr(float(s)),) for s in samples.score]
    for row in range(len(samples)):
        chances = (repr(float(p)) for p in probability[row])
        place = map(str, samples.place[row])
        yield items[samples.item[row]].name, int(samples.number[row]), *place, *chances, *score[row]


def _draw(
    folder: Path,
    source: Source,
    application: Application[Any, Any],
    classes: Sequence[str],
    items: Sequence[Any],
    samples: Samples,
    probability: Floats,
) -> None:
    folder.mkdir()
    ends = np.searchsorted(samples.item, np.arange(len(items) + 1)).tolist()
    own = [slice(start, end) for start, end in pairwise(ends)]
    drawn = zip(items, own, strict=True)
    shown = bar(drawn, "drawing", len(items), unit="picture")
    if source.video is not None:
        pictures = (application.overlay(item, samples.chosen(at), probability[at], classes) for item, at in shown)
        write_video(folder / f"{source.video.stem}.mp4", pictures, _rate(source.video))
        return
    for item, at in shown:
        for name, picture in application.overlays(item, samples.chosen(at), probability[at], classes).items():
            _write_picture(folder / f"{'/'.join(filter(None, (item.name, name)))}.png", picture)


def _write_picture(path: Path, picture: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path, "wb") as file:
        file.write(cv2.imencode(".png", picture)[1].tobytes())


def write_video(path: Path, pictures: Iterator[Picture], rate: float) -> None:
    """An MP4 of pictures of one size; UserError if OpenCV can't write it."""
    first = next(pictures)
    height, width = first.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
    if not writer.isOpened():
        raise UserError(f"{path}: OpenCV can't write MP4 here; give a folder of frames to get PNG overlays")
    try:
        writer.write(first)
        for picture in pictures:
            writer.write(picture)
    finally:
        writer.release()


def _rate(video: Path) -> float:
    capture = cv2.VideoCapture(str(video))
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return rate if 0 < rate < 1000 else RATE
