"""What the study of one data set will take, before anything starts."""

from pycaffe_ext.commands.own_study_plan import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
