"""What run.json says of a run before it trains: settings, versions, and the digests of all that it is made of."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from pycaffe_ext import __version__
from pycaffe_ext.applications import sample_tables
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest
from pycaffe_ext.runs import records
from pycaffe_ext.runs.job import Run
from pycaffe_ext.runs.records import RunRecord

PROTOTXTS = "*.prototxt"
DISTRIBUTIONS = (
    "torch",
    "numpy",
    "opencv-python-headless",
    "simplejpeg",
    "pillow",
    "tifffile",
    "imagecodecs",
    "lmdb",
    "protobuf",
    "scikit-learn",
    "scipy",
    "h5py",
)


def write_record(job: Run, runs: Path, caffe_version: str, saved: RunRecord | None) -> None:
    """Write run.json before training; on going on, refuse inputs that have changed since."""
    inputs = _inputs(job, runs)
    if saved and saved.inputs != inputs:
        changed = sorted(k for k in inputs.keys() | saved.inputs.keys() if saved.inputs.get(k) != inputs.get(k))
        raise UserError(
            f"{job.folder}: {', '.join(changed)} changed since this run began; remove it or choose another RUN="
        )
    record = RunRecord(
        settings=job.settings.record(),
        machine={**asdict(job.machine), "host": platform.node(), "cores": os.cpu_count()},
        resolved={
            "width": str(job.spec.width),
            "batch": job.spec.batch_size,
            "data": str(job.data.folder),
            "source": os.path.abspath(source) if (source := job.settings.request.data) else None,
            "donor": os.path.abspath(job.donor.file) if job.fine_tunes and job.donor.file else None,
            "input": job.transform.record(),
            **(asdict(job.transfer) if job.transfer else {}),
        },
        patches=job.data.patches,
        damaged=list(job.data.damaged),
        left_out=[asdict(one) for one in job.data.left_out],
        inputs=inputs,
        versions=_versions(job, caffe_version, saved),
        resumes=saved.resumes if saved else [],
        warnings=list(dict.fromkeys([*job.prepared.found.warnings, *(saved.warnings if saved else [])])),
        cost=saved.cost if saved else {},
    )
    records.write_run(job.folder, record)


def _versions(job: Run, caffe_version: str, saved: RunRecord | None) -> dict[str, str]:
    """Those that the training began with; a caffe that goes on with it is in `resumes`, one that tests only is here."""
    if saved and job.links[0].begun:
        tested = {"caffe_of_test": caffe_version} if caffe_version != saved.versions["caffe"] else {}
        return {name: own for name, own in saved.versions.items() if name != "caffe_of_test"} | tested
    return {
        "pycaffe_ext": __version__,
        "caffe": caffe_version,
        "python": platform.python_version(),
        **{name: version(name) for name in DISTRIBUTIONS},
    }


def _inputs(job: Run, runs: Path) -> dict[str, str]:
    """name -> sha256 of everything that the run is made of."""
    found = job.data.found
    mean_file = job.transform.mean_file(job.folder, job.data.mean_file)
    tables = ("splits.csv", sample_tables.ITEMS, sample_tables.SAMPLES)
    inputs = {
        "items": job.data.fingerprint,
        **({"mean.binaryproto": digest(mean_file)} if mean_file else {}),
        **{name: digest(found / name) for name in tables},
        **job.application.fitted(found),
        **{f"patches_{split}.csv": digest(job.data.index(split)) for split in job.data.splits},
        **{str(path.relative_to(job.folder)): _prototxt_digest(path, runs) for path in _prototxts(job)},
    }
    if job.fine_tunes and job.donor.file:
        inputs["donor"] = digest(job.donor.file)
    return inputs


def _prototxts(job: Run) -> list[Path]:
    return sorted(
        {path for folder in (job.folder, *(one.folder for one in job.links)) for path in folder.glob(PROTOTXTS)}
    )


def _prototxt_digest(path: Path, runs: Path) -> str:
    """Where the runs lie, and whether a GPU is used, is no part of a run's identity."""
    text = path.read_bytes().replace(os.fsencode(runs), b"RUNS").replace(b"solver_mode: GPU", b"solver_mode: CPU")
    return hashlib.sha256(text).hexdigest()
