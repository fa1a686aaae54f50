"""Figures as SVG: text stays text, and a page may give each colour another shade in the dark."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from pycaffe_ext.files import writing
from pycaffe_ext.plotting import BLACK, COLOURS, GREY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMESPACE = "http://www.w3.org/2000/svg"
LINK = "{http://www.w3.org/1999/xlink}href"
FONT = "system-ui, sans-serif"
GRID = "#dddddd"
# what a page's style may set; outside a page the colour itself is taken
VARIABLES = {colour: f"--c{i}" for i, colour in enumerate(COLOURS)} | {BLACK: "--ink", GREY: "--soft", GRID: "--grid"}
COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
REFERENCE = re.compile(r"url\(#([^)]*)\)")


def save(figure: Figure, path: Path) -> None:
    """Write an SVG that scales with its place, whole or not at all; its colours are `var(NAME, COLOUR)`."""
    import matplotlib as mpl

    drawn = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.name}):
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(drawn.getvalue())
    _tidy(root)
    root.set("id", path.stem)
    with writing(path) as file:
        file.write(_text(root) + "\n")


def inline(path: Path, title: str, description: str) -> str:
    """The picture as an element of an HTML page, with its alternative text; ids begin with the file's name."""
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    name = path.stem
    _prefix_ids(root, f"{name}-")
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(f"{{{NAMESPACE}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(place, element)
    root.attrib |= {"id": name, "role": "img", "aria-labelledby": f"{name}-title", "aria-describedby": f"{name}-desc"}
    return _text(root).replace(f' xmlns="{NAMESPACE}"', "", 1)


def _text(root: ElementTree.Element) -> str:
    ElementTree.register_namespace("", NAMESPACE)
    return ElementTree.tostring(root, encoding="unicode")


def _tidy(root: ElementTree.Element) -> None:
    """Leave out metadata and size, and make the style of all elements one that is inherited from the root."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{NAMESPACE}}}metadata", f"{{{NAMESPACE}}}style"):
                parent.remove(child)
    for name in ("width", "height"):
        del root.attrib[name]
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    for element in root.iter():
        if LINK in element.attrib:
            element.set("href", element.attrib.pop(LINK))
        if style := element.get("style"):
            element.set("style", _with_variables(style))
    _colour_text(root)


def _with_variables(style: str) -> str:
    """Colours by their variables, and the reader's own font."""
    known = {colour.lower(): name for colour, name in VARIABLES.items()}

    def named(found: re.Match[str]) -> str:
        name = known.get(found[0].lower())
        return f"var({name}, {found[0]})" if name else found[0]

    return re.sub(r"'DejaVu Sans'[^;]*", FONT, COLOUR.sub(named, style))


def _colour_text(root: ElementTree.Element) -> None:
    """Black is SVG's own colour of text, so Matplotlib does not name it."""
    for element in root.iter(f"{{{NAMESPACE}}}text"):
        style = element.get("style", "")
        if "fill:" not in style:
            element.set("style", f"{style}; fill: var({VARIABLES[BLACK]}, {BLACK})")


def _prefix_ids(root: ElementTree.Element, prefix: str) -> None:
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, prefix + value)
            elif name == "href" and value.startswith("#"):
                element.set(name, f"#{prefix}{value[1:]}")
            elif "url(#" in value:
                element.set(name, REFERENCE.sub(rf"url(#{prefix}\1)", value))
