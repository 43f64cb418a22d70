"""Files, names, headers and cells that want to run, escape or be markup: through every stage and onto every page."""

import os
import pickle
import re
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.core.test_printable import STEERS
from tests.fixtures.opened import look, needs_browser
from tests.flows.conftest import Project, new_project

#: Names of files, labels, headers and cells. Each would, where it is obeyed, make a file `canary`, set a page's title
#: or `pwned`, or steer the terminal.
NAMES = [
    "<img src=x onerror=document.title='pwned'>", "</script><script>window.pwned=1<!--", "'\" autofocus onfocus=pwned=1 x='",
    "<svg onload=document.title='pwned'>", "<style>@import 'file:///x'", "&lt;b&gt; &#60;i&#62;", "javascript:document.title='pwned'",
    "{{7*7}} {% raw %} {{config}}", "${7*7} $(touch canary) `touch canary`", "; touch canary #", "| touch canary", "&& touch canary",
    "%s%n%x {0.__class__} {x!r}", "=cmd|'_C calc'!A0", "@SUM(1+1)*cmd", "+HYPERLINK(1)", "-rf", "--help", "~root",
    "\x1b[2J\x1b]0;pwned\x07", "\x9b31m\x85", "a\rb\nc\td", "\u202egnp.exe", "\u2066x\u2067y", "\u2028\u2029", "[red]x[_red]",
    "[a](javascript:document.title='pwned')", "__import__('os').system('touch canary')", "$PARAMETER", "..\\..\\outside",
    "NULL", "nan", "x" * 120, "e\u0301", "@pd.io.common.os.system('touch canary')",
]  # fmt: skip


class Evil:
    """Makes the canary when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch canary",)


def png(width: int, height: int) -> bytes:
    """A picture whose header claims this size, of a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")


def wrong_files() -> dict[str, bytes]:
    """Contents that are no pictures, or more than that."""
    html = b"<html><script>document.title='pwned'</script>"
    return {
        "page.jpg": html, "page.png": b"\x89PNG\r\n\x1a\n" + html, "drawing.png": b"<svg onload='document.title=1'/>",
        "pickle.png": pickle.dumps(Evil()), "huge.png": png(30_000, 30_000), "claims.png": png(2**31 - 1, 2**31 - 1),
        "empty.png": b"", "shell.png": b"#!/bin/sh\ntouch canary\n", "gif.png": b"GIF89a/*" + html, "zip.png": b"PK\3\4" + html,
    }  # fmt: skip


def fill(folder: Path) -> int:
    """Two classes of hostile names, each a sound picture of noise, and what is no picture; how many hostile files."""
    rng = np.random.default_rng(0)
    count = 0
    told = PngImagePlugin.PngInfo()
    told.add_text("Comment", "<script>document.title='pwned'</script>")
    for label in ("<img src=x onerror=document.title='pwned'>", "\x1b[2J\u202e[red] $(touch canary)"):
        home = folder / label
        home.mkdir(parents=True)
        for i, name in enumerate([*NAMES, *(f"plain{k}" for k in range(40))]):
            pixels = rng.integers(0, 120, (12, 12, 3), np.uint8)
            pixels[:, 6 * (label[0] == "<") :][:, :4] += 100
            Image.fromarray(pixels).save(home / f"{i}{name.replace('/', '_')}.png", pnginfo=told)
            count += i < len(NAMES)
    for name, data in wrong_files().items():
        (home / name).write_bytes(data)
    (home / "soft.png").symlink_to("/etc/hostname")
    os.mkfifo(home / "pipe.png")
    (home / "folder.png").symlink_to("/etc")
    (home / "hard.png").hardlink_to(next(home.glob("*plain0.png")))
    with open(os.fsencode(home) + b"/\xff\xfe.png", "wb") as file:
        file.write(next(home.glob("*plain1.png")).read_bytes())
    return count + len(wrong_files()) + 5


def cells(text: str) -> str:
    return '"' + text.replace('"', '""').replace("\n", " ") + '"'


def table() -> str:
    """A table whose headers, labels and cells are all hostile: a column of each name in turn."""
    rng = np.random.default_rng(1)
    clean = [name for name in NAMES if "\n" not in name]
    lines = [",".join(["label", *(cells(f"{name} {i}") for i, name in enumerate(clean[:12])), "number"])]
    for i in range(150):
        good = i % 2
        row = [cells(clean[good * 3]), *(cells(clean[int(rng.integers(len(clean)))]) for _ in range(12))]
        lines.append(",".join([*row, f"{good + rng.normal():.3f}"]))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, str]]:
    """A project that went through every door with both sources, and all that it said."""
    home = tmp_path_factory.mktemp("hostile")
    pictures = home / "pictures"
    assert fill(pictures) >= 30
    project = new_project(home / "project", pictures)
    (home / "outside").mkdir()
    (project.path / "rows.csv").write_text(table(), encoding="utf-8")
    told = [project.run("deepmine", "add", "rows", "rows.csv", "--label", "label", code=None)]
    told.append(project.run("deepmine", "add", "pictures", str(pictures), code=None))
    small = {"train": {"epochs": 1}, "report": {"map_points": 30}, "validate": {"max_rejected": 0.9, "copies": "keep"}}

    def change(data: dict) -> None:
        data["datasets"].pop("small")
        for entry in data["datasets"].values():
            entry.update(small)

    project.edit(change)
    told.append(project.run("deepmine", "plan", code=None))
    told.append(project.run("deepmine", "run", "--no-server", code=None, timeout=1500))
    told.append(project.run("deepmine", "status", code=None))
    told.append(project.run("deepmine", "like", "rows", "0", code=None))
    told.append(project.run("deepmine", "like", "pictures", NAMES[0], code=None))
    yield project, "\n".join(told)
    project.end()


@pytest.mark.slow
def test_all_stages_did_their_work_and_nothing_ran_or_was_written_outside(hostile: tuple[Project, str]) -> None:
    project, told = hostile
    assert {p.parent.name for p in project.path.glob("data/reports/*/index.html")} == {"rows", "pictures"}, told
    assert list(project.path.parent.rglob("canary*")) == []
    assert os.listdir(project.path.parent / "outside") == []
    assert sorted(p.name for p in project.path.parent.iterdir()) == ["outside", "pictures", "project"]
    known = {"flows", "tasks", "data", ".dvc", ".git", "params.yaml", "pyproject.toml", "dvc.yaml", "dvc.lock", "prefect.yaml",
             ".dvcignore", ".gitignore", "rows.csv", ".prefect-home", "home"}  # fmt: skip
    assert {p.name for p in project.path.iterdir()} <= known


@pytest.mark.slow
def test_nothing_steers_the_terminal(hostile: tuple[Project, str]) -> None:
    _, told = hostile
    assert not STEERS.search(told), [ascii(line) for line in told.splitlines() if STEERS.search(line)][:5]
    assert r"\x1b[2J" in told
    assert "Traceback" not in told


@pytest.mark.slow
@needs_browser
def test_nothing_of_it_is_markup_in_any_page(hostile: tuple[Project, str]) -> None:
    project, _ = hostile
    pages = sorted(p for p in (project.path / "data").rglob("*.html") if "probe" not in p.name)
    assert len(pages) >= 6
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "default-src 'none'" in text
        assert "unsafe-inline" not in text.partition("</style>")[0]
        seen = look(page)
        assert "pwned" not in seen.title, page
        inert = re.sub("(?s)<script.*?</script>", "", seen.dom)
        assert not re.search(r"<(img src=\"?x|svg onload|iframe|object|embed|base)", inert), page
        assert not re.search(r"<[a-z][^<>]* on[a-z]+=", re.sub(r'"[^"]*"', '""', inert)), page
        violations = [line for line in seen.console if "script" in line.lower() and "maplibre" not in line]
        assert violations == [], page


def test_what_a_name_would_do_it_can_do_here() -> None:
    """The canaries work: obeyed, they leave their mark."""
    assert len(NAMES) >= 30
    assert sys.platform != "win32"
    assert STEERS.search("".join(NAMES))
    assert Evil().__reduce__()[0] is os.system
