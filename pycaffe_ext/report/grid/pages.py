"""The page of a grid: one HTML file, its Markdown from the same model, and the figures, in one folder."""

from __future__ import annotations

from pathlib import Path

from pycaffe_ext.files import write_json, writing, writing_folder
from pycaffe_ext.report import model, page, provenance
from pycaffe_ext.report.grid import answer, data_part, paper_part, procedure_part, record_part, results
from pycaffe_ext.report.grid.material import Material
from pycaffe_ext.report.model import Section
from pycaffe_ext.report.report import RECORD, check_replaceable


def write(material: Material, out: Path) -> Path:
    """Write report.html, report.md and the figures into the folder `out`, at once and only when all is written.

    An earlier report in `out` is replaced.  Returns report.html.  UserError if `out` holds anything but a report.
    """
    check_replaceable(out)
    with writing_folder(out) as folder:
        whole = sections(folder, material)
        title = f"How deep to tune? Study {material.name}"
        for file, text in (
            ("report.md", model.markdown(whole, title)),
            ("report.html", page.html(whole, title, folder)),
        ):
            with writing(folder / file) as opened:
                opened.write(text)
        files = sorted(path.name for path in folder.iterdir())
        write_json(folder / RECORD, {"study": material.name, "files": [*files, RECORD]})
    return out / "report.html"


def sections(folder: Path, material: Material) -> list[Section]:
    """All of the page, the answer first; figures are drawn into `folder`."""
    found = [
        answer.answer(material),
        answer.recommendations(material),
        answer.claims(material),
        *results.figures(folder, material),
        results.learning(folder, material),
        procedure_part.section(material),
        results.results(material),
        paper_part.section(material),
        data_part.section(material),
        record_part.settings(material),
        record_part.deviations(material),
        results.runs(material),
        record_part.versions(material),
    ]
    return [*found, provenance.section(found)]
