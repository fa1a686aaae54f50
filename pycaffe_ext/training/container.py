"""A caffe that lives in a container image, as a program like any other: the wrapper that CAFFE= names."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path

from pycaffe_ext.errors import UserError, known

DOCKER, APPTAINER = ("docker", "podman"), ("apptainer", "singularity")
RUNTIMES = (*DOCKER, *APPTAINER)
# The container sees the same paths; the files that it writes are the user's; --init hands signals on to caffe.
# It runs under a daemon, so that killing `docker run` (this process, after exec) leaves it: the watcher ends it then.
RUN = """name=caffe-$$-$(date +%s)
setsid sh -c "while kill -0 $$; do sleep 1; done; {runtime} kill $name" </dev/null >/dev/null 2>&1 &
exec {runtime} run --name "$name" --rm --init {gpus}{user} {binds} --volume "$PWD:$PWD" --workdir "$PWD" \\
    --env GLOG_logtostderr --env HOME=/tmp --entrypoint caffe {image} "$@"
"""
EXEC = """exec {runtime} exec {gpus}{binds} --bind "$PWD:$PWD" --pwd "$PWD" {image} caffe "$@"
"""
USER = {"docker": '--user "$(id -u):$(id -g)"', "podman": '--userns=keep-id --user "$(id -u):$(id -g)"'}
GPUS = {"docker": "--gpus all ", "podman": "--device nvidia.com/gpu=all ", **dict.fromkeys(APPTAINER, "--nv ")}


def find_runtime(wanted: str = "") -> str:
    """The program that runs containers: the one asked for, else the first that is installed; UserError for none."""
    if wanted:
        return known(wanted, RUNTIMES, "runtime")
    found = next((name for name in RUNTIMES if shutil.which(name)), None)
    if found is None:
        raise UserError(f"none of {', '.join(RUNTIMES)} is installed here; install one, or name it with --runtime")
    return found


def wrapper(image: str, runtime: str, folders: Iterable[Path], gpu: bool) -> str:
    """A shell script that runs the image's caffe with the arguments that it is given.

    image : its name as the runtime knows it, e.g. bvlc/caffe:gpu; for apptainer also a .sif file
    folders : what is seen inside under the same path, beside the folder that it is started in
    """
    if not image or image.startswith("-") or any(sign.isspace() for sign in image):
        raise UserError(f"{image!r} is not the name of an image; give one such as bvlc/caffe:gpu")
    option = "--volume" if runtime in DOCKER else "--bind"
    places = outermost(folders)
    if wrong := [str(place) for place in places if ":" in str(place) or not place.is_dir()]:
        raise UserError(f"{wrong[0]}: not a folder, or has a colon in its name, which container runtimes can't take")
    binds = " ".join(f"{option} {shlex.quote(f'{place}:{place}')}" for place in places)
    form = RUN if runtime in DOCKER else EXEC
    name = image if runtime in DOCKER or image.endswith(".sif") or "://" in image else f"docker://{image}"
    line = form.format(
        runtime=runtime,
        gpus=GPUS[runtime] if gpu else "",
        user=USER.get(runtime, ""),
        binds=binds,
        image=shlex.quote(name),
    )
    return f"#!/bin/sh\n# caffe of {image}; give this file as CAFFE=\n{line}"


def outermost(folders: Iterable[Path]) -> list[Path]:
    """Absolute, each once, without those that lie in another; links as they are written and where they lead."""
    given = {Path(form(folder)) for folder in folders for form in (os.path.abspath, os.path.realpath)}
    return sorted(folder for folder in given if not any(other in folder.parents for other in given))
