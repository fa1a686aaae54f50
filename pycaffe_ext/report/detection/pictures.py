"""Parts of a report on detection that show items: candidates, the patches of one, the best and the worst."""

from __future__ import annotations

from pathlib import Path

from pycaffe_ext.data.patches import VIEWS
from pycaffe_ext.files import write_csv
from pycaffe_ext.report import examples, montage
from pycaffe_ext.report.detection.material import Material
from pycaffe_ext.report.model import Block, Figure, Section

SIDE = 110  # pixels of a patch on a sheet


def candidates(folder: Path, material: Material) -> list[Block]:
    """Draw candidates.png and patches.png and show them."""
    run, seed, words = material.deepest, material.study.main_seed, material.words
    name, shown = material.study.name(run), examples.shown_frames(run)
    pictures = material.pictures
    scenes = [pictures.scene(run, item) for item in shown]
    title = f"{material.title}: scores of {name}"
    montage.candidates_figure(folder / "candidates.png", scenes, title, target=words.target)
    caption = (
        f"Candidates in test {words.item}s of seed {seed}. The {examples.SHOWN} candidates of each {words.item} that"
        f" {name} scores highest, numbered by score; the probability of a {words.target} stands below."
        f" {words.item.capitalize()}s are spread evenly over the test set, the last {examples.BARE} are without"
        f" {words.target}s if there are such."
    )
    blocks: list[Block] = [Figure("candidates.png", caption, (examples.shown_frames,))]
    if hits := material.examples["hits"]:
        blocks.append(_patches(folder, material, hits[0]))
    return blocks


def _patches(folder: Path, material: Material, hit: examples.Example) -> Figure:
    """Draw all patches of a candidate."""
    pictures, words = material.pictures, material.words
    item, place = pictures.items[hit.frame], pictures.place(hit)
    title = f"a candidate that hits a {words.target}"
    if sheet := pictures.application.sheet(item, place[0], SIDE):
        montage.sheet_figure(folder / "patches.png", pictures.application.sight(item, place), sheet, title)
        text = (
            f"All patches of one test candidate. Above the {words.item} and what lies around it, then the channels of"
            f" the plain patches one by one, below all {len(material.deepest.application.views)} patches with their"
            " channels as blue, green and red. Training candidates are cut in the same way."
        )
        return Figure("patches.png", text, (montage.sheet_figure,))
    best = pictures.close_up(hit)
    montage.views_figure(folder / "patches.png", best.image, best.mask, best.box, title)
    text = (
        f"All patches of one test candidate. Left the {words.item} with its box, right the boxes that are cut, below"
        f" the {len(VIEWS)} patches that are made of them. Training candidates are cut in the same way."
    )
    return Figure("patches.png", text, (montage.views_figure,))


def extremes(folder: Path, material: Material) -> Section:
    run, found, pictures, words = material.deepest, material.examples, material.pictures, material.words
    title = f"{material.title}: scores of {material.study.name(run)}"
    kinds = {examples.KINDS[kind]: [pictures.close_up(one) for one in own] for kind, own in found.items() if own}
    montage.close_ups_figure(folder / "extreme_candidates.png", kinds, title, words.target)
    header = words.columns(examples.EXAMPLE_HEADER)
    write_csv(folder / "extreme_candidates.csv", header, examples.example_rows(found))
    caption = (
        f"Test candidates of seed {material.study.main_seed} by the score of {material.study.name(run)}. At most one of"
        f" each group (video, patient); the number is the mean probability of a {words.target} over its patches. Their"
        f" {words.item}s: extreme_candidates.csv."
    )
    figure = Figure("extreme_candidates.png", caption, (examples.extremes,))
    return Section("Best and worst test candidates", [figure])
