"""The first parts of a grid's page: what to do, what the paper's claims came to, and what more data would bring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pycaffe_ext.data.fractions import ALL
from pycaffe_ext.evaluation.contrasts import Estimate, Verdict
from pycaffe_ext.evaluation.findings import every
from pycaffe_ext.evaluation.findings.model import (
    Best,
    Chance,
    Doubling,
    Finding,
    Heterogeneity,
    LearningCurve,
    Recommendation,
)
from pycaffe_ext.report.claims_table import details, effect_text, p_text
from pycaffe_ext.report.grid.cautions import cautions
from pycaffe_ext.report.grid.material import Material, Panel, capital, data_text, scheme_text
from pycaffe_ext.report.model import Block, Bullets, Folded, Lead, Mark, Note, Section, Table

KINDS: dict[Verdict | None, Literal["good", "bad"]] = {Verdict.SHOWN: "good", Verdict.AGAINST: "bad"}
MADE_BY = (every.findings,)
SYNTHETIC = (
    "The data of {titles} are drawn by a program, not taken from patients: these numbers show that the programs work,"
    " and say nothing about medicine"
)
DONOR = (
    "The nets of {titles} start from the embedded donor, which has not seen ImageNet: they say nothing about tuning a"
    " net that has"
)
NON_INFERIOR = (
    "Recommended is the shallowest scheme that is shown to be not worse than the best by the margin: its simultaneous"
    " lower bound to every other scheme lies above minus the margin. A difference that is merely not significant shows"
    " nothing. The margin must be fixed before the results are known; the program cannot check that it was."
)
CLAIMS = (
    "A verdict goes by Holm's p over all claims tested here, below 0.05. Effects are “more is better” throughout, also"
    " of errors. “Not shown” is not “refuted”: the interval, by itself a 95 % one, says what is still possible. The"
    " smallest size shown is what a study like this finds with a chance of 80 %. Each claim of the paper has one"
    " contrast with a verdict in each application; others stand beside it with their interval and their own p. “As good"
    " as” is non-inferiority: shown if the effect is above minus the margin, inconclusive if that is open. “Every” is"
    " shown if each net by itself is; its effect is that of the weakest. Claim 4 counts seeds (a sign test): its effect"
    " is the share of those decided in which the deepest tuning is sooner."
)
FOLDS = (
    "In folds every group is tested once, by a net that has not seen it. The held-out cases of a seed's folds count"
    " together as the mean over its folds: each fold has a curve of its own, because scores of different nets are not"
    " on one scale, and a ranking of all of them together would be biased. The folds' training sets overlap, which the"
    " variance of Nadeau and Bengio allows for; it falls with more groups, not with more seeds."
)
TWICE = (
    "A curve through the results at each amount of data, and where it leads at twice the largest of them that has"
    " finished runs; what it starts from is the curve's value there, not the mean of the runs. It is a guess beyond the"
    " data; its interval allows for other trainings and other test groups, not for a curve of another form."
)


def answer(material: Material) -> Section:
    """In plain words: what to do, and what the claims came to."""
    blocks: list[Block] = [
        Lead(_advice(panel, found)) for panel in material.panels if (found := advice_of(material, panel))
    ]
    tested = [found for found in material.findings.claims if found.primary]
    if tested:
        blocks += ["The paper's claims, on these data:", Bullets([_sentence(found) for found in tested])]
    blocks += [Bullets(twice)] if (twice := list(_twice(material))) else []
    return Section("Answer", [*blocks, *map(Note, notes(material))])


def notes(material: Material) -> Iterator[str]:
    """What a reader must not miss."""
    for text, titles in (
        (SYNTHETIC, [panel.title for panel in material.panels if panel.synthetic]),
        (DONOR, [panel.evidence.title for panel in material.panels if panel.embedded]),
    ):
        if titles:
            yield text.format(titles="; ".join(titles))
    if material.unfinished:
        yield f"Incomplete: {len(material.unfinished)} of {material.cells} runs are not finished, see Runs"
    yield from material.findings.notes
    for panel in material.panels:
        yield from cautions(panel)


def advice_of(material: Material, panel: Panel) -> Recommendation | None:
    """The recommendation at the largest fraction."""
    about, fraction = panel.evidence.title, panel.evidence.fractions[0]
    found = material.findings.recommendations
    return next((own for own in found if (own.about, own.fraction) == (about, fraction)), None)


def _advice(panel: Panel, found: Recommendation) -> str:
    about = f"{panel.title} with {data_text(found.fraction)}"
    left_out = _after(panel.not_compared(found.missing, found.fraction))
    if not found.scheme:
        return f"No scheme can be recommended yet for {about}: {found.needs or found.reason}{left_out}."
    value = panel.value(found.scheme, found.fraction)
    alone = f"; {panel.alone}: {panel.baseline.text}" if panel.baseline else ""
    numbers = f" {capital(panel.evidence.merit.name)}: {value.text}{alone}, by {value.basis}." if value else ""
    return (
        f"Recommended for {about}: {scheme_text(found.scheme, panel.evidence.net)}. It is shown to be not worse than"
        f" the best scheme by more than {found.margin:g} {found.unit}{left_out}.{numbers}"
    )


def _after(text: str) -> str:
    """A text as the last part of a sentence."""
    return f"; {text}" if text else ""


def _sentence(found: Finding) -> str:
    """A claim with its verdict, its effect and what that is by."""
    head = f"{capital(found.outcome)}: {found.statement} ({found.about})"
    if found.test is None:
        return f"{head}; {found.reason}{_after(found.note)}."
    more = "".join(f" ({text})" for text in details(found))
    effect = f"{effect} for {found.contrast}{more}, " if (effect := _effect_of(found)) != "-" else ""
    return f"{head}. {effect}Holm's p {_equal(found.p_holm or 0.0)}{_basis(found.estimate)}{_after(found.note)}."


def _equal(p: float) -> str:
    """`= 0.012`, `< 0.001`."""
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"


def _twice(material: Material) -> Iterator[str]:
    """What twice the data would bring, of each application's recommended scheme, else of its deepest tuning."""
    for panel in material.panels:
        found, deepest = advice_of(material, panel), panel.evidence.deepest
        name = found.scheme if found and found.scheme else deepest.name if deepest else ""
        for curve in material.findings.curves:
            if (curve.about, curve.scheme) == (panel.evidence.title, name) and curve.doubling:
                basis = panel.basis_of(curve.trials)
                yield f"Twice {_whole(curve)}, {panel.title}, {name}: {_gain(curve)}, by {basis}."


def _gain(curve: LearningCurve) -> str:
    own = curve.doubling
    assert own is not None
    base = data_text(curve.base)
    return f"about {own.then:.3f} instead of {own.now:.3f} {curve.unit} with {base}, a gain of {gain_text(own)}"


def _whole(curve: LearningCurve) -> str:
    return "the data" if curve.base == ALL else data_text(curve.base)


def gain_text(found: Doubling) -> str:
    """The gain of twice the data, with its interval where there is one."""
    ends = "" if found.low is None or found.high is None else f" [{found.low:+.3f}, {found.high:+.3f}]"
    return f"{found.gain:+.3f}{ends}"


def recommendations(material: Material) -> Section:
    """At each fraction: the recommended scheme, and which is the best with what probability."""
    blocks: list[Block] = [NON_INFERIOR, *([FOLDS] if any(panel.in_folds for panel in material.panels) else [])]
    for panel in material.panels:
        found = [own for own in material.findings.recommendations if own.about == panel.evidence.title]
        best = {own.fraction: own for own in material.findings.best if own.about == panel.evidence.title}
        rows = [_recommendation_row(panel, own, best.get(own.fraction)) for own in found]
        header = ("training data", "recommended", panel.evidence.merit.name, "most probably the best", "why")
        table = Table(header, rows, made_by=MADE_BY)
        details = Folded("Every scheme against its strongest rival", [_candidates(found)])
        chances = Folded("The probability that each scheme is the best", [_chances(panel, list(best.values()))])
        margin = f"Margin: {panel.margin_text}."
        blocks.append(Section(panel.title, [margin, table, *([details] if _tested(found) else []), chances]))
    return Section("Recommendation at each amount of data", blocks)


def _recommendation_row(panel: Panel, found: Recommendation, best: Best | None) -> tuple[object, ...]:
    value = panel.value(found.scheme, found.fraction) if found.scheme else None
    leader = best.leader if best else None
    chance = f"{leader.scheme} ({leader.probability:.2f})" if leader and leader.probability is not None else "-"
    why = f"not worse by more than {found.margin:g} {found.unit}" if found.scheme else found.needs or found.reason
    scheme = Mark(found.scheme, "good") if found.scheme else Mark("none shown", "open")
    why += _after(panel.not_compared(found.missing, found.fraction))
    return data_text(found.fraction), scheme, value.text if value else "-", chance, why


def _tested(found: Sequence[Recommendation]) -> bool:
    return any(own.candidates for own in found)


def _candidates(found: Sequence[Recommendation]) -> Table:
    header = (
        "scheme",
        "training data",
        "strongest rival",
        "difference [95 %]",
        "lower bound",
        "not worse",
        "seeds needed",
    )
    rows = [
        (
            own.scheme,
            data_text(one.fraction),
            own.rival,
            _effect(own.difference),
            f"{own.bound:+.3f}",
            Mark("shown", "good") if own.shown else Mark("not shown", "open"),
            "" if own.seeds_needed is None else own.seeds_needed,
        )
        for one in found
        for own in one.candidates
    ]
    return Table(header, rows, made_by=MADE_BY)


def _chances(panel: Panel, found: Sequence[Best]) -> Table:
    header = ("scheme", "training data", "mean", f"{panel.trial}s", "probability", "note")
    return Table(header, [row for best in found for row in _chance_rows(panel, best)], made_by=MADE_BY)


def _chance_rows(panel: Panel, best: Best) -> Iterator[tuple[object, ...]]:
    """Of each scheme at a fraction, those without a finished run last."""
    where = data_text(best.fraction)
    for row in best.rows:
        chance = "-" if row.probability is None else f"{row.probability:.2f}"
        yield row.scheme, where, f"{row.mean:.3f}", row.seeds, chance, best.reason or _chance_note(panel, best, row)
    for name in best.missing:
        yield name, where, "-", 0, "-", f"not compared: {panel.finished_text(name, best.fraction)}"


def _chance_note(panel: Panel, best: Best, row: Chance) -> str:
    """What tells a scheme's mean from what its probability is by."""
    if row.probability is None:
        return f"not compared: {panel.finished_text(row.scheme, best.fraction)}"
    if row.seeds == best.seeds:
        return ""
    return (
        f"the mean is over all {row.seeds} {panel.trial}s of this scheme, the probability over the {best.seeds} that"
        " all schemes compared have finished"
    )


def claims(material: Material) -> Section:
    """Every claim with its verdict, and what stands beside it."""
    header = ("claim", "verdict", "about", "effect [95 %]", "p (Holm)", "smallest size shown", "of what")
    found = material.findings.claims
    table = Table(header, [_claim_row(own) for own in found], made_by=MADE_BY)
    return Section("The paper's claims", [CLAIMS, table, *_gaps(material)])


def _claim_row(found: Finding) -> tuple[object, ...]:
    mark = Mark(found.outcome, KINDS.get(found.verdict, "open")) if found.verdict else Mark("beside it", "open")
    holm = f" ({p_text(found.p_holm)})" if found.p_holm is not None else ""
    basis = _basis(found.estimate).strip(" (),")
    what = "; ".join(filter(None, [found.contrast, *details(found), found.figure, basis, found.note]))
    return (
        f"{found.claim}. {found.statement}",
        mark,
        found.about,
        _effect_of(found),
        f"{p_text(found.p)}{holm}" if found.p is not None else "-",
        f"{found.smallest:.3f}" if found.smallest is not None else "-",
        f"{what}; {found.reason}" if found.reason else what,
    )


def _effect_of(found: Finding) -> str:
    """Of a contrast or of convergence, with its interval; "-" of several contrasts and where nothing was tested."""
    return "-" if found.test is None or isinstance(found.test, Heterogeneity) else effect_text(found)


def _gaps(material: Material) -> list[Block]:
    """Deep tuning minus scratch at each fraction, behind claim 2."""
    rows = [
        (own.about, data_text(own.fraction), _effect(own.estimate) if own.estimate else "-", own.reason)
        for own in material.findings.gaps
    ]
    header = ("about", "training data", "gap [95 %]", "note")
    parts = [
        (own.about, name, title, _effect(estimate))
        for own in material.findings.claims
        if isinstance(own.test, Heterogeneity)
        for name, each in own.test.parts.items()
        for title, estimate in each.items()
    ]
    table = Folded("The gap between deep tuning and scratch", [Table(header, rows, made_by=MADE_BY)])
    compared = Table(("about", "part", "of", "estimate [95 %]"), parts, made_by=MADE_BY)
    return [*([table] if rows else []), *([Folded("How depth acts in each application", [compared])] if parts else [])]


def _effect(found: Estimate | None) -> str:
    if found is None:
        return "-"
    low, high = found.interval()
    return f"{found.value:+.3f} [{low:+.3f}, {high:+.3f}]"


def _basis(found: Estimate | None) -> str:
    if not found:
        return ""
    folds = f" of {found.folds} folds" if found.folds else ""
    return f" ({found.seeds} seed{'s' * (found.seeds != 1)}{folds}, {found.groups:.0f} effective test groups)"
