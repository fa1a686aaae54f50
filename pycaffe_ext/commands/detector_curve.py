"""Train the hand-crafted detector on a data set's training frames; tables and pictures of what it reaches."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pycaffe_ext.command_line.parsing import parse, settings_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pycaffe_ext.data.frames import Frame
    from pycaffe_ext.detector import Model
    from pycaffe_ext.detector.curves import Point
    from pycaffe_ext.evaluation import froc

    Candidates: TypeAlias = NDArray[np.float32]


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("detector-curve", arguments)
    from pycaffe_ext import detector
    from pycaffe_ext.applications.polyp import APPLICATION
    from pycaffe_ext.applications.preparation import draw_splits
    from pycaffe_ext.detector import away, curves, pictures
    from pycaffe_ext.files import write_csv
    from pycaffe_ext.runs.settings import Settings

    seed, runs = options["seed"], Path(options["runs"])
    out = Path(options["out"]) if options["out"] else runs / f"detector-{seed}"
    data = str(options["data"] or "")
    folders = [data] if Path(data).is_dir() else data.split(os.pathsep)
    if len(folders) > 1:
        rows = away.table([Path(folder).expanduser() for folder in folders], options["dataset"], seed, runs)
        write_csv(out / "sources.csv", away.Reached._fields, rows)
        print(f"sources.csv: {out}")
        return
    request = Settings.of("polyp", "scratch", **settings_options(options)).request
    frames = APPLICATION.items(request, runs).items
    parts = draw_splits(APPLICATION, request, frames)
    start = time.perf_counter()
    found, model = detector.cross_fitted(parts, replace(detector.Detector(), max_candidates=curves.MOST), seed)
    if model.choice:
        print(model.choice.text())
    print(f"trained and applied to {len(frames)} frames in {time.perf_counter() - start:.0f} s")
    points = _judged(parts, found)
    write_csv(out / "curve.csv", curves.Point._fields, points)
    pictures.draw_curves([p for p in points if p.detector == "trained" or p.part == "test"], out / "curve.png")
    pictures.draw_stages(parts["test"][:: max(1, len(parts["test"]) // 6)][:6], model, out / "stages.png")
    model.save(out / "detector.npz")
    print(f"a frame takes {_seconds(parts['test'][:50], model):.2f} s on one core (median, reading included)")
    print(f"curve.csv, curve.png, stages.png, detector.npz: {out}")


def _judged(parts: Mapping[str, Sequence[Frame]], trained: Mapping[str, Sequence[Candidates]]) -> list[Point]:
    """The points of the trained and of the untrained detector on every part, printed as they come."""
    from pycaffe_ext import detector
    from pycaffe_ext.detector import curves

    plain = detector.Model(replace(detector.UNTRAINED, max_candidates=curves.MOST))
    points: list[Point] = []
    for part, own in parts.items():
        for name, found in (("trained", trained[part]), ("untrained", detector.detect_all(own, plain))):
            cases = curves.judge(own, found)
            own_points = curves.points(name, part, cases)
            points += own_points
            note = " (cross-fitted)" if (name, part) == ("trained", "train") else ""
            _print(f"{name}, {part}{note}", cases, own_points)
    return points


def _print(title: str, cases: froc.Cases, points: Sequence[Point]) -> None:
    from pycaffe_ext.evaluation import froc

    numbers = {int(point.at): point for point in points if point.sweep == "number"}
    chosen = [numbers[k] for k in (1, 5, 10, 20)]
    hit = ", ".join(f"{p.share:.3f} [{p.low:.3f}, {p.high:.3f}] at {p.at:g}" for p in chosen)
    curve = froc.curve(cases)
    rates = ", ".join(f"{froc.sensitivity_at(curve, rate):.3f} at {rate:g}" for rate in (0.5, 1, 2, 4))
    print(f"{title}: polyps hit by the first candidates of a frame {hit}; by score, false positives a frame: {rates}")


def _seconds(frames: Sequence[Frame], model: Model) -> float:
    """Median processor time of a frame, read and searched by one thread."""
    import cv2
    import numpy as np

    from pycaffe_ext import detector
    from pycaffe_ext.data.frames import read_frame

    cv2.setNumThreads(1)
    times = []
    for frame in frames:
        start = time.process_time()
        detector.detect(read_frame(frame), model)
        times.append(time.process_time() - start)
    return float(np.median(times))
