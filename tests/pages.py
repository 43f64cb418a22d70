"""One section of the report as HTML, from a content that a test has made."""

from tasks.reporting.page import fragment
from tasks.reporting.row_cards import Cards
from tasks.reporting.section import Content
from tasks.reporting.sections import SECTIONS


def html(key: str, content: Content) -> str:
    """The section ``key`` in one line; its rows are drawn nowhere."""
    [section] = [section for section in SECTIONS if section.key == key]
    return " ".join(str(fragment(section, content, Cards({}, [], 0.0))).split())
