"""Parse a training log into two CSV files, LOGFILE.train and LOGFILE.test."""

from pycaffe_ext.commands.parse_log import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
