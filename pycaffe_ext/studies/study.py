"""Runs that belong together: the schemes that are compared, each with several seeds."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycaffe_ext.applications.registry import APPLICATIONS, load
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.nets.spec import SCALABLE
from pycaffe_ext.report.tables import layout
from pycaffe_ext.runs.records import RESULT, read_external, read_result
from pycaffe_ext.runs.settings import DONOR_MEAN, Machine, Settings, Training
from pycaffe_ext.schemes import STAGES, compared, is_fine_tuning
from pycaffe_ext.training import resumes

if TYPE_CHECKING:
    from pycaffe_ext.runs.external_data import Outside

# what a single scheme may have its own of: the data stay the same
ADJUSTABLE = {"epochs": int, "patience": int, "batch": int, "base_lr": float}


def jobs(app: str, schemes: Sequence[str], seeds: Sequence[int], **options: Any) -> tuple[Settings, ...]:
    """Settings of every scheme with every seed, seed by seed, so that the first seed is complete first.

    With options["folds"] every seed has that many trials, one for each fold, or the one of options["fold"].

    schemes : as `parse_scheme` takes them; none = those that the paper compares, of options["arch"].
    options : other settings of a run.  weights, fresh and width go to the nets that they can be for: weights as
    `donors` says, fresh to options["arch"], width to AlexNet; fresh and the donor's mean to fine-tunings only.  Raises
    UserError for an unknown name, a repeated scheme or seed.
    """
    known(app, APPLICATIONS, "application")
    arch = options.pop("arch", None) or Training.arch
    chosen = [parse_scheme(text, arch) for text in (schemes or compared(known(arch, STAGES, "ARCH")))]
    _check_distinct([f"{one}:{scheme}" for one, scheme, _ in chosen], "scheme")
    _check_distinct(list(map(str, seeds)), "seed")
    nets = {one for one, _, _ in chosen}
    folds, fold = options.get("folds"), options.pop("fold", None)
    each = range(1, folds + 1) if folds and fold is None else (fold,)
    tuning = any(is_fine_tuning(scheme, one) for one, scheme, _ in chosen)
    weights = donors(options.pop("weights", None), {arch} & nets or nets)
    _check_used(weights, nets)
    fitting = [
        {"weights": weights.get(one), **_fitting(options, one, scheme, arch, nets, tuning), **own}
        for one, scheme, own in chosen
    ]
    return tuple(
        Settings.of(app, scheme, arch=one, seed=seed, fold=fold, **fitted)
        for seed in seeds
        for fold in each
        for (one, scheme, _), fitted in zip(chosen, fitting, strict=True)
    )


def donors(weights: str | None, nets: Collection[str]) -> dict[str, str]:
    """Net -> donor: the same of all `nets`, or of those that `NET=donor:NET=donor` names, in which ~ is a home folder.

    Raises UserError for a net that is named twice, or without a donor.
    """
    if weights is None:
        return {}
    named = re.split(rf"(?:^|:)({'|'.join(STAGES)})=", weights)
    if named[0]:  # not as in NET=donor
        return dict.fromkeys(nets, weights)
    pairs = list(zip(named[1::2], named[2::2], strict=True))
    _check_distinct([net for net, _ in pairs], "WEIGHTS=: the donor of")
    if empty := [net for net, donor in pairs if not donor]:
        raise UserError(f"WEIGHTS={weights}: {empty[0]}= names no file; give NET=file, or NET=file:NET=file")
    return {net: os.path.expanduser(donor) for net, donor in pairs}


def _check_used(weights: Collection[str], nets: Collection[str]) -> None:
    if unused := sorted(set(weights) - set(nets)):
        raise UserError(f"WEIGHTS=: {unused[0]} has no scheme in this study; its nets: {', '.join(sorted(nets))}")


def parse_scheme(text: str, arch: str) -> tuple[str, str, dict[str, float]]:
    """`[ARCH:]SCHEME[:NAME=n[,NAME=n]]` -> (arch, scheme, own settings): `ft-conv3`, `alexnet:scratch:epochs=60`.

    `arch` is that of a scheme without one.  NAME is one of ADJUSTABLE.  Raises UserError for anything else.
    """
    words = text.split(":")
    own = _own(words.pop(), text) if "=" in words[-1] else {}
    if not 1 <= len(words) <= 2:
        raise UserError(f"SCHEMES: {text!r} is not [ARCH:]SCHEME[:NAME=n,...], e.g. ft-fc7, alexnet:scratch:epochs=60")
    return (known(words[0], STAGES, "ARCH") if len(words) == 2 else arch), words[-1], own


def _own(text: str, whole: str) -> dict[str, float]:
    pairs = dict(part.partition("=")[::2] for part in text.lower().split(","))
    try:
        return {
            name: ADJUSTABLE[known(name, ADJUSTABLE, "setting of a single scheme")](value)
            for name, value in pairs.items()
        }
    except ValueError:
        raise UserError(f"SCHEMES: {whole!r}: {', '.join(pairs)} must be numbers, whole ones but for base_lr") from None


def parse_seeds(text: str) -> tuple[int, ...]:
    """`0,1,2` or `0 1 2` -> (0, 1, 2); UserError if that is no list of whole numbers."""
    words = text.replace(",", " ").split()
    if not words or not all(word.isdecimal() for word in words):
        raise UserError(f"SEEDS={text}: must be whole numbers from 0, e.g. SEEDS=0,1,2")
    return tuple(map(int, words))


def _fitting(
    options: dict[str, Any], arch: str, scheme: str, main: str, nets: Collection[str], tuning: bool
) -> dict[str, Any]:
    """The options without those that are for another of the `nets`, and, from scratch, without those about a donor.

    tuning : whether there is a fine-tuning that the latter can be for; else they are left in, to be refused.
    """
    owners = {"fresh": main, "width": SCALABLE}
    other = {name for name, owner in owners.items() if owner in nets and arch != owner}
    if tuning and not is_fine_tuning(scheme, arch):
        other |= {"fresh"} | ({"mean"} if options.get("mean") == DONOR_MEAN else set())
    return {name: value for name, value in options.items() if name not in other}


def _check_distinct(names: Sequence[str], kind: str) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{kind} {repeated[0]} is asked for twice")


def finished(job: Settings, runs: Path) -> bool:
    return (runs / job.name() / RESULT).exists()


def run_all(
    jobs: Sequence[Settings],
    runs: Path,
    machine: Machine,
    say: Callable[[str], None] = print,
    outside: Outside | None = None,
) -> None:
    """Carry out the runs that are not finished, one after the other, and say what has come out of all.

    A run that fails is reported at once and does not keep the others from running, unless it is the first: what is
    wrong with that one is mostly wrong with all.  What can be known before is checked for all, before the first.
    outside : another data set, on which every run is tested too.
    Raises UserError at the end if some failed.
    """
    from pycaffe_ext.runs import external, pipeline  # late: they load what the settings need not

    if todo := [job for job in jobs if not finished(job, runs)]:
        pipeline.check(todo, runs, machine, outside)
    elif outside:
        outside.check(jobs[0].request)
    failed = []
    for number, job in enumerate(jobs):
        label = f"[{number + 1}/{len(jobs)}] {job.title}, seed {job.trial}"
        if finished(job, runs) and (outside is None or external.finished(runs / job.name(), outside)):
            say(f"{label}: finished")
            continue
        say(label)
        try:
            pipeline.run(job, runs, machine=machine, say=say, outside=outside)
        except UserError as error:
            if number == 0:
                raise
            failed.append(f"{job.title}, seed {job.trial}")
            say(f"error: {label}: {error}")
    say(overview(jobs, runs))
    if outside:
        say(external_overview(jobs, runs, outside))
    if failed:
        raise UserError(f"{len(failed)} of {len(jobs)} runs failed, see above: {'; '.join(failed)}")


HEADER = ("run", "seed", "epoch", "validation AUC")


def overview(jobs: Sequence[Settings], runs: Path) -> str:
    """A table of the finished runs with their primary endpoint, in the order of `jobs`; the baseline once a seed.

    Below it a line for each run that was interrupted.
    """
    rows: list[tuple[str, ...]] = []
    notes: list[str] = []
    column = ""
    for job in (job for job in jobs if finished(job, runs)):
        result, metric = read_result(runs / job.name()), load(job.app).metric
        headline = metric.headline(result.test)
        column = headline.name
        if metric.baseline and not any(row[1] == str(job.trial) for row in rows):
            alone = metric.headline(result.test, of_baseline=True)
            rows.append((f"{metric.baseline} alone", str(job.trial), "", "", str(alone)))
        best = result.best
        rows.append((job.title, str(job.trial), f"{best.epoch:g}", f"{best.validation_auc:.4f}", str(headline)))
        if interrupted := resumes.text(result.resumes):
            notes.append(f"{job.title}, seed {job.trial}, was interrupted: {interrupted}")
    return "\n".join([layout((*HEADER, column), rows), *notes])


def external_overview(jobs: Sequence[Settings], runs: Path, outside: Outside) -> str:
    """A table of the runs that were tested on another data set: their primary endpoint here and there, and its fall."""
    from pycaffe_ext.runs import external

    rows: list[tuple[str, ...]] = []
    column = ""
    for job in (job for job in jobs if finished(job, runs) and external.finished(runs / job.name(), outside)):
        folder, metric = runs / job.name(), load(job.app).metric
        here, there = read_result(folder).test, read_external(external.place(folder, outside)).test
        if metric.baseline and not any(row[1] == str(job.trial) for row in rows):
            pair = metric.headline(here, of_baseline=True), metric.headline(there, of_baseline=True)
            rows.append((f"{metric.baseline} alone", str(job.trial), *external.fallen(*pair)))
        column = metric.headline(here).name
        rows.append((job.title, str(job.trial), *external.fallen(metric.headline(here), metric.headline(there))))
    return layout(("run", "seed", column, f"on {outside.request.source}", "fall"), rows)
