"""Tables that people make, as spreadsheets save them."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from pycaffe_ext.data.names import identifier
from pycaffe_ext.errors import UserError

LINE = "line"  # in a row of `read_table`: where it stands


def read_table(table: str | Path, header: Sequence[str], whole: str = "") -> list[Mapping[str, str]]:
    """Lines of a CSV file with at least the columns of `header`; raises UserError if it is not such a file.

    whole : what the table should be like, for that error, where the columns alone do not say it.
    As spreadsheets write it: comma, semicolon or tabulator between the fields, any line ends, UTF-8 or, with its mark,
    UTF-16; the header in any case, blank lines anywhere. Bytes that are not UTF-8 stay as `os.fsdecode` gives them in
    names of files. Every field is an `identifier`; the number of a row's line is in its "line".
    """
    try:
        (_, columns), *rows = _rows(_text(Path(table))) or [(1, [])]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: not a CSV file ({error}); save it as CSV UTF-8") from None
    columns = [name.lower() for name in columns]
    whole = whole or f"the header `{','.join(header)}` and a line for every {header[0]}"
    if not rows or any(columns.count(name) != 1 for name in header):
        raise UserError(f"{table}: needs {whole}")
    if long := [number for number, row in rows if any(row[len(columns) :])]:
        raise UserError(
            f"{table}: line {long[0]} has more fields than the header; names with commas in them need quotation marks"
        )
    missing = [""] * len(columns)
    return [{**dict(zip(columns, row + missing, strict=False)), LINE: str(number)} for number, row in rows]


def columns_of(table: Path) -> frozenset[str]:
    """Names in the header of a table as `read_table` reads it, in lower case; none of a file that is no such table."""
    try:
        rows = _rows(_text(table))
    except (UnicodeDecodeError, csv.Error):
        return frozenset()
    return frozenset(name.lower() for name in rows[0][1]) if rows else frozenset()


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """(number of its line, fields) of each line that has any."""
    start = text.removeprefix(mark.group() if (mark := re.match(r"sep=.\s*\n", text)) else "")
    first = re.split(r"[\r\n]", start.strip("\r\n"), maxsplit=1)[0]
    delimiter = mark.group()[4] if mark else max(",;\t", key=first.count)
    reader = csv.reader(StringIO(start, newline=""), delimiter=delimiter, skipinitialspace=True)
    rows = [(reader.line_num + bool(mark), [identifier(field) for field in row]) for row in reader]
    return [(number, row) for number, row in rows if any(row)]


def _text(table: Path) -> str:
    content = table.read_bytes()
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))  # UTF-16's mark: "Unicode text" of spreadsheets
    return content.decode("utf-16") if wide else content.decode("utf-8-sig", errors="surrogateescape")
