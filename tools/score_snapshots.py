"""Choose a snapshot afterwards: score every snapshot in a folder, whichever Caffe wrote them, on validation patches."""

from pycaffe_ext.commands.score_snapshots import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
