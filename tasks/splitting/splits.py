"""Which split a row gets that its source gives none: by hash, so that copies and rows of one group stay together."""

import hashlib
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii

#: Groups that are so few that each split must be given its own.
FEW = 50


@dataclass(frozen=True)
class Draw:
    """How splits are drawn for one dataset.

    Attributes:
        official: the splits that the source itself settles; no row is drawn into them.
        val, test: shares of the others.
        few: the split of each group, where there are few.
    """

    official: list[str]
    val: float
    test: float
    few: dict[str, str]

    def split(self, own: str | None, group: str | None, content: str | None) -> str:
        """The split of a row: its ``own``, but `train`, of which others may be carved."""
        if own is not None and own != "train":
            return own
        return self.few.get(group or "") or split_of(group or content or "", self.val, self.test)


def draw(official: set[str], groups: list[str], val: float, test: float) -> Draw:
    """How splits are drawn where every row is of one of ``groups`` (none: rows without), by the shares asked for."""
    val, test = (0.0 if name in official else share for name, share in (("val", val), ("test", test)))
    few = splits_of_few(groups, val, test) if 2 <= len(groups) <= FEW else {}
    return Draw(sorted(official), val, test, few)


def split_of(key: str, val: float, test: float) -> str:
    """The split of a row from a hash of its group or content."""
    place = _place(key)
    return "test" if place < test else "val" if place < test + val else "train"


def splits_of_few(groups: list[str], val: float, test: float) -> dict[str, str]:
    """The split of each of a few groups, in the order of their hashes: each split that is asked for has one at least.

    By `split_of` alone, six speakers would leave the test split empty one time in four.
    """
    tests, vals = (max(round(share * len(groups)), 1) if share else 0 for share in (test, val))
    if tests + vals >= len(groups):
        vals = 0
    named = ["test"] * tests + ["val"] * vals
    return dict(zip(sorted(groups, key=_place), named + ["train"] * (len(groups) - len(named)), strict=True))


def _place(key: str) -> float:
    # the fingerprint of these two, without the encoder that is made anew for each: a third of the time
    text = f'["split",{encode_basestring_ascii(key)}]'
    return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) / 2**64
