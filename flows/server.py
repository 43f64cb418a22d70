"""The Prefect server that a run is recorded by: the configured one, the one of this project, or one we start."""

import fcntl
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psutil

from flows import serving
from flows.project import RECORDS
from flows.redact import redact_address
from flows.rest import Server
from tasks.core.errors import DeepmineError
from tasks.core.files import read_json, write_json

NOTE, LOG, LOCK = RECORDS / "server.json", RECORDS / "server.log", RECORDS / "server.lock"
#: The Prefect variable by which a server says whose it is; it ends in a name of the project.
VARIABLE = "deepmine_project_"


def configured() -> Server | None:
    """The server that the environment or a Prefect profile names."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY, PREFECT_API_URL

    api = os.environ.get("PREFECT_API_URL", PREFECT_API_URL.value())
    return Server(api, PREFECT_API_AUTH_STRING.value() or "", key=PREFECT_API_KEY.value() or "") if api else None


def find() -> Server | None:
    """The server to record by, if it is up: the configured one, else that of this project.

    Raises:
        DeepmineError: one is configured and does not answer, or refuses us.
    """
    named, note = configured(), _note()
    if named is None or named.api.rstrip("/") == note.get("api"):
        return _running(note)
    try:
        named.call("/admin/version")
    except urllib.error.HTTPError as error:
        if error.code == 404:  # let in, but Prefect Cloud has no such route
            return named
        raise DeepmineError(
            f"the configured Prefect server {redact_address(named.api)} refused the connection ({error.code} {error.reason}). "
            "Set its password, PREFECT_API_AUTH_STRING=USER:PASSWORD, or key, PREFECT_API_KEY. Or run without one: "
            "deepmine run --no-server"
        ) from None
    except (OSError, ValueError):
        raise DeepmineError(
            f"the configured Prefect server {redact_address(named.api)} does not answer. Start it, or unset "
            "PREFECT_API_URL (prefect config unset PREFECT_API_URL) to use a local one, or run without one: "
            "deepmine run --no-server"
        ) from None
    return named


def obtain(say: Any) -> Server:
    """`find` a server, or start one; two runs that begin together start one.

    Args:
        say: called with a line for the person before one is started.
    """
    usual_port()  # before Prefect reads it, too
    with _alone():
        found = find()
        if found is None:
            say("starting a Prefect server (stop it with: deepmine stop)")
            found = start()
        return found


def usual_port() -> int:
    """The port to serve on if it is free: Prefect's own setting, where a person has moved the server.

    Raises:
        DeepmineError: it is no port.
    """
    text = os.environ.get("PREFECT_SERVER_API_PORT", "4200")
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 1 << 16:
        raise DeepmineError(
            f"PREFECT_SERVER_API_PORT={text!r} is not a port: set a number from 1 to 65535, or unset it."
        )
    return int(text)


def start(timeout: float = 180.0) -> Server:
    """Start a server that outlives this process, and wait until it answers.

    Raises:
        DeepmineError: it ended or did not answer in time; names its log.
    """
    address = serving.host()
    # the port of last time, if it is free: browsers and workers know it
    port = serving.free_port(address, *filter(None, [_note().get("port"), usual_port()]))
    made = Server(serving.api_url(address, port), serving.make_password(), ours=True)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", address, "--port", str(port)]
    LOG.unlink(missing_ok=True)
    with open(os.open(LOG, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as log:
        child = subprocess.Popen(
            command, env=serving.environment(address, port, made.password), stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, start_new_session=True, umask=0o077,  # its database holds the logs of every run
        )  # fmt: skip
    note = {"api": made.api, "port": port, "project": str(Path.cwd().resolve()), "pid": child.pid,
            "created": psutil.Process(child.pid).create_time()}  # fmt: skip
    try:
        write_json(NOTE, note)
    except OSError:  # a server that nothing names would run on for ever
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise
    deadline = time.monotonic() + timeout
    while not _claimed(made, note):
        if child.poll() is not None or time.monotonic() > deadline:
            stop()
            raise DeepmineError(
                f"the Prefect server did not start; see {LOG}. To run without one: deepmine run --no-server"
            )
        time.sleep(0.2)
    return made


def stop() -> bool:
    """End the server that `start` started; false if there is none."""
    note = _note()
    process = _process(note)
    if note:  # the port stays known, for the next one
        write_json(NOTE, {k: v for k, v in note.items() if k not in ("pid", "created")})
    if process is None:
        return False
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(15)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False
    except psutil.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    return True


def exports(server: Server) -> str:
    """Lines for a shell, by which Prefect's own commands reach ``server`` and name what is this project's."""
    lines = [f"export DEEPMINE_PROJECT={serving.project_name()}"]
    if server.ours:
        # the shell reads the password from its file: it stands neither here nor in a history
        lines += [f"export PREFECT_API_URL={server.api}",
                  f'export PREFECT_API_AUTH_STRING="$(cat {shlex.quote(str(serving.PASSWORD.resolve()))})"']  # fmt: skip
    return "\n".join(lines)


def run_url(api: str, run: Any) -> str:
    """Where a person looks at a flow run."""
    from prefect.settings import PREFECT_UI_URL

    pages = (PREFECT_UI_URL.value() or api.rstrip("/").removesuffix("/api")).rstrip("/")
    return f"{_without_user(pages)}/runs/flow-run/{run}"


def login_url(page: str) -> str:
    """Where a person who is not logged in reaches a ``page`` of ours: the page itself says only that it is not found."""
    parts = urlsplit(page)
    return f"{parts.scheme}://{parts.netloc}/login?redirect={parts.path}"


def _running(note: dict[str, Any]) -> Server | None:
    """This project's own server if it is up.

    The password is shown only to the process that we started; and what answers must know this project.
    """
    if not _listens(note):
        return None
    server = Server(note["api"], serving.read_password(), ours=True)
    try:
        known = server.call(f"/variables/name/{_variable()}")["value"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return server if known == note["project"] else None


def _claimed(server: Server, note: dict[str, Any]) -> bool:
    """Tell a server that has just come up whose it is; false while it does not answer."""
    if not _listens(note):
        return False
    try:
        if _running(note) is None:
            client = str(uuid4())
            token = server.call(f"/csrf-token?client={client}")["token"]
            headers = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": client}
            server.call("/variables/", {"name": _variable(), "value": note["project"]}, headers)
    except (OSError, ValueError, TypeError, KeyError):
        return False
    return _running(note) is not None


def _variable() -> str:
    return VARIABLE + serving.project_name().rpartition("-")[2]


def _process(note: dict[str, Any]) -> psutil.Process | None:
    """The process that we noted, if it lives and was started for the project in this folder, not for one copied from."""
    try:
        process = psutil.Process(note["pid"])
        # a number may belong to somebody else by now
        mine = process.create_time() == note["created"] and note["project"] == str(Path.cwd().resolve())
    except (KeyError, TypeError, ValueError, psutil.Error):
        return None
    return process if mine else None


def _listens(note: dict[str, Any]) -> bool:
    """Whether it is the process that we started that answers on its port."""
    process = _process(note)
    try:
        sockets = process.net_connections("tcp") if process is not None else []
    except psutil.Error:
        return False
    return any(s.status == psutil.CONN_LISTEN and s.laddr.port == note.get("port") for s in sockets)


def _note() -> dict[str, Any]:
    try:
        return read_json(NOTE)
    except DeepmineError:
        return {}


@contextmanager
def _alone() -> Iterator[None]:
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _without_user(address: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
