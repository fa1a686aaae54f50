"""What a donor is worth on a data set before anything is trained."""

from pycaffe_ext.commands.probe import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
