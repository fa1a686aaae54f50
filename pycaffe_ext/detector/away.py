"""The detector away from home: what it reaches on several data sets and synthetic worlds, by where it learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pycaffe_ext.data.frames import Frame
    from pycaffe_ext.detector import Model
    from pycaffe_ext.evaluation import froc

FRAMES = 90  # of a source, at most
VIDEOS, SHOTS = 16, 4  # of a synthetic world
AT = (5, 10, 20)
SIZES = (0.0, 0.05, 0.1, 0.2, 1.0)  # diameter of a disc of a polyp's area, as a share of the field's longest side


class Reached(NamedTuple):
    """Shares of the polyps of a source that the first 5, 10 and 20 candidates of a frame hit; of each size at 10."""

    source: str
    detector: str
    frames: int
    polyps: int
    at_5: float
    at_10: float
    at_20: float
    below_5_percent: float | None
    below_10_percent: float | None
    below_20_percent: float | None
    larger: float | None


def table(folders: Sequence[Path], dataset: str | None, seed: int, runs: Path) -> list[Reached]:
    """A row for each source and detector: untrained, trained at home (by group), trained on all other sources.

    Of a data set with a tuning part only that is looked at, so that its other frames stay unseen.
    """
    sources = {**_data_sets(folders, dataset, seed, runs), **_worlds(seed, runs)}
    rows: list[Reached] = []
    for name, frames in sources.items():
        others = [frame for other, own in sources.items() if other != name for frame in own]
        for kind, found in _found(frames, others, seed).items():
            rows.append(_reached(name, kind, frames, found))
            print(_text(rows[-1]), flush=True)
    return rows


def _data_sets(folders: Sequence[Path], dataset: str | None, seed: int, runs: Path) -> dict[str, list[Frame]]:
    from pycaffe_ext.data import sources, splits
    from pycaffe_ext.data.groups import join_near_duplicates
    from pycaffe_ext.errors import UserError

    found: dict[str, list[Frame]] = {}
    for folder in folders:
        source, _ = sources.recognise(folder, dataset)
        name = source.slug if source.slug not in found else folder.name
        if name in found:
            raise UserError(f"DATA={folder}: two data sets of this name; rename one of the folders")
        frames = sources.find(folder, dataset, runs / "data" / "videos")
        if source.tuning:
            frames = splits.tuning_items(join_near_duplicates(frames), source.tuning)
        found[name] = _named(name, frames, seed)
    return found


def _worlds(seed: int, runs: Path) -> dict[str, list[Frame]]:
    from pycaffe_ext.data import synthetic
    from pycaffe_ext.data.sources import plain

    found = {}
    for name, world in synthetic.WORLDS.items():
        folder = runs / "data" / f"world-{name}-{seed}"
        if not folder.exists():
            synthetic.write_sequences(folder, VIDEOS, SHOTS, seed=seed, world=world)
        found[f"synthetic {name}"] = _named(f"synthetic {name}", plain.find(folder), seed)
    return found


def _named(source: str, frames: Sequence[Frame], seed: int) -> list[Frame]:
    """At most FRAMES frames, drawn by `seed`, whose names and groups are those of no other source."""
    import numpy as np

    chosen = np.sort(np.random.default_rng(seed).permutation(len(frames))[:FRAMES])
    return [
        replace(frame, name=f"{source}/{frame.name}", group=f"{source}/{frame.group}", source=source)
        for frame in (frames[i] for i in chosen)
    ]


def _found(frames: Sequence[Frame], others: Sequence[Frame], seed: int) -> dict[str, Sequence[NDArray[np.float32]]]:
    """Candidates by detector; "at home" is the trained one or the untrained, whichever the training frames chose."""
    from pycaffe_ext import detector
    from pycaffe_ext.detector import curves

    settings = replace(detector.Detector(), max_candidates=curves.MOST)
    plain = detector.Model(replace(detector.UNTRAINED, max_candidates=curves.MOST))
    home, kept = detector.cross_fitted({"train": frames}, settings, seed)
    away: Model = detector.train(others, settings, seed, compared=False)
    if kept.choice:
        print(kept.choice.text())
    return {
        "untrained": detector.detect_all(frames, plain),
        "at home": home["train"],
        "trained elsewhere": detector.detect_all(frames, away),
    }


def _reached(source: str, kind: str, frames: Sequence[Frame], found: Sequence[NDArray[np.float32]]) -> Reached:
    from pycaffe_ext.detector import curves

    cases = curves.judge(frames, found)
    numbers = {p.at: p.share for p in curves.points(kind, source, cases) if p.sweep == "number"}
    by_size = _by_size(frames, found, cases)
    polyps = int(cases.lesions.sum())
    return Reached(source, kind, len(frames), polyps, *(numbers[k] for k in AT), *by_size)


def _by_size(
    frames: Sequence[Frame], found: Sequence[NDArray[np.float32]], cases: froc.Cases
) -> tuple[float | None, ...]:
    """The share at 10 candidates of the polyps of each class of SIZES, None where there is none."""
    import numpy as np

    from pycaffe_ext.data.frames import map_frames
    from pycaffe_ext.detector.truth import sizes

    diameters = map_frames(sizes, frames, "measuring")
    start = np.searchsorted(cases.frame, np.arange(len(frames)))
    hit: list[bool] = []
    for i, boxes in enumerate(found):
        first = set(cases.lesion[start[i] : start[i] + min(len(boxes), 10)].tolist())
        hit += [number in first for number in range(1, len(diameters[i]) + 1)]
    size, was_hit = np.concatenate(diameters), np.array(hit)
    kind = np.digitize(size, SIZES[1:-1])
    return tuple(float(was_hit[kind == k].mean()) if (kind == k).any() else None for k in range(len(SIZES) - 1))


def _text(row: Reached) -> str:
    sizes: Mapping[str, float | None] = dict(zip(("< 5 %", "< 10 %", "< 20 %", "larger"), row[7:], strict=True))
    by_size = ", ".join(f"{name} {share:.2f}" for name, share in sizes.items() if share is not None)
    shares = ", ".join(f"{share:.3f} at {k}" for k, share in zip(AT, row[4:7], strict=True))
    return (
        f"{row.source}, {row.detector}: {row.polyps} polyps in {row.frames} frames; {shares}; by size at 10: {by_size}"
    )
