"""One check in a process of its own: NAME FILE SECONDS FOLDER; its finding goes to FILE as JSON."""

from __future__ import annotations

import sys
import traceback
from dataclasses import asdict
from pathlib import Path

import torch

from gpucheck.checks import RIGHT, Bench, Finding
from gpucheck.suite import CHECKS
from pycaffe_ext.engine import devices
from pycaffe_ext.files import write_json


def main(name: str, file: str, seconds: str, folder: str) -> None:
    check = next(check for check in CHECKS if check.name == name)
    own = Path(folder) / name
    own.mkdir(parents=True)
    try:
        device = devices.gpu(0) if check.section == RIGHT else torch.device("cuda", 0)  # left alone where all is timed
        finding = check.run(Bench(device, own, float(seconds)))
    except Exception as error:  # a crash is what it found
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        finding = Finding(said, False, notes=traceback.format_exc().splitlines()[-6:])
    write_json(Path(file), asdict(finding))


if __name__ == "__main__":
    main(*sys.argv[1:])
