"""`flows.child`: a child process never outlives the run, whenever the run is stopped."""

import signal
import subprocess

import psutil
import pytest

from flows import child


def test_a_run_stopped_while_a_child_starts_ends_that_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen on a busy machine: Ctrl-C came after the fork and before the child had a name; `dvc repro` went on."""
    started = []

    class Interrupted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(["sleep", "60"], start_new_session=True)
            started.append(psutil.Process(self.pid))
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        child.repro("plan@small", False, lambda line: None, lambda: True)
    assert not any(process.is_running() for process in started)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
