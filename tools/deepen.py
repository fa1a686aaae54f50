"""The paper's own procedure: tune the last layer, then one stage more at a time, until it no longer helps."""

from pycaffe_ext.commands.deepen import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
