"""Names that people type, of patients, videos, frames: one spelling each, and which two of them look alike.

A blank at the end, an umlaut in two Unicode forms or a byte order mark makes two groups of one patient, and the two may
lie on both sides of a split. What can't be seen is taken away; what can be seen but is easily typed in two ways is
never joined in silence: it is refused, with both spellings.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from pycaffe_ext.errors import UserError

UNSEEN = ("Cf", "Cc")  # categories: zero-width characters, byte order marks, controls
SEPARATORS = r"[_.,'`\u2018\u2019\-]+"  # blanks, which are separators too, are gone before
MINUS = "\u2212"  # no dash to Unicode
ALPHABETS = str.maketrans(  # small letters of Cyrillic and Greek whose capitals look like those of Latin
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458\u0455"
    "\u03b1\u03b2\u03b5\u03b6\u03b7\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7",
    "abekmhopctyxijsabezhikmnoptyx",
)


def identifier(name: str) -> str:
    """A typed name without what can't be seen: composed (NFC), no invisible characters, no blanks at its ends.

    Blanks of every kind (no-break, tabulator) are plain ones. A name with slashes is treated part by part. ASCII names
    without blanks at their ends stay as they are.
    """
    if name.isascii() and name.isprintable():
        return "/".join(part.strip() for part in name.split("/"))
    composed = unicodedata.normalize("NFC", name)
    plain = "".join(" " if c.isspace() else c for c in composed if c.isspace() or unicodedata.category(c) not in UNSEEN)
    return unicodedata.normalize("NFC", "/".join(part.strip() for part in plain.split("/")))


def look(name: str) -> str:
    """What is left of a name without case, blanks, alphabet and width of letters, separators, zeros before a number.

    Separators between two digits are kept, as one sign: 1_12 and 11_2 are two names.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    latin = folded.translate(ALPHABETS)
    joined = "".join("-" if c == MINUS or unicodedata.category(c) == "Pd" else c for c in latin if not c.isspace())
    split = re.sub(rf"(?<=\d){SEPARATORS}(?=\d)", "-", joined)
    bare = re.sub(rf"(?<!\d){SEPARATORS}|{SEPARATORS}(?!\d)", "", split)
    return re.sub(r"(?<!\d)0+(?=\d)", "", bare)


def check_look(found: Iterable[tuple[str, str]], kind: str = "groups") -> None:
    """Raise UserError naming two different names that look alike, and where they stand: (identifier, place)."""
    places: dict[str, str] = {}
    for name, place in found:
        places.setdefault(name, place)
    seen: dict[str, str] = {}
    for name, place in places.items():
        if (first := seen.setdefault(look(name), name)) != name:
            raise UserError(
                f"{kind} {_shown(first)} ({places[first]}) and {_shown(name)} ({place}) look alike; write them the same"
                " way if they are one, else rename one of them"
            )


def by_identifier(names: Iterable[str], kind: str) -> dict[str, str]:
    """identifier -> name; raises UserError if two names differ only in what can't be seen."""
    found: dict[str, str] = {}
    for name in names:
        if (other := found.setdefault(identifier(name), name)) != name:
            raise UserError(f"{kind}s {other!r} and {name!r} differ only in what can't be seen; rename one of them")
    return found


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few names and how many more there are."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _shown(name: str) -> str:
    return repr(name) if name.isascii() else f"{name!r} = {name!a}"
