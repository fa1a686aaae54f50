"""Emit nets and solvers at the paper's sizes: AlexNet's into prototxt/ and solvers/, another net's into --out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext import checkout
from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse("prototxt", arguments)
    root = options["root"] or checkout.root()
    if root and not (options["arch"] or options["app"] or options["out"]):
        return _committed(Path(root), options["check"])
    from pycaffe_ext.errors import known
    from pycaffe_ext.nets import emission
    from pycaffe_ext.schemes import STAGES

    arch = known(options["arch"] or "alexnet", STAGES, "architecture")
    apps = [known(options["app"], emission.EMITTED, "application")] if options["app"] else emission.EMITTED
    out = Path(options["out"] or f"runs/nets/{arch}")
    written = emission.write_to(out, arch, apps)
    print(f"{len(written)} files below {out}; caffe train --solver=solvers/... runs from there")
    return 0


def _committed(root: Path, check: bool) -> int:
    from pycaffe_ext.nets import emission

    found = emission.differences(root) if check else emission.write(root)
    print("\n".join(found) or "prototxt/ and solvers/ are up to date")
    return int(bool(check and found))
