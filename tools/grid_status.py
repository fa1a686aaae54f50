"""How far a study has come, from its files."""

from pycaffe_ext.commands.study_status import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
