"""Downloads that resume, are checked, and appear under their name only when right."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest

CHUNK = 1 << 18  # bytes
TIMEOUT = 30  # seconds without an answer before the next source is tried
NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ssl.SSLError,
    TimeoutError,
    ConnectionError,
    ValueError,
)


def fetch(urls: Sequence[str], path: Path, sha1: str, size: int) -> Path:
    """Get the file with that sha1 from the first of `urls` that delivers it; returns `path`.

    What an interrupted download left (`path`.part) is continued, from any source. `size` (bytes) is what a progress
    bar shows until a server gives its own. UserError, listing what each source answered, if none delivers it.
    """
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = []
    for url in urls:
        answer = _try(url, part, sha1, size)
        if not answer:
            part.replace(path)
            return path
        answers.append(f"{url}: {answer}")
    raise UserError(
        f"no source delivered {path.name} ({'; '.join(answers)}); download it by hand (sha1 {sha1})"
        f" and pass WEIGHTS=path/to/{path.name}"
    )


def _try(url: str, part: Path, sha1: str, size: int) -> str:
    """Continue `part` from `url`; returns what went wrong, or nothing when the whole file is there and right."""
    continued = part.exists()
    try:
        _continue(url, part, size)
    except NETWORK_ERRORS as error:
        return str(error.reason if type(error) is urllib.error.URLError else error) or type(error).__name__
    found = digest(part, "sha1")
    if found == sha1:
        return ""
    part.unlink()
    # What was there before may have been the wrong half.
    return _try(url, part, sha1, size) if continued else f"sha1 is {found}"


def _continue(url: str, part: Path, size: int) -> None:
    """Append what is missing of `part`; start over if the server can't or won't continue."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # nothing lies beyond what is here: whole, or not this file, as its sha1 will tell
        raise
    with answer:
        _append(answer, part, have if answer.status == http.client.PARTIAL_CONTENT else 0, size)


def _append(answer: http.client.HTTPResponse, part: Path, have: int, size: int) -> None:
    """Write an answer's bytes after the first `have` of `part`, which a plainly wrong answer leaves untouched."""
    rest = answer.length
    total = size if rest is None else have + rest
    if answer.headers.get_content_type() == "text/html" or total < 0.9 * size:
        raise ConnectionError(f"answers with something else ({answer.headers.get_content_type()}, {total} bytes)")
    bar = tqdm(desc=part.stem, initial=have, total=total, unit="B", unit_scale=True)
    with bar, open(part, "ab" if have else "wb") as file:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
    if part.stat().st_size < total and rest is not None:
        raise ConnectionError(f"broke off at {part.stat().st_size} of {total} bytes; run again to continue")
