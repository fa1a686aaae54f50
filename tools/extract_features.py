"""Write blobs of a trained net over its own data into databases."""

from pycaffe_ext.commands.extract_features import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
