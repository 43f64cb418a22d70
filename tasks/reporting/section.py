"""A section of the report: its place in the contents, what it shows, and the template that shows it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.reporting.run import Run


@dataclass(frozen=True)
class Content:
    """What a section shows: each section has a frozen dataclass of its own, which its template knows as `section`."""

    @property
    def row_ids(self) -> list[str]:
        """Ids of the rows whose cards the template draws."""
        return []


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Attributes:
        key: the anchor of the section, unique on the page.
        title: its name in the contents.
        build: makes the content of a run; None where the run has nothing to show.
        template: the name of a file beside the module of ``build``.
    """

    key: str
    title: str
    build: "Callable[[Run], Content | None]"
    template: str

    @property
    def folder(self) -> Path:
        """Where the template is."""
        return Path(self.build.__code__.co_filename).parent
