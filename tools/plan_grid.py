"""What a study file will take: runs, hours, disk, and what is missing."""

from pycaffe_ext.commands.study_plan import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
