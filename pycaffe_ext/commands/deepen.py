"""The paper's own procedure: tune the last layer, then one stage more at a time, until it no longer helps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import machine_options, parse, settings_options


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("deepen", arguments)
    from pycaffe_ext.errors import UserError
    from pycaffe_ext.files import write_csv
    from pycaffe_ext.runs import finished, pipeline
    from pycaffe_ext.runs.settings import Machine, Settings, short_hash
    from pycaffe_ext.studies import deepen
    from pycaffe_ext.training.command import Caffe

    start: str = options["from"]
    runs, machine = Path(options["runs"]), Machine(**machine_options(options))
    jobs = {
        scheme: Settings.of(options["app"], scheme, **settings_options(options))
        for scheme in deepen.schemes_of(options["arch"], start)
    }

    def run(scheme: str) -> finished.RunFiles:
        made = finished.load(pipeline.run(jobs[scheme], runs, machine=machine))
        if made is None:
            raise UserError(f"{jobs[scheme].title} left no result")
        return made

    first = next(iter(jobs.values()))
    caffe = Caffe.from_setting(machine.caffe, machine.gpu, first.training.precision, machine.cache_gb)
    course = deepen.deepen(list(jobs), run, caffe, print, start)
    tried = {step.name for step in course.steps}
    others = [
        found for scheme, job in jobs.items() if scheme not in tried if (found := finished.load(runs / job.name()))
    ]
    print(deepen.text(course, others))
    identity = {name: value for name, value in first.changed().items() if name != "scheme"}
    identity |= {} if start == "donor" else {"from": start}
    folder = runs / "studies" / f"{first.app}-deepen-{short_hash(identity)}"
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "course.csv", deepen.TABLE, deepen.rows(course))
    print(f"files: {folder / 'course.csv'}")
