"""Chains of trainings: where each link starts, which snapshot is chosen, going on, and links that are there already."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import deadly_layer
import numpy as np
import pytest
import training_lab as lab

from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import read_blobs, read_net, write_text
from pycaffe_ext.training import chain
from pycaffe_ext.training.chain import ChainResult, Hooks, Link, Plan
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.fit import Validation
from pycaffe_ext.training.resumes import Resume, disturbing, resume, text
from pycaffe_ext.training.score_model import from_train_val
from pycaffe_ext.training.table import read_rows

NAMES = ("1-last", "2-more", "3-all")
AUCS = {
    "1-last": {"10": 0.5, "20": 0.7, "30": 0.6},  # stops at 30
    "2-more": {"10": 0.9, "20": 0.8},  # stops at 20, and is the best of all
    "3-all": {"10": 0.6, "20": 0.9, "30": 0.2},  # reaches the same, later
}


def links_in(folder: Path) -> list[Link]:
    made = []
    for name in NAMES:
        place = folder / "links" / name
        place.mkdir(parents=True, exist_ok=True)
        made.append(Link(name, place, lab.write_solver(place)))
    return made


def train(folder: Path, links: list[Link], seen: list[object] | None = None, **plan: object) -> ChainResult:
    command = lab.write_fake(folder, aucs=AUCS, **plan)
    seen = [] if seen is None else seen
    hooks = Hooks(
        around=lambda number: nullcontext(seen.append(("link", number))),
        progress=lambda number, row, best: None,
        resumed=lambda number, start: seen.append(("resumed", number, start and start.iteration)),
    )
    validation = Validation(folder / "score.prototxt", 11, 1, "fc8_polyp", 2)
    return chain.fit_chain(Caffe(command), folder, links, Plan(Path("donor"), 10.0, 1), validation, hooks)


def test_each_link_starts_from_the_chosen_snapshot_of_the_one_before(tmp_path):
    links = links_in(tmp_path)
    found = train(tmp_path, links)
    starts = [word.split("--weights=")[1].split()[0] for word in lab.calls(tmp_path, "train")]
    assert starts == ["donor", str(links[0].folder / "best.caffemodel"), str(links[1].folder / "best.caffemodel")]
    assert [one.best.iteration for one in found.links] == [20, 10, 20]
    assert [one.reason for one in found.links] == ["patience"] * 3
    assert found.weights == tmp_path / "best.caffemodel" and found.weights.is_file()


def test_the_best_of_all_links_is_chosen_and_the_course_counts_on(tmp_path):
    found = train(tmp_path, links_in(tmp_path))
    assert [row.iteration for row in found.rows] == [10, 20, 30, 40, 50, 60, 70, 80]
    assert [row.epoch for row in found.rows] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (found.chosen, found.best.iteration, round(found.best.auc, 6)) == (1, 40, 0.9), "the earliest of equals"
    assert read_rows(tmp_path / "auc.csv") == list(found.rows)
    losses = chain.logs(links_in(tmp_path)).losses
    assert losses[0] == losses[30] == losses[50] == 1 and losses[31] == pytest.approx(1 / 2)


def test_a_link_that_is_over_keeps_its_chosen_weights_only(tmp_path):
    links = links_in(tmp_path)
    train(tmp_path, links)
    kept = [sorted(path.name for path in (link.folder / "snapshots").iterdir()) for link in links]
    assert kept[0] == ["solver_iter_20.caffemodel"] and kept[1] == ["solver_iter_10.caffemodel"]
    assert "solver_iter_30.solverstate" in kept[2]


def test_an_interrupted_chain_goes_on_within_its_link(tmp_path):
    links, seen = links_in(tmp_path), []
    whole = train(tmp_path / "undisturbed", links_in(tmp_path / "undisturbed"))
    with pytest.raises(UserError, match="train ended before snapshot"):
        train(tmp_path, links, die_at=14, die_in=str(links[1].solver))
    rows = read_rows(tmp_path / "auc.csv")
    assert [row.iteration for row in rows] == [10, 20, 30, 40]
    found = train(tmp_path, links, seen)
    assert seen == [("link", 0), ("link", 1), ("resumed", 1, 10), ("link", 2)]
    assert found.rows == whole.rows and found.chosen == whole.chosen
    assert sum(str(links[0].solver) in call for call in lab.calls(tmp_path, "train")) == 1, "the first is not repeated"


PASS = 200 // 20  # iterations in which the training records of `lab.write_net` are read once
SECOND = 3  # snapshots of the second link


def linear_probe(folder: Path, interval: int, armed: Path) -> tuple[list[Link], Validation]:
    """Two links over the tiny net: its last layer for one interval, then all of it for SECOND, whose training is killed
    in the second of them where the file `armed` is there."""
    labels = lab.write_net(folder)
    whole = (folder / "net.prototxt").read_text()
    still = 'top: "conv1" param { lr_mult: 0 } param { lr_mult: 0 }\n  convolution_param'
    texts = {
        "1-last": whole.replace('top: "conv1"\n  convolution_param', still),
        "2-all": whole + deadly_layer.LAYER.format(at=interval + interval // 2, armed=armed),
    }
    links = []
    for (name, text_), count in zip(texts.items(), (1, SECOND), strict=True):
        place = folder / "links" / name
        place.mkdir(parents=True)
        (place / "net.prototxt").write_text(text_)
        links.append(Link(name, place, lab.write_solver(place, max_iter=count * interval, snapshot=interval)))
    write_text(folder / "score.prototxt", from_train_val(read_net(folder / "net.prototxt"), folder / "val"))
    return links, Validation(folder / "score.prototxt", len(labels), 8, "fc8_polyp", 2)


def probe(folder: Path, chain_of: tuple[list[Link], Validation], seen: list[Resume]) -> ChainResult:
    """Carry it out, or go on, with the embedded engine; `seen` gets what a run notes of going on."""
    links, validation = chain_of
    hooks = Hooks(
        around=lambda number: nullcontext(),
        progress=lambda number, row, best: None,
        resumed=lambda number, start: seen.append(
            resume(start.iteration if start else 0, start and start.state, "caffe", links[number].folder.name)
        ),
    )
    return chain.fit_chain(Caffe(), folder, links, Plan(None, PASS, None), validation, hooks)


@pytest.mark.parametrize("interval", [PASS, PASS - 3])
def test_the_embedded_engine_killed_within_the_second_link_goes_on_within_it(tmp_path, interval):
    """A resumed training reads from the first record on, as Caffe's does: where its snapshot was taken after whole
    passes the end is that of an undisturbed chain, to the last bit; else it has as many iterations, and that is noted.
    """
    places, armed, seen = (tmp_path / "undisturbed", tmp_path / "killed"), tmp_path / "armed", list[Resume]()
    for place in places:
        place.mkdir()
    whole, disturbed = (linear_probe(place, interval, armed) for place in places)
    undisturbed = probe(places[0], whole, seen)
    armed.touch()
    with pytest.raises(UserError, match=f"ended before snapshot {2 * interval}"):
        probe(places[1], disturbed, seen)
    assert [row.iteration for row in read_rows(places[1] / "auc.csv")] == [interval, 2 * interval] and not seen
    found = probe(places[1], disturbed, seen)
    (noted,) = seen
    assert (noted["iteration"], noted["link"]) == (interval, "2-all")
    assert "at iteration" in text(seen) and "need not be what the seed gives undisturbed" in text(seen)
    assert [row.iteration for row in found.rows] == [row.iteration for row in undisturbed.rows]
    assert found.rows[:2] == undisturbed.rows[:2], "what came before the kill"
    if interval == PASS:
        assert found.rows == undisturbed.rows and found.chosen == undisturbed.chosen
        ends = [read_blobs(one.links[1].weights) for one in (found, undisturbed)]
        assert all(np.array_equal(a, b) for name in ends[0] for a, b in zip(*(e[name] for e in ends), strict=True))


def test_a_repeat_of_a_finished_chain_calls_no_caffe(tmp_path):
    links = links_in(tmp_path)
    first = train(tmp_path, links)
    before = lab.calls(tmp_path, "t")
    assert train(tmp_path, links) == first and lab.calls(tmp_path, "t") == before


def test_a_link_that_was_trained_elsewhere_is_not_trained_again(tmp_path):
    whole = train(tmp_path / "a", links_in(tmp_path / "a"))
    links = links_in(tmp_path / "b")
    source = whole.links[0]
    chain.take(links[0], source.weights.parent, source.weights, source.best.iteration)
    found = train(tmp_path / "b", links)
    assert found.rows == whole.rows and found.chosen == whole.chosen
    assert len(lab.calls(tmp_path / "b", "train")) == 2


def test_a_single_training_is_a_chain_of_one(tmp_path):
    tmp_path.joinpath("snapshots").mkdir()
    link = Link("only", tmp_path, lab.write_solver(tmp_path))
    command = lab.write_fake(tmp_path, aucs={"10": 0.6, "20": 0.5})
    hooks = Hooks(lambda number: nullcontext(), lambda *_: None, lambda *_: None)
    validation = Validation(tmp_path / "score.prototxt", 11, 1, "fc8_polyp", 2)
    found = chain.fit_chain(Caffe(command), tmp_path, [link], Plan(None, 10.0, 1), validation, hooks)
    assert found.rows == found.links[0].rows and found.best == found.links[0].best and found.chosen == 0
    assert not (tmp_path / "links").exists() and found.weights == tmp_path / "best.caffemodel"


def test_another_process_in_the_chain_is_noticed(tmp_path):
    from pycaffe_ext.training.session import locked

    with locked(tmp_path), pytest.raises(UserError, match="another process is training"):
        train(tmp_path, links_in(tmp_path))


def test_what_disturbed_one_link_is_not_forgotten_when_another_begins_again():
    state = Path("s_iter_20.solverstate")
    noted = [resume(20, state, "caffe", "1-last"), resume(0, None, "caffe", "2-more")]
    assert disturbing(noted) == [20]
    said = "begun again from iteration 0 of 2-more once; resumed once at iteration 20 of 1-last: the numbers"
    assert text(noted).startswith(said)
    assert disturbing([*noted, resume(0, None, "caffe", "1-last")]) == []
