"""Measure, on synthetic scores of known truth, what the 95 % intervals cover and how often tests and verdicts err."""

from pycaffe_ext.commands.coverage import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
