"""Caffes as users of a GPU have them: a GPU build with its messages, and the caffe of a container image."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import training_lab as lab
from patience import LONG

from pycaffe_ext.errors import UserError
from pycaffe_ext.training import container
from pycaffe_ext.training.command import Caffe, stop
from pycaffe_ext.training.fit import Training, Validation, fit
from pycaffe_ext.training.log import parse

ROOT = Path(__file__).resolve().parents[2]
RISE_AND_FALL = {"10": 0.6, "20": 0.8, "30": 0.7, "40": 0.8, "50": 0.9, "60": 0.5}
GPU_BUILD = [
    "libdc1394 error: Failed to initialize libdc1394",
    "I1122 21:44:44.881639 12565 caffe.cpp:218] Using GPUs 0",
    "I1122 21:44:44.882311 12565 caffe.cpp:223] GPU 0: Tesla K80",
    "I1122 21:44:45.301255 12565 net.cpp:84] Creating Layer conv1",
    "I1122 21:44:45.301255 12565 cudnn_conv_layer.cpp:194] Reallocating workspace storage: 35 bytes, loss = 9",
    "W1122 21:44:45.301255 12565 parallel.cpp:35] no peer access between the GPUs",
    "I1122 21:44:45.400000 12565 solver.cpp:218] Iteration 0 (-nan iter/s, 0.2s/5 iters), loss = 1",
]
# Stands in for `docker`: its container is a process outside the caller's group, which gets only what is handed on.
DOCKER = """#!{python}
import json, os, signal, subprocess, sys
from pathlib import Path

home = Path(__file__).parent
if sys.argv[1] == "kill":
    os.killpg(int((home / sys.argv[2]).read_text()), signal.SIGKILL)
    sys.exit()
assert sys.argv[1] == "run"
words, given = sys.argv[2:], {{"--volume": [], "--env": []}}
while words[0].startswith("-"):
    option = words.pop(0)
    if option not in ("--rm", "--init"):
        given.setdefault(option, []).append(words.pop(0))
image, *arguments = words
(home / "given.json").write_text(json.dumps(given | {{"image": image, "arguments": arguments}}))
folders = [volume.split(":")[0] for volume in given["--volume"]]
assert all(volume == f"{{folder}}:{{folder}}" for volume, folder in zip(given["--volume"], folders))
for word in arguments:
    path = word.partition("=")[2]
    assert not path.startswith("/") or any(path.startswith(folder + "/") for folder in folders), word
inside = subprocess.Popen([sys.executable, {fake!r}, *arguments], start_new_session=True, cwd=given["--workdir"][0])
(home / given["--name"][0]).write_text(str(inside.pid))
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, lambda number, frame: inside.send_signal(number))
sys.exit(inside.wait())
"""
# Stands in for `apptainer`: the program within is a child of the same group.
APPTAINER = """#!{python}
import os, sys
words = sys.argv[1:]
assert words.pop(0) == "exec"
while words[0].startswith("-"):
    option = words.pop(0)
    if option == "--pwd":
        os.chdir(words.pop(0))
    elif option == "--bind":
        assert os.path.isdir(words.pop(0).split(":")[0])
image, program, *arguments = words
assert image == "docker://bvlc/caffe:gpu" and program == "caffe"
os.execv(sys.executable, [sys.executable, {fake!r}, *arguments])
"""


def fitted(folder: Path, command: tuple[str, ...], gpu: str | None = None):
    solver = lab.write_solver(folder, max_iter=60, snapshot=10)
    validation = Validation(folder / "score.prototxt", 11, 1, "fc8_polyp", 2)
    training = Training(solver, None, 20.0, 2)
    return fit(Caffe(command, gpu), folder / "run", training, validation, progress=lambda *_: None)


@pytest.mark.parametrize("epochs", ["", ", 0.5/30ep"], ids=["BVLC", "NVIDIA"])
def test_a_gpu_build_is_handed_its_gpu_and_its_messages_do_no_harm(epochs, tmp_path):
    command = lab.write_fake(tmp_path, aucs=RISE_AND_FALL, banner=GPU_BUILD, epochs=epochs)
    result = fitted(tmp_path, command, "0")
    assert (result.best.iteration, result.reason) == (20, "patience")
    assert all("--gpu=0" in line for line in lab.calls(tmp_path, "t")) and len(lab.calls(tmp_path, "t")) == 5
    losses = parse((tmp_path / "run" / "train.log").read_text().splitlines()).losses
    assert losses[9] == 0.1 and set(losses) <= set(range(60))


def test_a_cpu_build_asked_for_a_gpu_says_why_it_ended(tmp_path):
    said = "F0930 16:44:30.997221 17607 common.cpp:66] Cannot use GPU in CPU-only Caffe: check mode."
    code = f"import sys; print({said!r}); print('*** Check failure stack trace: ***'); sys.exit(134)"
    with pytest.raises(UserError, match="Cannot use GPU in CPU-only Caffe"):
        fitted(tmp_path, (sys.executable, "-c", code), "0")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Stand-ins for docker and apptainer on the PATH, whose images hold the fake caffe; yields their folder."""
    tools = tmp_path / "tools"
    tools.mkdir()
    fake = str(tmp_path / "work" / "fake.py")
    for name, text in (("docker", DOCKER), ("apptainer", APPTAINER)):
        (tools / name).write_text(text.format(python=sys.executable, fake=fake))
        (tools / name).chmod(0o755)
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path / "work")
    return tools


def write_wrapper(runtime: str, folder: Path) -> tuple[str, ...]:
    path = folder / "container-caffe"
    path.write_text(container.wrapper("bvlc/caffe:gpu", runtime, [ROOT], True))
    path.chmod(0o755)
    return (str(path),)


@pytest.mark.parametrize("runtime", ["docker", "apptainer"])
def test_a_training_runs_in_a_container_as_anywhere(runtime, installed):
    work = installed.parent / "work"
    lab.write_fake(work, aucs=RISE_AND_FALL, banner=GPU_BUILD)
    result = fitted(work, write_wrapper(runtime, work), "0")
    assert (result.best.iteration, result.reason) == (20, "patience")
    assert all("--gpu=0" in line for line in lab.calls(work, "t"))
    assert (work / "snapshots" / "solver_iter_20.caffemodel").stat().st_uid == os.getuid()


def test_docker_is_asked_for_the_same_paths_the_user_and_the_gpus(installed):
    work = installed.parent / "work"
    lab.write_fake(work, aucs=RISE_AND_FALL)
    fitted(work, write_wrapper("docker", work), "0")
    text = (installed / "given.json").read_text()
    assert f'"--user": ["{os.getuid()}:{os.getgid()}"]' in text and '"--gpus": ["all"]' in text
    assert '"--entrypoint": ["caffe"]' in text and f'"--workdir": ["{work}"]' in text and f'"{ROOT}:{ROOT}"' in text


def started(work: Path, runtime: str) -> object:
    """A training in a container, once it is under way."""
    lab.write_fake(work, aucs=RISE_AND_FALL, pause=0.05)
    solver = lab.write_solver(work, max_iter=1000, snapshot=1000)
    process = Caffe(write_wrapper(runtime, work)).train(solver, None, None, work / "log")
    until = time.monotonic() + LONG
    while "Iteration 3 " not in (work / "log").read_text():
        assert time.monotonic() < until and process.poll() is None, (work / "log").read_text()
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("runtime", ["docker", "apptainer"])
def test_an_interrupt_reaches_the_caffe_within_which_writes_its_snapshot(runtime, installed):
    work = installed.parent / "work"
    assert stop(started(work, runtime), patience=LONG) == 0
    assert "Optimization stopped early." in (work / "log").read_text()
    assert list((work / "snapshots").glob("*.solverstate"))


def test_a_container_whose_docker_was_killed_is_ended_too(installed):
    work = installed.parent / "work"
    process = started(work, "docker")
    process.end()
    until = time.monotonic() + LONG
    (name,) = [path for path in installed.iterdir() if path.name.startswith("caffe-")]
    while Path(f"/proc/{name.read_text()}").exists():
        state = Path(f"/proc/{name.read_text()}/stat").read_text().split()[2]
        if state == "Z":
            break
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize("runtime", container.RUNTIMES)
def test_a_wrapper_is_a_script_that_the_shell_takes(runtime, tmp_path):
    odd = tmp_path / "it's a folder"
    odd.mkdir()
    text = container.wrapper("bvlc/caffe:cpu", runtime, [odd, odd / "..", tmp_path], gpu=False)
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=True).returncode == 0
    words = shlex.split(
        text.rstrip().splitlines()[-1]
        if runtime in container.APPTAINER
        else " ".join(text.rstrip().splitlines()[-2:]).replace("\\ ", "")
    )
    assert f"{tmp_path}:{tmp_path}" in words and not any("it's" in word for word in words)
    assert not {"--gpus", "--nv", "--device"} & set(words)


def test_what_is_no_image_or_folder_is_refused(tmp_path, monkeypatch):
    for image in ("", "-rm", "two words"):
        with pytest.raises(UserError, match="is not the name of an image"):
            container.wrapper(image, "docker", [], True)
    colon = tmp_path / "a:b"
    colon.mkdir()
    with pytest.raises(UserError, match="colon"):
        container.wrapper("i", "docker", [colon], True)
    with pytest.raises(UserError, match="not a folder"):
        container.wrapper("i", "docker", [tmp_path / "none"], True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="none of docker, podman, apptainer, singularity is installed"):
        container.find_runtime()
    with pytest.raises(UserError, match="unknown runtime 'doker'; did you mean 'docker'"):
        container.find_runtime("doker")


def test_the_tool_writes_a_wrapper_that_answers(installed):
    work = installed.parent / "work"
    tool = [sys.executable, str(ROOT / "tools" / "container_caffe.py"), "bvlc/caffe:gpu", "--folder", str(work)]
    said = subprocess.run(tool, capture_output=True, text=True, check=True, cwd=work).stdout
    assert "GPU=0" in said and "docker" in said
    assert os.access(work / "container-caffe", os.X_OK)
    (work / "fake.py").write_text("print('caffe version 1.0.0')")
    assert Caffe((str(work / "container-caffe"),)).version() == "caffe version 1.0.0"


def test_a_hang_up_asks_the_caffe_within_for_a_snapshot(installed):
    """Docker hands SIGHUP on as it does SIGINT; the fake tells them apart."""
    work = installed.parent / "work"
    lab.write_fake(work)
    (work / "fake.py").write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGHUP, lambda *_: (print('hup', flush=True), sys.exit(7)))\n"
        "print('up', flush=True)\ntime.sleep(600)\n"
    )
    process = Caffe(write_wrapper("docker", work)).train(Path("s"), None, None, work / "log")
    until = time.monotonic() + LONG
    while "up" not in (work / "log").read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
    with process:
        process.send_to_all(signal.SIGHUP)
        assert process.wait(LONG) == 7 and "hup" in (work / "log").read_text()
