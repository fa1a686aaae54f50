"""Downloads that resume, are checked, and appear under their name only when right."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest

CHUNK = 1 << 18  # bytes
TIMEOUT = 30  # seconds without an answer before the next source is tried
NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ValueError)


def fetch(urls: Sequence[str], path: Path, sha1: str, size: int) -> Path:
    """Get the file with that sha1 from the first of `urls` that delivers it; returns `path`.

    What an interrupted download left (`path`.part) is continued, from any source. `size` (bytes) is what a progress
    bar shows until a server tells its own. UserError, listing what each source answered, if none delivers it.
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
    try:
        _continue(url, part, size)
    except NETWORK_ERRORS as error:
        return str(getattr(error, "reason", "") or error) or type(error).__name__
    found = digest(part, "sha1")
    if found != sha1:
        part.unlink()
        return f"sha1 is {found}"
    return ""


def _continue(url: str, part: Path, size: int) -> None:
    """Append what is missing of `part`; begin anew where the server can't or won't continue."""
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
        have = have if answer.status == http.client.PARTIAL_CONTENT else 0
        rest = answer.length
        total = size if rest is None else have + rest
        with open(part, "ab" if have else "wb") as file:
            bar = tqdm(desc=part.stem, initial=have, total=total, unit="B", unit_scale=True)
            with bar:
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
        if rest is not None and part.stat().st_size < total:
            raise ConnectionError(f"broke off at {part.stat().st_size} of {total} bytes; run again to continue")
