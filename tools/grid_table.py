"""The tidy table of a study: a line a finished run."""

from pycaffe_ext.commands.study_table import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
