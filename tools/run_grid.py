"""All runs of a study file that are not finished, one or several side by side."""

from pycaffe_ext.commands.study_run import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
