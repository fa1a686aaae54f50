"""What more data would bring, on a grid's page: points and curve stand where they were fitted."""

from __future__ import annotations

from dataclasses import replace

import grid_page
import numpy as np
import pytest

from pycaffe_ext.evaluation.findings.every import findings
from pycaffe_ext.report import model
from pycaffe_ext.report.grid import answer, curves, results
from pycaffe_ext.report.grid.material import Material, Panel

SCHEME = "ft-conv1"  # the deepest, of which the answer speaks where none is recommended


def lawful(panel: Panel, trained: tuple[float, ...]) -> Panel:
    """With errors that follow a power law of the groups in `trained`, nan as of the largest."""
    own, share = panel.evidence, np.array(trained) / np.nanmax(trained)
    values = own.figure.values.copy()
    for scheme in own.schemes:
        columns = [own.column(scheme.name, fraction) for fraction in own.fractions]
        values[:, columns] = 0.95 - 0.05 * share**-0.4 + 0.001 * np.arange(len(values))[:, None]
    return Panel(replace(own, trained=trained, figure=replace(own.figure, values=values)), panel.runs)


def of(panel: Panel) -> Material:
    return Material("mine", "", (panel,), findings([panel.evidence], draws=200), len(panel.runs))


@pytest.fixture(scope="module")
def panels(tmp_path_factory):
    return grid_page.material(tmp_path_factory.mktemp("runs"), fractions=("1", "1/4", "1/20")).panels


@pytest.fixture
def axes_of(monkeypatch):
    """name of a figure's file -> its axes"""
    kept, save = {}, curves._save
    monkeypatch.setattr(
        curves, "_save", lambda figure, axes, path: kept.update({path.name: axes}) or save(figure, axes, path)
    )
    return kept


def drawn_at(axes) -> tuple[list[float], np.ndarray, list[float]]:
    """Places of the points, of the curve, and of the marks of the axis."""
    points = axes.containers[0][0].get_xdata()
    lines = [line.get_xdata() for line in axes.get_lines() if len(line.get_xdata()) > 5]
    return list(points), np.concatenate(lines), list(axes.get_xticks())


def test_points_and_curve_stand_at_the_shares_that_were_fitted(panels, axes_of, tmp_path):
    """A twentieth of 12 groups is one of them, a twelfth."""
    results.learning(tmp_path, of(lawful(panels[0], (12.0, 3.0, 1.0))))
    axes = axes_of["learning-1.svg"]
    points, curve, ticks = drawn_at(axes)
    assert points == pytest.approx([1, 1 / 4, 1 / 12]) and ticks == pytest.approx([1, 1 / 4, 1 / 12, 2])
    assert [curve.min(), curve.max()] == pytest.approx([1 / 12, 2])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["all\n12", "1/4\n3", "1/20\n1", "twice"]
    least = min((line for line in axes.get_lines() if len(line.get_xdata()) > 5), key=lambda line: line.get_xdata()[0])
    assert least.get_ydata()[0] == pytest.approx(axes.containers[0][0].get_ydata()[-1], abs=1e-3)


def test_without_runs_on_all_data_the_fraction_is_named(panels, axes_of, tmp_path):
    some = grid_page.without(lawful(panels[0], (np.nan, 4.0, 1.0)), "1")
    made = of(some)
    (curve,) = [one for one in made.findings.curves if one.scheme == SCHEME]
    assert (curve.base, curve.base_share, curve.shares, curve.missing) == ("1/4", 0.25, (1.0, 0.25), ("1",))
    page = model.markdown([results.learning(tmp_path, made), answer.answer(made)])
    axes = axes_of["learning-1.svg"]
    assert list(axes.containers[0][0].get_xdata()) == pytest.approx([1 / 4, 1 / 16])
    assert list(axes.get_xticks()) == pytest.approx([1 / 4, 1 / 16, 1 / 2])
    assert "beyond 1/4 of the data it is a guess" in page and "beyond all data" not in page
    assert "Twice 1/4 of the data, frames, alexnet" in page and "Twice the data" not in page
    assert f"| frames, alexnet | {SCHEME} | 1/4 of the data |" in page and "at all data" not in page
    assert f"the curve of {SCHEME} is without all data: no finished run" in page


def test_with_all_data_it_is_twice_the_data(panels, tmp_path):
    made = of(lawful(panels[0], (40.0, 10.0, 2.0)))
    page = model.markdown([results.learning(tmp_path, made), answer.answer(made)])
    twice = next(one.doubling for one in made.findings.curves if one.scheme == SCHEME)
    sentence = f"about {twice.then:.3f} instead of {twice.now:.3f} AUC with all data, a gain of"
    assert "Twice the data, frames, alexnet" in page and sentence in page
    assert "is without" not in page


def test_twice_the_data_names_the_seeds_that_the_curve_is_fitted_to(panels, tmp_path):
    some = lawful(panels[0], (40.0, 10.0, 2.0))
    values = some.evidence.figure.values.copy()
    values[1:, some.evidence.column(SCHEME, "1/20")] = np.nan
    made = of(Panel(replace(some.evidence, figure=replace(some.evidence.figure, values=values)), some.runs))
    (said,) = [line for line in answer._twice(made) if SCHEME in line]
    assert len(values) > 1 and ", by 1 seed, " in said
