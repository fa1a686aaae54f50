"""Print the data sets that are read: layouts, groups, terms and where to get them; or say what a folder holds."""

from pycaffe_ext.commands.data_help import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
