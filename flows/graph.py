"""DVC's own graph of stages; the only file that touches `Repo.index`, which is no documented interface."""

import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flows import healing, lock
from flows.project import STAGES, warn
from tasks.core.errors import DeepmineError

#: How long another dvc command may keep the project busy before we give up, seconds.
PATIENCE = 60.0


@dataclass(frozen=True)
class Node:
    """A stage of one dataset, say `train@mnist`, and the stages whose outputs it reads.

    Attributes:
        wrong: what is wrong with the dataset's entry in params.yaml; such a stage is not handed to DVC.
    """

    name: str
    upstream: tuple[str, ...] = ()
    wrong: str = ""

    @property
    def stage(self) -> str:
        """`train` of `train@mnist`."""
        return self.name.partition("@")[0]

    @property
    def dataset(self) -> str:
        """`mnist` of `train@mnist`."""
        return self.name.partition("@")[2]


class Graph:
    """The stages of the project in the working directory."""

    def __init__(self) -> None:
        # DVC asks this before it would phone home; set here for every door that comes through us
        os.environ["DVC_NO_ANALYTICS"] = "1"
        from dvc.exceptions import DvcException

        # its progress bars would run through ours in a terminal; errors come to us as exceptions
        logging.getLogger("dvc").setLevel(logging.CRITICAL)
        self._stale = False
        with lock.if_free() as free:
            for text in healing.heal() if free else []:
                warn(text)
            try:
                self._read()
            except DvcException as error:
                done = healing.set_aside_lockfile() if free else None
                if done is None:
                    raise DeepmineError(f"DVC cannot read the project: {error}") from None
                warn(done)
                self._read()

    def _read(self) -> None:
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        if healing.nested_too_deeply():
            raise DvcException(f"{healing.LOCKFILE} is nested too deeply")
        self.repo = Repo(".")
        self._stages = {s.addressing: s for s in self.repo.index.stages}
        _ = self.repo.index.graph  # built here, as it is what refuses outputs that overlap

    def order(self, datasets: Iterable[str]) -> list[Node]:
        """The stages of ``datasets``, each after those that it depends on."""
        import networkx as nx

        graph: Any = self.repo.index.graph  # edge u -> v: u depends on v
        wanted = set(datasets)
        position = {stage: i for i, stage in enumerate(STAGES)}

        def rank(stage: Any) -> tuple[int, str]:
            head, _, tail = stage.addressing.partition("@")
            return position.get(head, len(position)), tail

        ordered = nx.lexicographical_topological_sort(graph.reverse(copy=True), key=rank)
        return [
            Node(s.addressing, tuple(sorted(u.addressing for u in graph.successors(s))))
            for s in ordered
            if s.addressing.partition("@")[2] in wanted
        ]

    def forget(self) -> None:
        """A stage has run, so that what DVC has recorded is to be read anew; it takes a while with many datasets."""
        self._stale = True

    def changes(self, name: str) -> list[str]:
        """Why a stage is not up to date, a phrase each; empty if it is. Outputs are read afresh at each call.

        It takes none of DVC's locks, so that it answers while another dvc command is at work.
        """
        if self._stale:
            self.repo._reset()
            self._stages = {s.addressing: s for s in self.repo.index.stages}
            self._stale = False
        stage = self._stages[name]
        # below DVC's decorator, which locks what the stage reads and makes
        status = type(stage).status.__wrapped__(stage, check_updates=True)
        if status and not any(out.hash_info for out in stage.outs):
            return ["has not run yet"]
        return _phrases(status.get(name, []))

    def always(self, name: str) -> bool:
        """Whether the stage runs each time whatever its inputs."""
        return bool(self._stages[name].always_changed)


def _phrases(status: list[Any]) -> list[str]:
    found = []
    for entry in status:
        if isinstance(entry, str):
            found.append(
                {"always changed": "runs each time", "changed command": "its command changed"}.get(entry, entry)
            )
            continue
        for kind, items in entry.items():
            for path, change in items.items():
                if isinstance(change, dict):  # parameters: {"modified": key or {key: ...}}
                    keys = [k for v in change.values() for k in (v if isinstance(v, dict | list) else [v])]
                    found += [f"{_short(str(k))} of the plan changed" for k in keys] or [f"{path} changed"]
                elif kind == "changed outs":
                    found.append(f"{path} is {'missing' if change == 'deleted' else change}")
                else:
                    found.append(f"{path} {_verb(str(change))}")
    return list(dict.fromkeys(found))


def _verb(change: str) -> str:
    return {"modified": "changed", "new": "is new", "deleted": "is missing"}.get(change, change)


def _short(key: str) -> str:
    return re.sub(r"\.params$", "", key)
