"""Pages in a headless Chromium: what becomes of the page, and what its console says."""

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed to open pages with")


class Seen(NamedTuple):
    """The page after its scripts, its title, and the lines of its console."""

    dom: str
    title: str
    console: list[str]


def look(page: Path) -> Seen:
    """Open ``page`` and wait until it is at rest."""
    assert BROWSER is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--enable-logging=stderr"]
    home = f"--user-data-dir={page.parent / '.browser'}"
    done = subprocess.run(
        [BROWSER, *flags, home, "--dump-dom", page.absolute().as_uri()], capture_output=True, timeout=300, check=True
    )
    shutil.rmtree(page.parent / ".browser", ignore_errors=True)
    dom = done.stdout.decode(errors="replace")
    told = [line for line in done.stderr.decode(errors="replace").splitlines() if ":CONSOLE:" in line]
    titles = re.findall(r"<title>(.*?)</title>", dom, re.S)
    return Seen(dom, titles[0].strip() if titles else "", told)


def with_probe(page: Path, script: str) -> Path:
    """A copy of ``page`` beside it that ends with a ``script`` which its own policy lets run, and nothing else more."""
    text = page.read_text(encoding="utf-8")
    mark = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert text.count("script-src 'sha256-") == 1
    text = text.replace("script-src 'sha256-", f"script-src 'sha256-{mark}' 'sha256-", 1)
    copy = page.with_name(f"probe-{page.name}")
    copy.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    return copy
