"""Tokens of prototxt, as the C++ tokenizer of protobuf 3.12 (io/tokenizer.cc), with which Caffe reads, cuts them.

Source for every rule: what the genuine Caffe accepts, see tests/lab/text_tokens.py.  Unlike Python's own text_format it
knows no `+1`, `1_000`, `0b10`, `inff` and no blank but those of ASCII, and a comment ends at a line feed only.
"""

from __future__ import annotations

import re

from pycaffe_ext.strings import decode, encode

ESCAPE = r"""(?:[abfnrtv\\?'"0-7]|x[0-9a-fA-F]|u[0-9a-fA-F]{4}|U00[01][0-9a-fA-F]{5})"""
BLANK = r"(?:[ \t\n\r\v\f]++|\#[^\n\0]*+)*+"
WORD = "[A-Za-z_][A-Za-z0-9_]*+"
NUMBER = r"""(?:0[xX][0-9a-fA-F]+ | 0[0-7]+
        | (?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)? | \.[0-9]+)(?:[eE][-+]?[0-9]+)?[fF]?)(?![A-Za-z0-9_.])"""
TOKEN = re.compile(
    rf"""{BLANK}(?:
      (?P<word>{WORD})
    | (?P<number>{NUMBER})
    | (?P<string>"[^"\\\n\0]*(?:\\{ESCAPE}[^"\\\n\0]*)*" | '[^'\\\n\0]*(?:\\{ESCAPE}[^'\\\n\0]*)*')
    | (?P<symbol>[-:{{}}<>\[\],;])
    | (?P<end>\Z)
    | (?P<bad>["'][^\n]* | \+?\.?[0-9](?:[eE][-+]|[A-Za-z0-9_.])* | .))""",
    re.VERBOSE | re.DOTALL,
)
_INTEGER = re.compile("0[xX][0-9a-fA-F]+|[0-9]+")
_ESCAPES = re.compile(
    r"""\\(?:x(?P<hex>[0-9a-fA-F]{1,2}) | (?P<octal>[0-7]{1,3})
      | (?:u|U0000)(?P<head>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<trail>[dD][c-fC-F][0-9a-fA-F]{2})
      | u(?P<short>[0-9a-fA-F]{4}) | U(?P<long>[0-9a-fA-F]{8}) | (?P<plain>.))""",
    re.VERBOSE,
)
_PLAIN = dict(zip("abfnrtv", b"\a\b\f\n\r\t\v", strict=True))


def integer(text: str) -> int | None:
    """Value of a number's token, which may be hexadecimal (0x1f) or octal (017); None unless it is an integer."""
    if not _INTEGER.fullmatch(text):
        return None
    return int(text, 16 if text[:2] in ("0x", "0X") else 8 if text[0] == "0" else 10)


def real(text: str) -> float | None:
    """Value of a number's token, which must be decimal; None for any other."""
    if len(text) > 1 and text[0] == "0" and text[1] in "xX01234567":
        return None
    return float(text.rstrip("fF"))


def string(text: str) -> str:
    """What a string's token stands for, with its bytes that are not UTF-8 as `strings.decode` keeps them."""
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    out, end = bytearray(), 0
    for match in _ESCAPES.finditer(inner):
        out += encode(inner[end : match.start()]) + _escaped(match)
        end = match.end()
    return decode(bytes(out + encode(inner[end:])))


def _escaped(match: re.Match[str]) -> bytes:
    kind, value = match.lastgroup, match[match.lastgroup or 0]
    if kind == "plain":
        return bytes([_PLAIN.get(value, ord(value))])
    if kind == "trail":
        return _utf8(0x10000 + ((int(match["head"], 16) - 0xD800) << 10) + int(value, 16) - 0xDC00)
    if kind in ("short", "long"):
        return _utf8(int(value, 16))
    return bytes([int(value, 16 if kind == "hex" else 8) & 0xFF])


def _utf8(code: int) -> bytes:
    """As C++ writes it: surrogates and numbers above U+10FFFF in UTF-8's pattern too, although that is not UTF-8."""
    if code <= 0x10FFFF:
        return chr(code).encode(errors="surrogatepass")
    return bytes([0xF0 | code >> 18, *(0x80 | code >> shift & 0x3F for shift in (12, 6, 0))])
