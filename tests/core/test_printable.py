"""Nothing that a stranger wrote steers a terminal, and everything can still be read."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.printable import visible, visible_lines
from tasks.core.progress import Progress

#: What may not reach a terminal from a name: C0 (a line's end is our own), DEL, C1, overrides and isolates, separators.
STEERS = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plain ünïcödé 再见 👩‍🔬", "plain ünïcödé 再见 👩‍🔬"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb\nc\td\0e\x7f", r"a\rb\nc\td\x00e\x7f"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2066x\u2069 \u200f", r"\u2066x\u2069 \u200f"),
        ("a\u2028b\u0085c", r"a\u2028b\x85c"),
        ("\udc80", r"\udc80"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_steers_is_written_out(text: str, told: str) -> None:
    assert visible(text) == told


@given(st.text())
def test_nothing_that_steers_is_left(text: str) -> None:
    told = visible(text)
    assert not STEERS.search(told)
    assert {unicodedata.category(c) for c in told} & {"Cc", "Cs", "Zl", "Zp"} == set()
    assert "\n".join(visible_lines(text)).split("\n") == [visible(line) for line in text.split("\n")]


def test_a_line_of_progress(capsys: pytest.CaptureFixture[str]) -> None:
    Progress()(1, 1, "rows", note="class \x1b[2J\u202ex\ndeepmine: error: no")
    told = capsys.readouterr().err
    assert r"class \x1b[2J\u202ex\ndeepmine: error: no" in told
    assert told.count("\n") == 1
