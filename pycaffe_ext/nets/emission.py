"""Nets and solvers at the paper's sizes, as text: AlexNet's are committed, those of other nets made on demand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from pycaffe_ext.applications.registry import APPLICATIONS, Entry
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing
from pycaffe_ext.nets.architectures import architecture, deploy, train_val
from pycaffe_ext.nets.solver import Schedule, solver
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.proto import to_text
from pycaffe_ext.schemes import links, places, schemes

VAL_BATCH_SIZE = 50  # BVLC AlexNet's; it divides every validation count, so no patch is counted twice
EMITTED = tuple(slug for slug, entry in APPLICATIONS.items() if entry.classes)
FOLDERS = ("prototxt", "solvers")  # hold nothing but emitted files


def train_path(app: str, scheme: str) -> str:
    return f"prototxt/{app}/{scheme}.prototxt"


def deploy_path(app: str) -> str:
    return f"prototxt/{app}/deploy.prototxt"


def solver_path(app: str, scheme: str) -> str:
    return f"solvers/{app}/{scheme}.prototxt"


def split(patches: int) -> tuple[int, int]:
    """(training, validation) patches: 80 % and 20 %."""
    train = round(patches * 0.8)
    return train, patches - train


def paper_spec(app: Entry, scheme: str, arch: str = "alexnet") -> NetSpec:
    """The net at the paper's size, its data where the repository's commands would put it."""
    if app.classes is None:
        raise UserError(f"{app.slug}: its classes are those of the data; make its nets with a run")
    return NetSpec(
        app=app.slug,
        scheme=scheme,
        arch=arch,
        classes=app.classes,
        train_source=f"data/{app.slug}/train_lmdb",
        val_source=f"data/{app.slug}/val_lmdb",
        mean_file=f"data/{app.slug}/mean.binaryproto",
        batch_size=architecture(arch).batch_size,
        val_batch_size=VAL_BATCH_SIZE,
    )


def emit(arch: str = "alexnet", apps: Iterable[str] = EMITTED) -> dict[str, str]:
    """Path -> text, for each application and scheme; the same bytes each time.

    A chain has a solver for each link, in solvers/APP/SCHEME/; its net is that of the link's own scheme.

    Paths, also those that the solvers name, are relative to the folder that the files are put in: the repository's
    root for AlexNet, elsewhere for the others.
    """
    return {path: text for app in apps for path, text in _emit_application(APPLICATIONS[app], arch)}


def _emit_application(app: Entry, arch: str) -> Iterator[tuple[str, str]]:
    if app.patches is None:
        raise UserError(f"{app.slug}: its patches are those of the data; make its solvers with a run")
    train, val = split(app.patches)
    yield deploy_path(app.slug), to_text(deploy(paper_spec(app, "scratch", arch)))
    for scheme in schemes(arch):
        each = links(scheme, arch)
        if len(each) == 1:
            yield train_path(app.slug, scheme), to_text(train_val(paper_spec(app, scheme, arch)))
        for link, place in zip(each, places(scheme, arch), strict=True):
            job, name = f"{app.slug}-{scheme}", PurePosixPath(scheme) / PurePosixPath(place).name
            prefix = PurePosixPath("runs") / job / place / "snapshots" / job
            spec, net = paper_spec(app, link, arch), train_path(app.slug, link)
            made = solver(spec, Schedule(train, val), net=net, snapshot_prefix=str(prefix))
            yield solver_path(app.slug, str(name)), to_text(made)


def write(root: Path) -> list[str]:
    """Bring the files below `root` up to date, strays removed; returns the paths that changed, and why."""
    found, files = differences(root), emit()
    for line in found:
        path = line.split(":")[0]
        if path not in files:
            (root / path).unlink()
            continue
        _write(root / path, files[path])
    return found


def write_to(folder: Path, arch: str, apps: Iterable[str]) -> list[Path]:
    """Write an architecture's files below `folder`, whatever else is there, and return their paths."""
    files = {folder / path: text for path, text in emit(arch, apps).items()}
    for path, text in files.items():
        _write(path, text)
    return list(files)


def _write(path: Path, text: str) -> None:
    with writing(path) as file:
        file.write(text)


def differences(root: Path) -> list[str]:
    """One line for each file below `root` that is missing, differs, or is not emitted at all."""
    files = emit()
    lines = []
    for path, text in files.items():
        if not (root / path).is_file():
            lines.append(f"{path}: missing")
        elif (old := (root / path).read_bytes()) != text.encode():
            lines.append(f"{path}: differs at line {_first_difference(old.decode(errors='replace'), text)}")
    return lines + [f"{path}: not emitted by any generator" for path in sorted(_present(root) - set(files))]


def _first_difference(old: str, new: str) -> int:
    a, b = old.split("\n"), new.split("\n")
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return same + 1


def _present(root: Path) -> set[str]:
    paths = (path for folder in FOLDERS for path in (root / folder).rglob("*.prototxt"))
    return {str(PurePosixPath(path.relative_to(root))) for path in paths}
