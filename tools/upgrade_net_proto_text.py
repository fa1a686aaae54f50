"""Bring a net's prototxt of any age to today's form.

Usage: upgrade_net_proto_text.py old_net_proto_file_in net_proto_file_out
"""

from __future__ import annotations

from pycaffe_ext.errors import run_cli
from pycaffe_ext.programs.flags import parse


def main() -> int:
    given = parse(__doc__, {}, [2])
    if given:
        from pycaffe_ext.programs import upgrade_files

        return upgrade_files.net_text(*given[1])
    return 0


if __name__ == "__main__":
    run_cli(main)
