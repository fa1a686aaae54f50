"""The page of a study: one HTML file, and the same as Markdown."""

from pycaffe_ext.commands.study_report import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
