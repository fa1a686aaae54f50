"""Apply a finished run to new images, frames or videos."""

from pycaffe_ext.commands.predict import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
