"""Parts of a report on detection that show frames: candidates, the patches of one, the best and the worst."""

from __future__ import annotations

from pathlib import Path

from pycaffe_ext.data.patches import VIEWS
from pycaffe_ext.files import write_csv
from pycaffe_ext.report import examples, montage
from pycaffe_ext.report.detection.material import Material
from pycaffe_ext.report.model import Block, Figure, Section


def candidates(folder: Path, material: Material) -> list[Block]:
    """Draw candidates.png and patches.png and show them."""
    run, seed = material.deepest, material.study.main_seed
    name, shown = material.study.name(run), examples.shown_frames(run)
    pictures = material.pictures
    scenes = [pictures.scene(run, frame) for frame in shown]
    montage.candidates_figure(folder / "candidates.png", scenes, f"{material.title}: scores of {name}")
    caption = (
        f"Candidates in test frames of seed {seed}. The {examples.SHOWN} candidates of each frame that {name} scores"
        " highest, numbered by score; the probability of a polyp stands below. Frames are spread evenly over the test"
        f" set, the last {examples.BARE} are without polyps if there are such."
    )
    blocks: list[Block] = [Figure("candidates.png", caption, (examples.shown_frames,))]
    if hits := material.examples["hits"]:
        best = pictures.close_up(hits[0])
        montage.views_figure(folder / "patches.png", best.image, best.mask, best.box, "a candidate that hits a polyp")
        text = (
            "All patches of one test candidate. Left the frame with its box, right the boxes that are cut, below the"
            f" {len(VIEWS)} patches that are made of them. Training candidates are cut in the same way."
        )
        blocks.append(Figure("patches.png", text, (montage.views_figure,)))
    return blocks


def extremes(folder: Path, material: Material) -> Section:
    run, found, pictures = material.deepest, material.examples, material.pictures
    title = f"{material.title}: scores of {material.study.name(run)}"
    kinds = {examples.KINDS[kind]: [pictures.close_up(one) for one in own] for kind, own in found.items() if own}
    montage.close_ups_figure(folder / "extreme_candidates.png", kinds, title)
    write_csv(folder / "extreme_candidates.csv", examples.EXAMPLE_HEADER, examples.example_rows(found))
    caption = (
        f"Test candidates of seed {material.study.main_seed} by the score of {material.study.name(run)}. At most one of"
        " each group (video, patient); the number is the mean probability of a polyp over its patches. Their frames:"
        " extreme_candidates.csv."
    )
    figure = Figure("extreme_candidates.png", caption, (examples.extremes,))
    return Section("Best and worst test candidates", [figure])
