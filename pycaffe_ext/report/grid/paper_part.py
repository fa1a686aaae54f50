"""Part of a grid's page: the paper's tables with its values beside those of this study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.nets.architectures import deploy
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.proto import read_net, read_solver
from pycaffe_ext.report import tables
from pycaffe_ext.report.grid.material import Material, Panel
from pycaffe_ext.report.model import Block, Section, Table
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.schemes import BASE_LR, GAMMA, LAYERS, MOMENTUM, SCHEMES, param_specs

NET = "alexnet"  # of the paper's tables
OTHER = (
    "Tables I and II of the paper are about AlexNet, and no run of this study has it. The nets here follow the same"
    " pattern: stages from the input are frozen or learn, and the new last one learns ten times faster."
)
DEPTHS = (
    "application",
    "best depth in the paper",
    "most probably the best here (probability)",
    "recommended here",
    "note",
)
NOT_AT_HAND = (
    "The values of Table S1 and of the paper's figures are not in the text at hand, so nothing stands beside them. What"
    " the text says of results is in the claims above and in the table of depths below."
)


def section(material: Material) -> Section:
    """The best depth by application, then Tables I and II."""
    blocks: list[Block] = [NOT_AT_HAND, Section("The best depth by application", [_depths(material)])]
    panel = next((own for own in material.panels if own.evidence.net == NET), None)
    if panel is None:
        return Section("The paper's tables", [*blocks, OTHER])
    net = Section("Table I: the net", [f"Of {panel.title}.", table_one(panel.first)])
    rates = Section("Table II: learning rates of the weights", [f"Of {panel.title}.", table_two(panel)])
    return Section("The paper's tables", [*blocks, net, rates])


def _depths(material: Material) -> Table:
    """What the text says of each application, beside the most probable and the recommended scheme at all data."""
    rows = []
    for panel in material.panels:
        about, fraction = panel.evidence.title, panel.evidence.fractions[0]
        best = next((own for own in material.findings.best if (own.about, own.fraction) == (about, fraction)), None)
        advice = [own for own in material.findings.recommendations if (own.about, own.fraction) == (about, fraction)]
        leader = best.leader if best else None
        chance = f"{leader.scheme} ({leader.probability:.2f})" if leader and leader.probability is not None else "-"
        paper = APPLICATIONS[panel.evidence.application].paper_depth or "not in the paper"
        left_out = panel.not_compared(advice[0].missing, fraction) if advice else ""
        recommended = advice[0].scheme or "none shown" if advice else "-"
        rows.append((panel.title, paper, chance, recommended, left_out))
    return Table(DEPTHS, rows)


def table_one(run: RunFiles) -> Table:
    """Outputs of every layer, as channels x rows x columns: the paper's and those of a run."""
    here = tables.table_one(read_net(run.folder / "deploy.prototxt"))
    classes = int(here[-1][6].partition("x")[0])
    paper = tables.table_one(deploy(NetSpec(run.settings.app, "scratch", classes)))
    rows = [(*(paper_row[i] for i in (0, 1, 3, 4, 5, 6)), own[6]) for paper_row, own in zip(paper, here, strict=True)]
    header = ("layer", "type", "kernel", "stride", "pad", "output in the paper", "output here")
    return Table(header, rows, made_by=(tables.table_one,))


def table_two(panel: Panel) -> Table:
    """The rate of every layer's weights in each scheme of the panel: the paper's, and what its runs learnt with."""
    rows: list[tuple[str, ...]] = []
    for scheme in panel.evidence.schemes:
        if scheme.name in SCHEMES:
            rows.append((scheme.name, "the paper", *_paper_rates(scheme.name)))
            rows += [(scheme.name, "here", *rates) for rates in _rates(panel, scheme.name)]
    return Table(("configuration", "of", *LAYERS, "momentum", "gamma"), rows, made_by=(tables.table_two,))


def _paper_rates(scheme: str) -> tuple[str, ...]:
    specs = param_specs(scheme)
    return (*(f"{BASE_LR * specs[layer][0][0]:.4g}" for layer in LAYERS), f"{MOMENTUM:.4g}", f"{GAMMA:.4g}")


def _rates(panel: Panel, scheme: str) -> Iterator[tuple[str, ...]]:
    """Of the runs of a scheme, each once.  Seeds change no rate: of runs that differ in theirs alone one is read."""
    runs = {replace(run.settings.training, seed=0): run for run in panel.runs if run.settings.scheme == scheme}
    seen = set()
    for run in runs.values():
        solver = read_solver(run.folder / "solver.prototxt")
        rates = tables.weight_rates(read_net(run.folder / "train_val.prototxt"), solver)
        found = (*rates, f"{solver.momentum:.4g}", f"{solver.gamma:.4g}")
        if found not in seen:
            seen.add(found)
            yield found
