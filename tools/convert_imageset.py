"""Pack a list of images into an LMDB or LevelDB of Datums."""

from pycaffe_ext.commands.convert_imageset import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
