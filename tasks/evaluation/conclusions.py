"""What follows from the comparison of approaches: one structure, and the statement that is made of it and of nothing else."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tasks.evaluation.sentences import figure, shown, sign, told
from tasks.stats.intervals import Interval

if TYPE_CHECKING:
    # this brings scikit-learn
    from tasks.evaluation.scorers import Difference

#: What is said of raw + deep less deep.
BOTH = (
    "Concatenating raw and deep features is better than deep features alone: {}.",
    "Concatenating raw and deep features is worse than deep features alone: {}.",
    "Concatenating raw and deep features changes nothing that can be measured: {}.",
)
NO_DEEP = "No miner was fitted on deep features, so nothing can be said of fusion."
NO_RAW = (
    "No miner was fitted without deep features, so nothing can be said of what the network is worth, nor of fusion."
)
#: The differences that the conclusion rests on.
ROLES = (("fused", "plain"), ("network", "plain"), ("fused", "network"))


@dataclass(frozen=True)
class Table:
    """The approaches that were judged.

    Attributes:
        ways: approach -> its figures on test rows; ``titles`` what a person calls each.
        compared: two approaches -> the paired difference of the first less the second.
        plain: those that need no network, ``baselines`` those that need no model at all.
        best: the one that was picked as the best without a look at test rows; ``reason`` says why, as a clause.
    """

    ways: dict[str, Any]
    titles: dict[str, str]
    measure: dict[str, str]
    compared: Callable[[str, str], "Difference"]
    plain: tuple[str, ...]
    baselines: tuple[str, ...]
    best: str
    reason: str = ""

    @property
    def learned(self) -> list[str]:
        """The approaches that need a model."""
        return [way for way in self.ways if way not in self.baselines]

    def sign(self, a: str, b: str) -> int:
        """1 where ``a`` is better than ``b``, -1 where it is worse, 0 where that cannot be told."""
        return sign(self.compared(a, b), self.measure)

    def less(self, a: str, b: str) -> str:
        """The difference of ``a`` less ``b`` in words."""
        return shown(self.compared(a, b), self.measure)

    def value(self, way: str) -> str:
        """The figure of an approach in words."""
        return figure(self.ways[way][self.measure["key"]], self.measure["unit"] == "share")


@dataclass(frozen=True)
class Conclusion:
    """Three approaches, and which differences between them can be told from chance.

    The three were picked without a look at test rows. ``fused`` and ``network`` count as better than what needs no
    network only where they beat every approach of that kind, so that a poor pick of ``plain`` flatters nobody.

    Attributes:
        fused: the best miner on deep features; ``network`` the network alone; None where there is none.
        plain: the best approach without a network; ``raw`` says whether any of these learns something.
        signs: `fused - plain`, `network - plain`, `fused - network` -> `Table.sign`.
        unbeaten: `fused` or `network` -> approaches without a network, ``plain`` left out, that it does not beat -> sign.
        baselines: `constant` or `naive` -> approaches that are not shown to be better than it.
    """

    fused: str | None
    network: str | None
    plain: str
    raw: bool
    signs: dict[str, int]
    unbeaten: dict[str, dict[str, int]]
    baselines: dict[str, list[str]]

    def as_json(self) -> dict[str, Any]:
        """Its fields, and whether fusion `paid`."""
        return asdict(self) | {"paid": self.paid}

    @property
    def better(self) -> list[str]:
        """Which of `fused` and `network` beat every approach without a network."""
        return [role for role in self.unbeaten if self.signs[f"{role} - plain"] == 1 and not self.unbeaten[role]]

    @property
    def paid(self) -> bool:
        """Whether a miner on deep features beats all that needs no network, and the network alone."""
        return self.raw and "fused" in self.better and self.signs.get("fused - network", 1) == 1

    def obstacle(self, role: str) -> tuple[str, int]:
        """The approach without a network that ``role`` does not beat, and the sign: the best one, or else the hardest."""
        own = self.signs[f"{role} - plain"]
        return min(self.unbeaten[role].items(), key=lambda one: one[1]) if own == 1 else (self.plain, own)


def conclude(table: Table, picked: dict[str, str]) -> Conclusion:
    """What follows for the approaches ``picked`` as `fused`, `network` and `plain`; the first two may be missing."""
    plain = picked["plain"]
    roles: list[str] = [role for role in ("fused", "network") if role in picked]
    signs = {f"{a} - {b}": table.sign(picked[a], picked[b]) for a, b in ROLES if a in picked and b in picked}
    unbeaten = {
        role: {way: at for way in table.plain if way != plain and (at := table.sign(picked[role], way)) < 1}
        for role in roles
    }
    baselines = {name: [way for way in table.learned if table.sign(way, name) < 1] for name in table.baselines}
    raw = any(way in table.plain for way in table.learned)
    return Conclusion(picked.get("fused"), picked.get("network"), plain, raw, signs, unbeaten, baselines)


def in_words(found: Conclusion, table: Table) -> str:
    """The conclusion for a person who reads one paragraph of it."""
    parts = [_fusion(found, table)]
    if "both_svm" in table.ways and "deep_svm" in table.ways:
        parts.append(told(table.compared("both_svm", "deep_svm"), BOTH, table.measure))
    parts += [_beaten(name, found, table) for name in found.baselines]
    return " ".join(filter(None, [*parts, _picked(table), _curve(found, table)]))


def _fusion(found: Conclusion, table: Table) -> str:
    """Whether the network is worth its training, and whether a miner on its features is worth more than itself."""
    if not found.raw:
        return NO_RAW
    fused, network, plain, titles = found.fused or "", found.network or "", found.plain, table.titles
    versus, first = found.signs.get("fused - network"), "" if fused else NO_DEEP
    if found.paid:
        alone = f", and the network alone, {table.less(fused, network)}" if network else ""
        beats = f"{titles[plain]}, the best approach without a network, {table.less(fused, plain)}"
        return f"Fusion paid: {titles[fused]} beats {beats}{alone}."
    if not found.better:
        role = "fused" if fused else "network"
        return f"{first} {_no_better(found, role, table) if fused or network else ''}".strip()
    one = network if "fused" not in found.better or (versus == -1 and "network" in found.better) else fused
    worth = f"{titles[one]} beats {titles[plain]}, the best approach without one, {table.less(one, plain)}"
    worth = f"The network is worth its training: {worth}."
    if versus is None:
        return f"{worth} {first}".strip()
    if versus == -1:
        return f"{worth} Fusion did not pay: {titles[fused]} is worse than the network alone, {table.less(fused, network)}."
    if versus == 0:
        simple = "; the network alone is the simpler choice" if "network" in found.better else ""
        less = f"{titles[fused]} less the network alone, {table.less(fused, network)}"
        return f"{worth} Whether fusion pays cannot be told: {less}{simple}."
    other, _ = found.obstacle("fused")
    return (
        f"{worth} Whether fusion pays cannot be told: {titles[fused]} beats the network alone, "
        f"{table.less(fused, network)}, but is not shown to beat {titles[other]}, {table.less(fused, other)}."
    )


def _no_better(found: Conclusion, role: str, table: Table) -> str:
    """Where neither the network nor a miner on its features beats all that needs no network."""
    (other, at), mine = found.obstacle(role), getattr(found, role)
    less = f"{table.titles[mine]} less it, {table.less(mine, other)}"
    if at == -1:
        head = "Fusion did not pay: " if role == "fused" else ""
        first = f"{head}{table.titles[other]} does better than {table.titles[mine]}, {table.less(other, mine)}."
        if role == "network" or not found.network:
            return f"{first} Train no network here."
        simpler, sign_of = found.obstacle("network")
        if sign_of == -1:
            return f"{first} Train no network here."
        less = f"the network alone less it, {table.less(found.network, simpler)}"
        return f"{first} The network alone cannot be told from {table.titles[simpler]}, which needs none: {less}."
    head = "Fusion shows no gain: " if role == "fused" else ""
    beats = ""
    if other != found.plain:
        beats = f"{table.titles[mine]} beats {table.titles[found.plain]}, {table.less(mine, found.plain)}, but "
    return f"{head}{beats}{table.titles[other]} needs no network and cannot be told from {table.titles[mine]}: {less}."


def _beaten(name: str, found: Conclusion, table: Table) -> str:
    """Which approaches are not shown to be better than a prediction without a model."""
    failed, what = found.baselines[name], f"{table.titles[name]} ({table.value(name)})"
    if not failed:
        best = f"{table.titles[table.best]}, {table.less(table.best, name)}"
        return f"Every approach beats {what}: {best}." if name == "naive" else ""
    listed = "; ".join(f"{table.titles[way]}, {table.less(way, name)}" for way in failed)
    first = "No approach is" if failed == table.learned else "Some approaches are not"
    return f"{first} shown to beat {what}, which needs no model: {listed}."


def _picked(table: Table) -> str:
    """Which approach does better on test rows than the one picked as the best, where that can be told or all do."""
    sign_of = 1 if table.measure["better"] == "higher" else -1
    value = {way: sign_of * table.ways[way][table.measure["key"]] for way in table.learned}
    top, best = max(value, key=lambda way: value[way]), table.best
    if value[top] == value[best]:
        return ""
    less = table.less(top, best)
    if table.sign(top, best) == 1:
        return f"{table.reason}; on the test rows {table.titles[top]} does better, {less}."
    if value[best] > min(value.values()):
        return ""
    last = "the last of those that learn on the test rows"
    return f"{table.reason}; it is {last}, but cannot be told from the first there, {table.titles[top]}: {less}."


def _curve(found: Conclusion, table: Table) -> str:
    """The area under the curve of the best approach, and how far that is from the best one's without a network."""
    top = table.ways[table.best].get("positive") or {}
    if top.get("auc") is None:
        return ""
    area: Interval = top["auc_interval"]
    first = f"The approach chosen, {table.titles[table.best]}, has an AUC of {area.value:.3f} ({area.low:.3f} to {area.high:.3f})"
    first += " for the positive class"
    one = table.best if table.best != found.plain else found.fused or found.network or found.plain
    curve = table.compared(one, found.plain).auc if one != found.plain else None
    if not curve:
        return f"{first}."
    gap = curve.interval
    return (
        f"{first}; {table.titles[one]} less {table.titles[found.plain]}: {gap.value:+.3f} "
        f"({gap.low:+.3f} to {gap.high:+.3f})."
    )
