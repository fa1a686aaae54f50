"""What lies in the folders of a data set: pictures, videos, what systems leave there, and what is not read.

Nothing that looks like a picture is passed over in silence. In a folder whose pictures are read, a file with an ending
that is in none of the tables below is refused; whatever else is not taken is counted (`left_out`).
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from pycaffe_ext.data.frames import SUFFIXES, Frame
from pycaffe_ext.data.names import some
from pycaffe_ext.data.sources import decode
from pycaffe_ext.errors import UserError
from pycaffe_ext.pictures import shown

DEEP = 20
SYSTEM_FOLDERS = (  # in lower case; so are all whose names begin with a dot
    "__macosx",
    "@eadir",
    "@tmp",
    "@recycle",
    "@sharebin",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "recycler",
    "system volume information",
    "lost+found",
    "network trash folder",
    "temporary items",
    "thumbnails",
    "thumbnail",
    "thumbs",
    "_thumbs",
    "__thumbs",
    "__pycache__",
)
UNREAD = (  # pictures, volumes, arrays and videos that are not read
    ".heic",
    ".heif",
    ".avif",
    ".jxl",
    ".jp2",
    ".j2k",
    ".jpf",
    ".jpx",
    ".jxr",
    ".jpe",
    ".jfif",
    ".jif",
    ".dib",
    ".pbm",
    ".pgm",
    ".ppm",
    ".pnm",
    ".pam",
    ".tga",
    ".ico",
    ".psd",
    ".xcf",
    ".svg",
    ".exr",
    ".hdr",
    ".raw",
    ".dng",
    ".cr2",
    ".cr3",
    ".nef",
    ".arw",
    ".orf",
    ".rw2",
    ".dcm",
    ".dicom",
    ".ima",
    ".nii",
    ".nii.gz",
    ".mha",
    ".mhd",
    ".nrrd",
    ".svs",
    ".npy",
    ".npz",
    ".mat",
    ".asf",
    ".rm",
    ".rmvb",
    ".ogv",
    ".3gp",
    ".divx",
    ".mpe",
    ".m2v",
    ".m2ts",
    ".mts",
    ".mxf",
    ".y4m",
    ".f4v",
    ".dv",
    ".h264",
    ".hevc",
)
OTHERS = (  # neither pictures nor videos
    ".txt",
    ".csv",
    ".tsv",
    ".json",
    ".jsonl",
    ".xml",
    ".yaml",
    ".yml",
    ".md",
    ".rst",
    ".html",
    ".htm",
    ".pdf",
    ".doc",
    ".docx",
    ".rtf",
    ".xls",
    ".xlsx",
    ".ods",
    ".ini",
    ".cfg",
    ".db",
    ".log",
    ".url",
    ".lnk",
    ".bib",
    ".tex",
    ".py",
    ".m",
    ".ipynb",
    ".sh",
    ".bat",
    ".sha256",
    ".sha1",
    ".md5",
    ".zip",
    ".tar",
    ".gz",
    ".tgz",
    ".rar",
    ".7z",
    ".tfw",
    ".pgw",
    ".jgw",
    ".identifier",
)


@dataclass(frozen=True)
class LeftOut:
    """Pictures and videos of one kind that no frame was made from; `example` is a path in the data set's folder."""

    kind: str
    files: int
    example: str


def left_by_system(name: str) -> bool:
    """Whether an operating or a storage system left it there: .DS_Store, ._picture.png, __MACOSX, @eaDir."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS


def ending(path: Path) -> str:
    """In lower case, with its dot: .nii.gz of scan.NII.gz."""
    double = "".join(path.suffixes[-2:]).lower()
    return double if double in UNREAD else path.suffix.lower()


def walk(folder: Path, suffixes: Sequence[str] | None = SUFFIXES, depth: int = DEEP) -> Iterator[Path]:
    """Files in `folder` with one of `suffixes` in any case (None: all), and below it down to `depth` sub-folders.

    What systems leave is passed over. Links are followed, but each folder is entered once, by its own name if it has
    one here.
    """
    return (path for path in _every_file(folder, depth) if suffixes is None or ending(path) in suffixes)


def files(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> dict[str, Path]:
    """Files below `folder` by name: path in it, without suffix, in one Unicode form.

    Raises UserError if two share a name, or one is a picture, a video or something unknown that is not read.
    """
    found: dict[str, Path] = {}
    for path in _every_file(folder):
        if ending(path) not in suffixes:
            refuse_unread(path, suffixes)
            continue
        refuse_broken(path)
        name = unicodedata.normalize("NFC", path.relative_to(folder).with_suffix("").as_posix())
        if name in found:
            raise UserError(f"{path}: same name as {found[name].name}; keep one of the two")
        found[name] = path
    return found


def images(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> dict[str, Path]:
    """Images below `folder` by name; raises UserError if there is none."""
    found = files(folder, suffixes)
    if not found:
        raise UserError(f"{folder}: no image in it ({', '.join(s[1:] for s in suffixes)})")
    return found


def by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """name without ending -> file; raises UserError for two of one name."""
    found: dict[str, Path] = {}
    for path in paths:
        if (first := found.setdefault(path.stem, path)) != path:
            raise UserError(f"{path}: same name as {first.name}; keep one of the two")
    return found


def refuse_unread(path: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Raise UserError unless the file is certainly neither a picture nor a video, by its ending or, without one, by
    its first bytes."""
    known = ending(path)
    if known in OTHERS or (not known and not _is_picture(path)):
        return
    what = f"files ending in {known} are" if known else "a picture without an ending is"
    raise UserError(f"{path}: {what} not read here; convert it ({', '.join(suffixes)}) or move it elsewhere")


def refuse_broken(path: Path) -> None:
    """Raise UserError for a symbolic link to nothing, unless its name is that of neither a picture nor a folder."""
    if path.is_symlink() and ending(path) not in OTHERS and not path.exists():
        raise UserError(broken(path))


def broken(link: Path) -> str:
    """What is wrong with a symbolic link to nothing."""
    return f"{link}: a symbolic link whose target, {os.readlink(link)}, is missing; restore the target or remove it"


def left_out(folder: Path, frames: Sequence[Frame]) -> list[LeftOut]:
    """Pictures and videos below `folder` that none of its `frames` was made from, by kind, the most frequent first."""
    return not_taken(folder, (path for frame in frames for path in (frame.image, frame.mask, *frame.videos) if path))


def not_taken(folder: Path, paths: Iterable[Path]) -> list[LeftOut]:
    """Pictures and videos below `folder` that are none of `paths`, by kind, the most frequent first."""
    real_folder = lru_cache(maxsize=None)(os.path.realpath)

    def real(path: Path) -> str:
        """Without links in it, so that a file is the same whichever way leads to it."""
        return os.path.realpath(path) if path.is_symlink() else os.path.join(real_folder(path.parent), path.name)

    taken = {real(path) for path in paths}
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for path in _every_file(folder, systems=True):
        if real(path) not in taken and (kind := _kind(path.relative_to(folder))):
            counts[kind] += 1
            examples.setdefault(kind, path.relative_to(folder).as_posix())
    return [LeftOut(kind, count, examples[kind]) for kind, count in counts.most_common()]


def left_out_text(left: Sequence[LeftOut]) -> str:
    """One line with an example of each kind."""
    kinds = some([f"{one.files} {one.kind} ({one.example})" for one in left], 6)
    return f"left out of pictures and videos: {kinds or 'none'}"


def _every_file(folder: Path, depth: int = DEEP, systems: bool = False) -> Iterator[Path]:
    """Files down to `depth` sub-folders, those of systems too if asked for; linked folders come last, if not seen."""
    seen: set[str] = set()
    waiting = deque([(folder, depth)])
    while waiting:
        here, below = waiting.popleft()
        if (real := os.path.realpath(here)) in seen:
            continue
        seen.add(real)
        inside = [path for path in _inside(here, systems) if systems or not left_by_system(path.name)]
        folders = {path for path in inside if path.is_dir()}
        yield from (path for path in inside if path not in folders)
        for path in sorted(folders, reverse=True) if below else []:
            (waiting.append if path.is_symlink() else waiting.appendleft)((path, below - 1))


def linked_folders(folder: Path) -> Iterator[Path]:
    """Symbolic links to folders that `walk` would follow: `folder` itself, those below it and in what they lead to."""
    seen: set[str] = set()
    waiting = deque([folder])
    if folder.is_symlink():
        yield folder
    while waiting:
        for here, inside, _ in os.walk(waiting.popleft()):
            real = os.path.realpath(here)
            inside[:] = [] if real in seen else sorted(name for name in inside if not left_by_system(name))
            seen.add(real)
            links = [Path(here, name) for name in inside if os.path.islink(os.path.join(here, name))]
            yield from links
            waiting.extend(links)


def _inside(folder: Path, or_nothing: bool) -> list[Path]:
    """What is in the folder, sorted; nothing, if that will do, where it may not be looked into, as in lost+found."""
    try:
        return sorted(folder.iterdir())
    except PermissionError:
        if or_nothing:
            return []
        raise


def _kind(path: Path) -> str | None:
    """In which words a file that was not taken is counted; None if it is neither picture nor video."""
    known = ending(path)
    if known not in (*SUFFIXES, *decode.SUFFIXES, *UNREAD, *shown.SUFFIXES):
        return None
    if system := next((part for part in path.parts if left_by_system(part)), None):
        return f"in {system}/" if system != path.name else "hidden"
    if known in UNREAD:
        return known
    place = "/".join(path.parts[:-1][:2])
    return f"in {place}/" if place else "in the folder itself"


def _is_picture(path: Path) -> bool:
    try:
        Image.open(path).close()
    except (UnidentifiedImageError, FileNotFoundError):
        return False
    except Exception:  # a picture that its library refuses, or a file that can't be read
        return path.exists()
    return True
