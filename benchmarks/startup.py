"""Commands that run no net: from the key to the prompt."""

from __future__ import annotations

import sys

from benchmarks.rows import ROOT, Experiment, Row
from benchmarks.sides import Words, whole_run

LIMIT = 0.5  # seconds
TOOLS = (
    ("emit_prototxt", "--help"),
    ("print_tables",),
    ("train_and_test", "--help"),
    ("convert_imageset", "--help"),
    ("compute_image_mean", "--help"),
)


def _tool(program: str, *words: str) -> tuple[str, Words]:
    return f"tools/{program}.py {' '.join(words)}".strip(), (sys.executable, ROOT / "tools" / f"{program}.py", *words)


COMMANDS: dict[str, tuple[str, Words]] = {  # row -> as it is shown, as it is run
    "startup-caffe": ("python -m pycaffe_ext --help", (sys.executable, "-m", "pycaffe_ext", "--help")),
    "startup-make": ("make help", ("make", "--no-print-directory", "-C", ROOT, "help")),
    **{f"startup-{program.replace('_', '-')}": _tool(program, *words) for program, *words in TOOLS},
}


def _experiment(name: str) -> Experiment:
    shown, words = COMMANDS[name]
    return Experiment(rows=(Row(name, f"`{shown}`", "s", limit=LIMIT),), ours=whole_run(lambda _lab: words))


EXPERIMENTS = tuple(map(_experiment, COMMANDS))
