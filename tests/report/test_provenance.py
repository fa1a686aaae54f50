"""Every figure and table of a report names functions that exist, so that an outsider can follow each number."""

from provenance_lab import function_of

from pycaffe_ext.evaluation import froc
from pycaffe_ext.report import provenance
from pycaffe_ext.report.model import Figure, Folded, Section, Table


def test_figures_and_tables_are_found_where_they_stand():
    figure, table = Figure("a.png", "A.", (froc.curve,)), Table(("a",), [(1,)], "a.csv", (froc.operating_point,))
    sections = [Section("One", ["text", figure, table]), Section("Two", [Folded("more", [Table(("b",), [(2,)])])])]
    assert [(title, name) for title, name, _ in provenance.sources(sections)] == [
        ("One", "a.png"),
        ("One", "a.csv"),
        ("Two", "more"),
    ]
    (text, shown) = provenance.section(sections).blocks
    assert "pycaffe_ext" in text
    assert shown.rows == [
        ("One", "a.png", "evaluation.froc.curve"),
        ("One", "a.csv", "evaluation.froc.operating_point"),
    ]


def test_names_lead_to_functions():
    assert function_of(provenance.function_name(froc.curve)) is froc.curve
