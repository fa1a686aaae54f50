"""The four applications of the paper."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Application:
    """What an application fixes: its name in commands, folders and the net's head, and the paper's numbers.

    `patches` counts the class-balanced training patches before the 80/20 split into training and validation.
    """

    slug: str
    title: str
    classes: int
    patches: int


APPLICATIONS = {
    app.slug: app
    for app in (
        Application("polyp", "polyp detection in colonoscopy frames", 2, 100_000),
        Application("pe", "pulmonary embolism detection in CT angiography", 2, 81_000),
        Application("frames", "colonoscopy frame classification, informative or not", 2, 40_000),
        # The paper's count is not at hand for this one; polyp's is taken, as the other dense sampling of frames.
        Application("imt", "intima-media boundary segmentation in ultrasound", 3, 100_000),
    )
}
