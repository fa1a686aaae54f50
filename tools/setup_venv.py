"""The virtual environment with the package in it: setup_venv.py [--torch=cpu|cuda] VENV SOURCE...

VENV/.ready is written last, with the build of PyTorch that it is for: what was cut off before is made again from
nothing, and so is an environment whose Python no longer runs, or one for another build. A second call waits for the
first. It runs on any Python 3, before anything is installed.
"""

import argparse
import fcntl
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

OLDEST = (3, 11)
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
BUILDS = {  # GB to download and GB on disk, measured with every dependency and the tools of developers
    "cpu": (0.4, 1.7),
    "cuda": (2.7, 5.3),
}
BROKEN_OFF = re.compile(
    "IncompleteRead|Connection ?broken|ConnectionReset|ReadTimeout|ProtocolError|incomplete-download|Connection aborted"
)


def main() -> None:
    given = arguments()
    check_python()
    stamp = given.venv / ".ready"
    with locked(given.venv.parent) as lock:
        whole = stamp.exists() and works(given.venv)
        build = given.torch or (stamp.read_text().strip() if whole else "") or default_build()
        whole = whole and given.torch in ("", stamp.read_text().strip())
        if whole and all(stamp.stat().st_mtime >= source.stat().st_mtime for source in given.sources):
            return  # another call made it while this one waited
        if not whole:
            check_replaceable(given.venv)
            check_space(given.venv, build)
            run("making the virtual environment", lock, sys.executable, "-m", "venv", "--clear", given.venv)
        stamp.unlink(missing_ok=True)
        index = cpu_index(build)
        print(cost(given.venv, build, bool(index)), flush=True)
        run("pip install", lock, *pip(given.venv), *index, "-e", ".[dev]")
        stamp.write_text(f"{build}\n")
        print(outcome(given.venv, build))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", default="", help="PyTorch's build: " + " or ".join(BUILDS))
    parser.add_argument("venv", type=Path)
    parser.add_argument("sources", type=Path, nargs="*")
    given = parser.parse_args()
    if given.torch not in ("", *BUILDS):
        sys.exit(f"error: TORCH={given.torch}: must be {' or '.join(BUILDS)}")
    return given


def check_python() -> None:
    """Exit if this Python is too old for the package."""
    if sys.version_info < OLDEST:
        here, oldest = platform.python_version(), ".".join(map(str, OLDEST))
        sys.exit(f"error: Python {oldest} or newer is needed, {sys.executable} is {here}; name one: PYTHON=python3.12")


def default_build() -> str:
    """`cuda` where there is an NVIDIA driver, else `cpu`."""
    driver = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi")
    return "cuda" if driver else "cpu"


def cpu_index(build: str) -> list[str]:
    """Pip's option for the index of CPU builds, where these are wanted and there is one for this Python and machine.

    A build's version there ends in +cpu, which pip prefers to the same version without it.
    """
    return ["--extra-index-url", CPU_INDEX] if build == "cpu" and index_has(torch_version()) else []


def torch_version() -> str:
    """The version that pyproject.toml asks for."""
    text = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r'"torch==([\w.]+)"', text).group(1)


def index_has(version: str) -> bool:
    """Whether the index of CPU builds answers within seconds and lists a wheel for this Python and machine."""
    code = "import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen(sys.argv[1], timeout=5).read())"
    order = [sys.executable, "-c", code, f"{CPU_INDEX}/torch/"]
    try:
        done = subprocess.run(order, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return False
    python = "cp{}{}".format(*sys.version_info)
    wheel = rf"torch-{re.escape(version)}(?:%2B|\+)cpu-{python}-[^\"<]*{platform.machine()}\.whl"
    return done.returncode == 0 and re.search(wheel, done.stdout.decode(errors="replace")) is not None


def cost(venv: Path, build: str, has_index: bool) -> str:
    """What is about to be downloaded and stored."""
    head = f"installing pycaffe_ext and its dependencies into {venv}"
    sizes = {name: f"about {load:g} GB to download, {disk:g} GB on disk" for name, (load, disk) in BUILDS.items()}
    if build == "cuda":
        return f"{head}, with PyTorch for CUDA: {sizes['cuda']} (TORCH=cpu: {sizes['cpu']}) ..."
    if has_index:
        return f"{head}, with PyTorch for the CPU: {sizes['cpu']} ..."
    return (
        f"note: {CPU_INDEX} can't be reached or has no wheel for this machine: taking the wheel of PyTorch that pip"
        f" finds; PyPI's for Linux brings CUDA, {sizes['cuda']}; a CPU wheel: {sizes['cpu']}\n{head} ..."
    )


def pip(venv: Path) -> list[object]:
    """The start of a pip install; with downloads that are resumed where this pip can."""
    python = venv / "bin" / "python"
    order = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    version = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, text=True, check=False).stdout
    numbers = re.match(r"pip (\d+)\.(\d+)", version)
    if numbers and tuple(map(int, numbers.groups())) >= (25, 1):
        order += ["--resume-retries", "20"]
    return order


def outcome(venv: Path, build: str) -> str:
    """Which PyTorch was installed, and what the environment takes; pip's configuration may have had another build."""
    code = "from importlib import metadata; print(metadata.version('torch'))"
    done = subprocess.run([venv / "bin" / "python", "-c", code], capture_output=True, text=True, check=False)
    version = done.stdout.strip() or "unknown"
    size = sum(path.lstat().st_size for path in venv.rglob("*")) / 1e9
    other = build == "cuda" and version.endswith("+cpu")
    note = ", a CPU build: pip is configured with a folder or an index that has one" if other else ""
    return f"{venv} is ready: {size:.1f} GB, PyTorch {version}{note}"


@contextmanager
def locked(folder: Path):
    """Hold `folder`; what is started meanwhile holds it too, so that nothing clears what it still writes."""
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
        sys.exit(f"error: {venv} is not a virtual environment; choose another VENV= or remove it")


def check_space(venv: Path, build: str) -> None:
    """Exit if the disk can't hold the environment; what an old one there takes is about to be freed."""
    taken = sum(path.lstat().st_size for path in venv.rglob("*")) if venv.exists() else 0
    free, needed = (shutil.disk_usage(venv.parent).free + taken) / 1e9, BUILDS[build][1]
    if free < needed:
        sys.exit(
            f"error: {venv} takes {needed:g} GB with TORCH={build}, {venv.parent.resolve()} has {free:.1f} GB free;"
            " make room or choose another folder with VENV="
        )


def run(what: str, lock: int, *order: object) -> None:
    """Run a command in a process group of its own, which ends with this program; exit if it fails.

    Warnings are shown as they come. What else it writes to standard error is shown if it fails, but for a download that
    broke off, which is reported in one line.
    """
    lines = []
    with subprocess.Popen(
        list(map(str, order)), start_new_session=True, pass_fds=(lock,), stderr=subprocess.PIPE, errors="replace"
    ) as process:
        try:
            for line in process.stderr:
                if line.startswith("WARNING"):
                    print(line, end="", file=sys.stderr, flush=True)
                else:
                    lines.append(line)
            status = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if not status:
        return
    if BROKEN_OFF.search("".join(lines)):
        reason = [line.strip() for line in lines if line.strip()][-1]
        sys.exit(
            f"error: a download broke off ({reason}); `make setup` tries again and keeps the files that are complete"
        )
    print("".join(lines), end="", file=sys.stderr)
    sys.exit(f"error: {what} failed, see above; `make setup` tries again")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
