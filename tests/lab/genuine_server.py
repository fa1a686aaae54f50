"""Run by the genuine Caffe's Python 3.9: each line of standard input is a script that a fork of this process runs.

A line is JSON: argv (as behind `python`: "-c" and code, or a file, and its arguments), cwd, and the files stdin, stdout
and stderr.  The answer is a line with the exit status, negative for a signal.  Caffe is loaded once, here; whatever a
script does to it, or dies of, stays in its fork.
"""

import ctypes
import json
import os
import runpy
import signal
import sys
import traceback
import types

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe  # noqa: F401 - what takes the time
import numpy as np

PR_SET_PDEATHSIG = 1
FILES = (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def script(argv):
    """Run it as the interpreter would; SystemExit passes."""
    if argv[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *argv[2:]], ""
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        exec(compile(argv[1], "<string>", "exec"), main.__dict__)
    else:
        sys.argv, sys.path[0] = argv, os.path.dirname(os.path.abspath(argv[0]))
        runpy.run_path(argv[0], run_name="__main__")


def status_of_script(argv):
    try:
        script(argv)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def child(asked):
    die_with_parent()
    os.chdir(asked["cwd"])
    for number, (name, flags) in enumerate(FILES):
        os.dup2(os.open(asked[name], flags), number)
    sys.stdin, sys.stdout, sys.stderr = (open(n, mode) for n, mode in ((0, "r"), (1, "w"), (2, "w")))  # noqa: SIM115
    np.random.seed()  # else all forks draw the same numbers
    status = status_of_script(asked["argv"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


die_with_parent()
for line in sys.stdin.buffer:
    pid = os.fork()
    if not pid:
        child(json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
