"""The Prefect server that a run is recorded by: the configured one, one that is up here, or one we start."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import Any

import psutil

from flows.project import RECORDS
from tasks.errors import DeepmineError
from tasks.files import read_json, write_json

NOTE, LOG = RECORDS / "server.json", RECORDS / "server.log"
#: Prefect's own setting, where a person has moved the server.
PORT = int(os.environ.get("PREFECT_SERVER_API_PORT", "4200"))
#: Telemetry off, and nothing on the machine but this run decides it.
QUIET = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}


def healthy(api: str) -> bool:
    """Whether a Prefect server answers at ``api`` (which ends in /api)."""
    try:
        with urllib.request.urlopen(f"{api.rstrip('/')}/health", timeout=2) as reply:  # noqa: S310 (http(s) only below)
            return bool(reply.status == 200 and reply.read().strip() == b"true")
    except (OSError, ValueError):
        return False


def configured() -> str | None:
    """The API that the environment or a Prefect profile names."""
    if "PREFECT_API_URL" in os.environ:
        return os.environ["PREFECT_API_URL"]
    from prefect.settings import PREFECT_API_URL

    return PREFECT_API_URL.value()


def find() -> str | None:
    """The API of a healthy server: the configured one, else the one we started, else the usual port here.

    Raises:
        DeepmineError: one is configured and does not answer.
    """
    named = configured()
    if named:
        if not healthy(named):
            raise DeepmineError(
                f"the configured Prefect server {named} does not answer. Start it, or unset PREFECT_API_URL "
                "(prefect config unset PREFECT_API_URL) to use a local one."
            )
        return named
    ours = _note().get("api")
    for api in filter(None, (ours, _api(PORT))):
        if healthy(api):
            return str(api)
    return None


def start(timeout: float = 90.0) -> str:
    """Start a server on loopback that outlives this process, and wait until it answers; its API.

    Raises:
        DeepmineError: it ended or did not answer in time; names its log.
    """
    port = _free_port()
    RECORDS.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ, **QUIET, "PREFECT_SERVER_API_HOST": "127.0.0.1", "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_UI_API_URL": _api(port), "PREFECT_API_URL": _api(port),
    }  # fmt: skip
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with LOG.open("wb") as log:
        child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    note = {"api": _api(port), "pid": child.pid, "created": psutil.Process(child.pid).create_time()}
    write_json(NOTE, note)
    deadline = time.monotonic() + timeout
    while not healthy(_api(port)):
        if child.poll() is not None or time.monotonic() > deadline:
            stop()
            raise DeepmineError(
                f"the Prefect server did not start; see {LOG}. To run without one: deepmine run --no-server"
            )
        time.sleep(0.2)
    return _api(port)


def stop() -> bool:
    """End the server that `start` started; false if there is none."""
    note = _note()
    NOTE.unlink(missing_ok=True)
    try:
        process = psutil.Process(note["pid"])
        if process.create_time() != note["created"]:
            return False  # the number now belongs to somebody else
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(15)
    except (KeyError, psutil.NoSuchProcess, ProcessLookupError):
        return False
    except psutil.TimeoutExpired:
        os.killpg(note["pid"], signal.SIGKILL)
    return True


def run_url(api: str, run: Any) -> str:
    """Where a person looks at a flow run."""
    from prefect.settings import PREFECT_UI_URL

    return f"{(PREFECT_UI_URL.value() or api.rstrip('/').removesuffix('/api')).rstrip('/')}/runs/flow-run/{run}"


def _note() -> dict[str, Any]:
    try:
        return read_json(NOTE)
    except DeepmineError:
        return {}


def _api(port: int) -> str:
    return f"http://127.0.0.1:{port}/api"


def _free_port() -> int:
    for port in (PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DeepmineError("no free port for a Prefect server")
