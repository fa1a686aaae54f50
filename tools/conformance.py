"""Run every conformance case in both engines; print the table and write docs/reference/conformance.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
ERROR = 2  # glog's level: neither INFO nor WARNING of every net that is made
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "lab")]  # the cases belong to the tests, not to the installed package

from oracle import suite  # noqa: E402
from oracle.table import Result, markdown  # noqa: E402

from pycaffe_ext import glog  # noqa: E402
from pycaffe_ext.command_line.parsing import parse  # noqa: E402
from pycaffe_ext.errors import UserError, run_cli  # noqa: E402
from pycaffe_ext.files import writing  # noqa: E402
from pycaffe_ext.genuine import root  # noqa: E402


def main() -> int:
    options = parse("conformance")
    wanted, quick = options["groups"], options["quick"]
    if not root.installed():
        raise UserError("the genuine Caffe is not installed; `make caffe` installs it")
    glog.set_min_level(ERROR)
    groups = suite.chosen(wanted)
    results = []
    with tqdm(total=sum(len(_rows(group, quick)) for group in groups), unit="row", disable=None) as bar:
        for group in groups:
            with tempfile.TemporaryDirectory() as folder:
                outcomes = []
                for outcome in suite.outcomes(group, _rows(group, quick), Path(folder)):
                    outcomes.append(outcome)
                    bar.update()
            results.append(Result(group, outcomes))
            bar.write(_told(results[-1]))
    output = options["output"] or (None if wanted or quick else ROOT / "docs/reference/conformance.md")
    if output:
        with writing(output) as file:
            file.write(markdown(results))
    return int(any(result.failed for result in results))


def _rows(group: suite.Group, quick: bool) -> list[object]:
    return group.part() if quick else list(group.rows)


def _told(result: Result) -> str:
    group = result.group
    lines = [
        f"{group.chapter}/{group.name}: {len(result.outcomes)} rows, {len(result.failed)} failed"
        + (f", worst error {result.worst} of {group.tolerance:.0e}" if result.worst else "")
    ]
    return "\n".join(lines + [f"  FAILED {outcome.name}: {outcome.problem}" for outcome in result.failed])


if __name__ == "__main__":
    run_cli(main)
