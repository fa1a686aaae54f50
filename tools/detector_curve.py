"""Train the hand-crafted detector on a data set's training frames; tables and pictures of what it reaches."""

from pycaffe_ext.commands.detector_curve import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
