"""The virtual environment with the package in it: setup_venv.py VENV SOURCE...

VENV/.ready is written last, so what was cut off before is made anew from nothing, and so is an environment whose
Python does not run any more. A second call waits for the first. It runs on any Python 3, before anything is installed.
"""

import fcntl
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path


def main() -> None:
    venv, *sources = map(Path, sys.argv[1:])
    stamp = venv / ".ready"
    with locked(venv.parent) as lock:
        whole = stamp.exists() and works(venv)
        if whole and all(stamp.stat().st_mtime >= source.stat().st_mtime for source in sources):
            return  # another call made it while this one waited
        if not whole:
            check_replaceable(venv)
            run("making the virtual environment", lock, sys.executable, "-m", "venv", "--clear", venv)
        stamp.unlink(missing_ok=True)
        print(f"installing pycaffe_ext and its dependencies into {venv} ...", flush=True)
        pip = venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"
        run("pip install", lock, *pip, "-e", ".[dev]")
        stamp.touch()


@contextmanager
def locked(folder: Path):
    """Hold `folder`; what is started meanwhile holds it too, so that nobody clears what it still writes."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def works(venv: Path) -> bool:
    """Whether its Python starts and has its packages: a newer Python in its place looks for them elsewhere."""
    try:
        return not subprocess.run([venv / "bin" / "python", "-c", "import pip"], stderr=subprocess.DEVNULL).returncode
    except OSError:
        return False


def check_replaceable(venv: Path) -> None:
    """Exit unless `venv` is missing, empty or an environment: everything in it is about to be removed."""
    if venv.exists() and not (venv / "pyvenv.cfg").exists() and any(not path.is_dir() for path in venv.rglob("*")):
        sys.exit(f"error: {venv} is no virtual environment; choose another VENV= or remove it")


def run(what: str, lock: int, *order: object) -> None:
    """Run a command in a process group of its own, which ends with this program; exit if it fails."""
    with subprocess.Popen(list(map(str, order)), start_new_session=True, pass_fds=(lock,)) as process:
        try:
            status = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if status:
        sys.exit(f"error: {what} failed, see above; `make setup` tries again")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
