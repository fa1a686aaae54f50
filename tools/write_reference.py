"""Write docs/reference/commands.md from the tables of commands and options."""

from pathlib import Path

from pycaffe_ext.command_line.texts import reference
from pycaffe_ext.errors import run_cli
from pycaffe_ext.files import writing

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "commands.md"


def main() -> None:
    with writing(PAGE) as file:
        file.write(reference())
    print(PAGE)


if __name__ == "__main__":
    run_cli(main)
