"""Repeated rows: copies that stay among the rows, in whatever split, and count as rows of their own."""

from collections.abc import Iterator

from tasks.core.text import many
from tasks.validation.context import Context
from tasks.validation.equal_rows import TIMES_CHANCE, chance_of_a_pair
from tasks.validation.finding import NOTE, Finding


def check(context: Context) -> Iterator[Finding]:
    """A note, where there are more than columns of few values make by chance."""
    rows = context.rows
    again = rows.duplicated("content") & rows["content"].notna()
    count, chance = int(again.sum()), chance_of_a_pair(rows, context.inputs)
    if not count or chance is None or count <= TIMES_CHANCE * len(rows) * min(1.0, chance * len(rows) / 2):
        return
    splits = {name: int((again & (rows["split"] == name)).sum()) for name in ("train", "val", "test")}
    where = ", ".join(f"{n:,} in {name}" for name, n in splits.items() if n)
    parts = [
        f"{count:,} of {len(rows):,} rows are copies of another in every input ({where}), and count as rows of their own."
    ]
    same = rows[rows["content"].notna()].groupby("content")
    if torn := int(same["label"].nunique().gt(1).sum()):
        parts.append(f"{many(torn, 'set of equal rows has', 'sets of equal rows have')} different labels.")
    tested = rows["split"] == "test"
    if not rows.loc[tested, "content"].isin(rows.loc[~tested, "content"].dropna()).any():
        parts.append("No test row equals a row of train or val.")
    yield Finding(NOTE, "Repeated rows", " ".join(parts), details={"rows": count, "splits": splits})
