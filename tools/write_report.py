"""The figures and tables of a study's finished runs: Fig. 2(a), Table S1, AUC by depth, counts, pictures, one page."""

from pycaffe_ext.commands.report import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
