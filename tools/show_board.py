"""TensorBoard on the runs of a folder."""

from pycaffe_ext.commands.board import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
