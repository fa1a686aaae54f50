"""The table of applications: what commands, nets and settings need to know of one without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pycaffe_ext.errors import known

if TYPE_CHECKING:
    from pycaffe_ext.applications.base import Application


@dataclass(frozen=True)
class Entry:
    """A row of the table.

    classes : of the emitted nets; None where only the data say.   patches : the paper's class-balanced training
    patches before the 80/20 split into training and validation; None for an application that is not the paper's.
    options : the application's own settings with their defaults, e.g. {"mask": "auto"}.
    paper_depth : the depth of tuning that the paper found the best, in its words; "" where it has none.
    """

    slug: str
    title: str
    classes: int | None
    patches: int | None
    options: Mapping[str, str] = field(default_factory=dict)
    paper_depth: str = ""


APPLICATIONS = {
    entry.slug: entry
    for entry in (
        Entry(
            "polyp",
            "polyp detection in colonoscopy frames",
            2,
            100_000,
            {"mask": "auto", "damaged": "refuse"},
            "deep: all layers",
        ),
        Entry(
            "pe",
            "pulmonary embolism detection in CT angiography",
            2,
            81_000,
            {"near_mm": "5"},
            "late: the fully connected layers",
        ),
        Entry(
            "frames",
            "colonoscopy frame classification, informative or not",
            2,
            40_000,
            {"degrade": "0", "damaged": "refuse"},
            "late and middle layers",
        ),
        # The paper's count is not at hand for this one; polyp's is taken, as the other dense sampling of frames.
        Entry(
            "imt",
            "intima-media boundary segmentation in ultrasound",
            3,
            100_000,
            {"patch_mm": "2.8", "near_mm": "0.1", "dense": "0"},
            "deep: all layers",
        ),
        Entry(
            "folder",
            "any folder with a sub-folder for each class",
            None,
            None,
            {"positive": "", "resize": "squash", "balance": "1", "damaged": "refuse"},
        ),
    )
}


def load(slug: str) -> Application[Any, Any]:
    """The application of that name; UserError for another."""
    known(slug, APPLICATIONS, "application")
    application: Application[Any, Any] = import_module(f"pycaffe_ext.applications.{slug}").APPLICATION
    return application
