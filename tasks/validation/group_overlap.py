"""Groups in several splits: rows of one patient, speaker or device that are trained on and tested on."""

from collections.abc import Iterator

from tasks.core.text import many
from tasks.validation.context import Context
from tasks.validation.finding import LEAK, MOST_EXAMPLES, NOTE, Finding


def check(context: Context) -> Iterator[Finding]:
    """A leak; a note where the split goes by time, as groups go on then."""
    rows = context.rows
    per_group = rows["split"].groupby(rows["group"]).nunique()
    across = per_group.index[per_group > 1]
    if not len(across):
        return
    tests = int((rows["group"].isin(across) & (rows["split"] == "test")).sum())
    text = f"{many(len(across), 'group is', 'groups are')} in several splits, with {many(tests, 'test row', 'test rows')}. "
    if context.split_by_time:
        severity, more = NOTE, "As the split goes by time, test scores are of known groups."
    else:
        severity, more = (
            LEAK,
            ("Test scores are then of known groups, and too good for new ones: put each group into one split."),
        )
    examples = tuple(str(group) for group in across[:MOST_EXAMPLES])
    details = {"groups": len(across), "rows": tests}
    yield Finding(severity, "Groups in several splits", text + more, examples, details)
