"""Chromium for the tests of pages."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture(scope="module")
def browser():
    """Headless; skips where playwright or a Chromium is missing."""
    sync = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'pycaffe_ext[browser]'")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs Chromium on the path, such as Debian's package chromium")
    with sync.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()
