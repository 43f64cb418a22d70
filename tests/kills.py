"""Kills at random moments: `python -m tests.kills FOLDER COUNT SEED [served]` prints what came of them.

One project is brought up to date again and again, through all doors; each attempt is killed at a random moment of the
stage that runs (or of what comes before and after it), and the next attempt goes on from there. When one comes to its
end, everything must be as after a run that nobody disturbed.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.flows.conftest import make_images, new_project

TINY = {
    "ingest": {"shard_rows": 16},
    "train": {"epochs": 4, "batch": 16, "encoders": {"image": {"name": "vgg", "channels": [4, 4]}}},
    "extract": {"components": 4, "batch": 16},
    "evaluate": {"resamples": 100},
    "report": {"map_points": 12},
}
STAGES = ("ingest", "validate", "clean", "train", "extract", "mine", "crossvalidate", "evaluate", "report")
WAYS = ("group", "parent", "stage", "dvc", "SIGTERM", "SIGINT")
#: A temporary file of any kind: of ours, of DVC's.
REST = re.compile(r"\..+\.\d+(\.\d+)?|.*\.[\w-]{22}\.tmp")
#: What `dvc repro` says of a file that a killed dvc wrote by half.
HALVED = re.compile(r"RWLock-file|dvc\.lock' (validation failed|is invalid)|dvc\.lock.*corrupted")
#: So long may an end take, or an orphan live, seconds; the machine may be busy.
PATIENCE = 10.0


class Storm:
    """Attempts on one project, and the count of all that went wrong."""

    def __init__(self, folder: Path, seed: int, served: bool = False) -> None:
        self.rng, self.served = random.Random(seed), served
        self.project = new_project(folder / "project", make_images(folder / "images", classes=2, each=24, side=8))
        self.project.edit(lambda data: data["datasets"]["small"].update(TINY))
        self.project.env["OMP_NUM_THREADS"] = "1"
        self.project.run("deepmine", "run", "--no-server", timeout=1200)
        self.expected = self.project.results()
        # what a stage's process took: the moments of the kills are drawn from it
        self.lasts = {s: self._seconds(s) + 3.0 for s in ("plan", *STAGES)}
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.slowest = {"SIGTERM": 0.0, "SIGINT": 0.0, "orphans": 0.0}

    def _seconds(self, stage: str) -> float:
        return float(json.loads((self.project.path / f"data/records/small/{stage}.json").read_text())["seconds"])

    def clear(self) -> None:
        """As if nothing had ever run."""
        if self.served:
            self.project.run("deepmine", "stop", code=None)
        for path in (self.project.path / "data").iterdir():
            if path.name != ".gitignore":
                shutil.rmtree(path)
        shutil.rmtree(self.project.path / ".dvc/cache")
        shutil.rmtree(self.project.path / ".dvc/tmp")
        (self.project.path / "dvc.lock").unlink(missing_ok=True)

    def attempt(self, door: str, way: str) -> bool:
        """Start, kill, look for what is left; whether it came to its end before it was killed."""
        command = {
            "run": ["deepmine", "run", "--no-server"], "served": ["deepmine", "run"], "repro": ["dvc", "repro"],
            "single": ["dvc", "repro", "--single-item", f"{self.next_stage()}@small"],
        }[door]  # fmt: skip
        with (self.project.path / "output.txt").open("w") as out:
            child = psutil.Popen(
                command, cwd=self.project.path, env=self.project.env, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                start_new_session=True,
                # what started this in the background may have it ignored
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip
        where = self.moment(child)
        killed = child.poll() is None and self.kill(child, way, where)
        began = time.monotonic()
        # a run whose stage was killed ends by itself, in its own time
        limit = PATIENCE if way in ("SIGTERM", "SIGINT", "group", "parent") and killed else 300.0
        try:
            code = child.wait(limit)
        except psutil.TimeoutExpired:
            self.fault(f"{door} {way} at {where}: still there after {limit:.0f} s")
            child.kill()
            code = child.wait()
        took = time.monotonic() - began
        if killed:
            self.counts.update(["kills", f"door {door}", f"way {way}", f"at {where}"])
            if way in self.slowest:
                self.slowest[way] = max(self.slowest[way], took)
                # Python's own end takes no signal of ours any more
                wanted = {"SIGTERM": (143, -15), "SIGINT": (130, -2)}[way][: 1 + where.startswith("after")]
                if door in ("run", "served") and code not in wanted and "before" not in where:
                    self.fault(f"{door} {way} at {where}: exit code {code}")
        elif code:
            self.blocked(door, code)
        self.orphans(f"{door} {way} at {where}")
        return not killed and code == 0 and door != "single"

    def moment(self, child: psutil.Popen) -> str:
        """Wait until the moment of the kill; where that is."""
        kind = self.rng.choices(["before", "stage", "after"], [1, 7, 1.5])[0]
        if kind == "before":
            self.sleep(child, self.rng.uniform(0.0, 4.0))
            return "before the stage"
        passing = self.rng.random() < 0.1  # the plan, which comes first at each attempt
        while child.poll() is None:
            if (stage := self.stage_of(child)) and (stage != "plan" or passing):
                if kind == "after":
                    while child.poll() is None and self.stage_of(child) == stage:
                        time.sleep(0.02)
                    self.sleep(child, self.rng.uniform(0.0, 2.0))
                    return f"after {stage}"
                self.sleep(child, self.rng.uniform(0.0, 1.3 * self.lasts[stage]))
                return self.stage_of(child) or f"after {stage}"
            time.sleep(0.05)
        return "the end"

    def sleep(self, child: psutil.Popen, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and child.poll() is None:
            time.sleep(0.02)

    @staticmethod
    def processes(child: psutil.Popen) -> list[tuple[psutil.Process, list[str]]]:
        found = []
        try:
            for process in child.children(recursive=True):
                try:
                    found.append((process, process.cmdline()))
                except psutil.Error:
                    continue
        except psutil.Error:
            pass
        return found

    def stage_of(self, child: psutil.Popen) -> str | None:
        for _, words in self.processes(child):
            if len(words) > 3 and words[-3] == "stage" and words[-4].endswith("deepmine"):
                return words[-2]
        return None

    def kill(self, child: psutil.Popen, way: str, where: str) -> bool:
        """Kill; false where there was nothing to kill any more."""
        try:
            if way == "group":
                others = [p for p, _ in self.processes(child)]  # the stage's dvc is in a session of its own
                os.killpg(child.pid, signal.SIGKILL)
                if self.rng.random() < 0.5:  # all at once, as by the machine; else the watchdog must end the rest
                    for process in others:
                        with suppress(psutil.NoSuchProcess):
                            process.kill()
            elif way == "parent":
                child.kill()
            elif way == "SIGTERM":
                child.terminate()
            elif way == "SIGINT":
                os.killpg(child.pid, signal.SIGINT)
            else:
                mark = "stage" if way == "stage" else "dvc"
                inner = [
                    p for p, words in self.processes(child) if mark in words and (mark == "dvc" or "small" in words)
                ]
                if not inner:
                    child.kill()
                for process in inner[-1:]:
                    process.kill()
        except (psutil.NoSuchProcess, ProcessLookupError):
            return False
        return True

    def orphans(self, what: str) -> None:
        """Wait until nothing of the project is alive."""
        began = time.monotonic()
        while left := self.alive():
            if time.monotonic() - began > PATIENCE:
                self.fault(f"{what}: orphans {left}")
                for pid in left:
                    psutil.Process(pid).kill()
                break
            time.sleep(0.1)
        self.slowest["orphans"] = max(self.slowest["orphans"], time.monotonic() - began)

    def alive(self) -> dict[int, str]:
        found = {}
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(self.project.path) and process.status() != psutil.STATUS_ZOMBIE:
                    words = " ".join(process.cmdline())
                    if "prefect server" not in words and "uvicorn" not in words:
                        found[process.pid] = words[:120]
            except psutil.Error:
                continue
        return found

    def blocked(self, door: str, code: int) -> None:
        output = (self.project.path / "output.txt").read_text()
        if door in ("repro", "single") and HALVED.search(output):
            # DVC writes these two in place, and its own command comes before any of ours
            self.counts["halved by DVC, mended by status"] += 1
            self.project.run("deepmine", "status", timeout=600)
            output = self.project.run("dvc", "status", code=None, timeout=600)
            if HALVED.search(output):
                self.fault(f"status did not mend: {output[-800:]}")
            return
        self.fault(f"{door} ended with {code} though nobody killed it: {output[-1500:]}")
        if "Traceback" in output:
            self.fault(f"{door}: traceback")

    def fault(self, text: str) -> None:
        self.faults.append(text)
        print("FAULT", text, flush=True)

    def next_stage(self) -> str:
        """The first stage that has not run since the last one finished, as far as its record tells."""
        for stage in STAGES:
            if f"{stage}@small" not in self.lockfile():
                return stage
        return STAGES[-1]

    def lockfile(self) -> str:
        path = self.project.path / "dvc.lock"
        return path.read_text(errors="replace") if path.is_file() else ""

    def check(self) -> None:
        """Equal bits, and nothing left; the last door was one of ours or is asked once more."""
        self.counts["completed"] += 1
        got = self.project.results()
        unequal = sorted(k for k in self.expected.keys() | got.keys() if self.expected.get(k) != got.get(k))
        if unequal:
            self.fault(f"unequal: {unequal}")
        output = self.project.run("deepmine", "run", "--no-server", timeout=600)
        if output.count("Cached") != 10:
            self.fault(f"not up to date after its end: {output[-1500:]}")
        rest = [str(p) for p in self.project.path.rglob("*") if REST.fullmatch(p.name) and ".git" not in p.parts]
        if rest:
            self.fault(f"left behind: {rest}")

    def blow(self, count: int, log: Path | None = None) -> dict[str, Any]:
        """Attempts until ``count`` kills are done and the last one has been made good."""
        self.clear()
        while self.counts["kills"] < count:
            doors = ["run", "repro", "single"] + ["served"] * self.served
            door = self.rng.choices(doors, [3, 2, 4] + [2] * self.served)[0]
            if door == "single" and "plan@small" not in self.lockfile():
                door = "repro"
            if self.attempt(door, self.rng.choice(WAYS)):
                self.check()
                self.clear()
            if log:
                log.write_text(json.dumps(self.report(), indent=1))
        self.project.run("deepmine", "run", "--no-server", timeout=1200)
        self.check()
        return self.report()

    def report(self) -> dict[str, Any]:
        return {"counts": dict(sorted(self.counts.items())), "slowest": self.slowest, "faults": self.faults}


def storm(folder: Path, count: int, seed: int, served: bool = False, log: Path | None = None) -> dict[str, Any]:
    """``count`` kills on a fresh project in ``folder``; what came of them. ``served``: through a Prefect server too."""
    made = Storm(folder, seed, served)
    try:
        return made.blow(count, log)
    finally:
        if served:
            made.project.run("deepmine", "stop", code=None)


if __name__ == "__main__":
    where, number, start = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    where.mkdir(parents=True, exist_ok=True)
    print(json.dumps(storm(where, number, start, "served" in sys.argv, where / "report.json"), indent=1))
