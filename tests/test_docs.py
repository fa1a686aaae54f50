"""The documentation: links point at files and headings that exist, commands at targets, and the site builds."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import markdown
import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from pycaffe_ext.command_line.variables import refusal

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
MAKE = re.compile(r"(?:^ {4}|`|\$\()make (?:-s )?([a-z][\w-]*)((?: +[A-Z_]+=)?)", re.M)
VARIABLE = re.compile(r"\b([A-Z][A-Z_]+)=")
GIVEN = re.compile(r"(?<![^\s(`])([A-Za-z_-]+)=")  # by a word of a command line, not within a value: a=b:c=d
STEERING = {"PYTHON", "VENV", "TORCH"}
JOB = re.compile(
    r"([a-z]+)-(?:ft-\w+|lp-ft|gradual(?:-\w+)?|scratch(?:-xavier|-msra)?|tables|deepen|probe|study|study-plan)$"
)


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^(?: {4}|```).*$", "", text, flags=re.M))


def links(page: Path) -> list[str]:
    found = LINK.findall(without_code(page.read_text(encoding="utf-8")))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@cache
def anchors(page: Path) -> set[str]:
    """Those that both MkDocs and GitHub make of the headings."""
    text = page.read_text(encoding="utf-8")
    of_mkdocs = set(re.findall(r'<h\d id="([^"]+)"', markdown.markdown(text, extensions=["toc", "tables"])))
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.M)
    of_github = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return of_mkdocs & of_github


def broken(page: Path) -> list[str]:
    """Relative links of a page whose file or heading is not there."""
    wrong = []
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.is_file() or not target.is_relative_to(ROOT) or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_point_at_files_and_headings(page):
    assert not broken(page)


def test_a_broken_link_is_found(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# A heading of it\n\n## Twice (really)\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#a-heading-of-it) ![c](none.png) [d](other.md#none) [e](https://x.org/none) "
        "`[f](none.md)`\n\n    [g](none.md)\n\n[h](../outside.md) [i](#none)\n"
    )
    assert broken(page) == ["none.png", "other.md#none", "../outside.md", "#none"]


@cache
def makefile() -> tuple[set[str], set[str], set[str]]:
    """Targets, applications and variables of the Makefile."""
    text = (ROOT / "Makefile").read_text()
    lists = dict(re.findall(r"^([A-Z]+) *:= *([A-Za-z_ -]+?)(?= *(?:#|$))", text, re.M))
    targets = set(re.findall(r"^([a-z][a-z-]*):", text, re.M))
    return targets, set(lists["APPS"].split()), set(re.findall(r"\b[A-Z][A-Z_]+\b", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_name_targets_and_variables_that_exist(page):
    targets, apps, variables = makefile()
    text = page.read_text(encoding="utf-8")
    named = {target for target, _ in MAKE.findall(text)}
    jobs = {match[1] for target in named if (match := JOB.match(target))}
    unknown = {target for target in named - targets - apps if not JOB.match(target)}
    assert not unknown, "the Makefile has no such target"
    assert jobs <= apps, "the Makefile has no such application"
    lines = [line for line in text.splitlines() if re.search(r"\bmake [a-z]", line)]
    assert {name for line in lines for name in VARIABLE.findall(line)} <= variables | {"PYTHONPATH"}


def calls_of_make(text: str) -> list[tuple[list[str], list[str]]]:
    """(targets, variables) of each call in a page's code; variables that a comment beside it names count too."""
    text = re.sub(r" *\\\n +", " ", text)
    lines = re.findall(r"^ {4}(?:\$ )?(make\s.*)$", text, re.M) + re.findall(r"`(make\s[^`]*)`", text)
    calls = []
    for line in lines:
        line = re.sub(r"\$\([^)]*\)", "X", line)
        words = re.sub(r"=(?:\"[^\"]*\"|'[^']*')", "=X", line.partition("#")[0]).split()[1:]
        calls.append(([word for word in words if "=" not in word and word[0] != "-"], GIVEN.findall(line)))
    return calls


def refused(text: str) -> list[str]:
    found = [refusal(goals, set(names) - STEERING) for goals, names in calls_of_make(text)]
    return [line for line in found if line]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_give_their_targets_only_what_these_take(page):
    assert not refused(page.read_text(encoding="utf-8"))


def test_a_command_with_a_variable_that_its_target_does_not_take_is_found():
    text = """`make polyp SEED=1` and `make
predict DATA=a`, make it SEED=1

    make polyp SCHEMES="ft-fc8 scratch:base_lr=0.1" WEIGHTS=squeezenet=a:googlenet=b CAFFE=$(make -s where-caffe) \\
        EPOCH=3
    make board         # RUNS= and PORT= choose others, BOARD= none
"""
    assert [line.partition("=")[0] for line in refused(text)] == ["EPOCH", "BOARD", "SEED"]
    assert sum(len(names) for page in PAGES for _, names in calls_of_make(page.read_text(encoding="utf-8"))) > 100


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150 and max(map(len, lines)) <= 100


def test_the_site_builds_without_a_warning(tmp_path):
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"), strict=True))
    assert (tmp_path / "site" / "how-to" / "first-run.html").is_file()
