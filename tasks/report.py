"""report: what a run found, as one page that a person can open, print and send."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.core.files import write_atomically
from tasks.core.progress import Progress
from tasks.reporting.page import render
from tasks.reporting.sections import SECTIONS

if TYPE_CHECKING:
    from tasks.reporting.run import Run
    from tasks.reporting.section import Section


def report(*, run: "Run", progress: Progress, sections: "Sequence[Section]" = SECTIONS) -> dict[str, Any]:
    """Write the page of ``run`` to its `index`, one section after the other; all it needs is inside it.

    Raises:
        DeepmineError: a store is missing or damaged.
    """
    progress.start()
    shown = []
    for k, section in enumerate(sections):
        progress(k, len(sections), "sections", note=section.title)
        content = run.part(section.build)
        if content is not None:
            shown.append((section, content))
    progress(len(sections), len(sections), "sections", note="drawing rows", always=True)
    cards = run.cards([i for _, content in shown for i in content.row_ids])
    page = render(run.name, shown, cards).encode()
    write_atomically(run.index, page)
    progress(len(sections), len(sections), "sections", note=f"{len(page) / 1e6:.1f} MB in {run.index}", always=True)
    return {"bytes": len(page), "sections": len(shown)}
