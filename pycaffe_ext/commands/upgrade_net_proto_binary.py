"""Bring a binary net (a caffemodel) of any age to today's form.

Usage: upgrade_net_proto_binary old_net_proto_file_in net_proto_file_out
"""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_ext.programs.flags import parse


def main(arguments: Sequence[str] | None = None) -> int:
    given = parse(__doc__ or "", {}, [2], arguments)
    if given:
        from pycaffe_ext.programs import upgrade_files

        return upgrade_files.net_binary(*given[1])
    return 0
