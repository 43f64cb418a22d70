"""How the Prefect server of this project is started: on loopback, with a password, for its own pages alone."""

import hashlib
import ipaddress
import os
import platform
import re
import secrets
import socket
from pathlib import Path

from flows.project import RECORDS
from tasks.core.errors import DeepmineError

PASSWORD = RECORDS / "server.auth"
#: Relative to the project, where the server is started, so that no letter of the project's path can break the address.
DATABASE = f"sqlite+aiosqlite:///{RECORDS}/prefect.db"
#: Telemetry off, and nothing on the machine but this run decides it.
QUIET = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}


def project_name(root: Path | None = None) -> str:
    """A name for the clone at ``root`` (default: here) that no other clone has: its folder, and a hash of machine and path."""
    path = (root or Path.cwd()).resolve()
    folder = re.sub(r"[^a-z0-9]+", "-", path.name.lower()).strip("-") or "project"
    return f"{folder[:40]}-{hashlib.sha256(f'{platform.node()}:{path}'.encode()).hexdigest()[:8]}"


def host() -> str:
    """The address to serve on: `PREFECT_SERVER_API_HOST`, usually 127.0.0.1.

    Raises:
        DeepmineError: it can be reached from other machines, and nobody set a password.
    """
    from prefect.settings import PREFECT_SERVER_API_AUTH_STRING, PREFECT_SERVER_API_HOST

    name = PREFECT_SERVER_API_HOST.value()
    if not is_loopback(name) and not PREFECT_SERVER_API_AUTH_STRING.value():
        raise DeepmineError(
            f"PREFECT_SERVER_API_HOST={name} would open the Prefect server to other machines, and whoever reaches it can "
            "run code here. Unset it, or set a password too: PREFECT_SERVER_API_AUTH_STRING=USER:PASSWORD"
        )
    return str(name)


def is_loopback(name: str) -> bool:
    """Whether only this machine reaches ``name``."""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def free_port(address: str, *preferred: int) -> int:
    """The first of the ``preferred`` ports that nothing listens on, else any.

    Raises:
        DeepmineError: this machine has no such address.
    """
    for port in (*preferred, 0):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DeepmineError(f"no Prefect server can be started on {address}: it is not an address of this machine.")


def environment(address: str, port: int, password: str) -> dict[str, str]:
    """The variables of a server on ``address`` and ``port``.

    Only its own pages may call it from a browser, and they too must bring a token (CSRF); every call needs the
    password, which stands in no command line, as every user of the machine sees those.
    """
    from prefect.settings import PREFECT_HOME, get_current_settings

    api = api_url(address, port)
    guards = {
        "CORS_ALLOWED_ORIGINS": api.removesuffix("/api"), "CSRF_PROTECTION_ENABLED": "true", "AUTH_STRING": password,
    }  # fmt: skip
    made = {k: v for k, v in os.environ.items() if k != "PREFECT_SERVER_API_BASE_PATH"} | QUIET
    for key, value in guards.items():
        # Prefect takes both names, and the environment of the person may hold the one that it looks for first
        made |= {f"PREFECT_SERVER_API_{key}": value, f"PREFECT_SERVER_{key}": value}
    made |= {
        "PREFECT_SERVER_API_HOST": address, "PREFECT_SERVER_API_PORT": str(port), "PREFECT_API_URL": api,
        "PREFECT_API_AUTH_STRING": password,
    }  # fmt: skip
    if "PREFECT_UI_API_URL" not in made:
        # of the page's own origin, by whatever name (localhost, 127.0.0.1) the person opened it
        made.setdefault("PREFECT_SERVER_UI_API_URL", "/api")
    database = get_current_settings().server.database.connection_url
    usual = f"sqlite+aiosqlite:///{PREFECT_HOME.value()}/prefect.db"
    if database is None or database.get_secret_value() == usual:
        # two servers on one SQLite file lock each other out; a database that a person chose stays
        made["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = DATABASE
    return made


def api_url(address: str, port: int) -> str:
    """The API as this machine calls it."""
    seen = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 (all addresses: any will do)
    return f"http://{f'[{seen}]' if ':' in seen else seen}:{port}/api"


def make_password() -> str:
    """The password of this project's server, kept in a file that only this user can read.

    A person's own (`PREFECT_SERVER_API_AUTH_STRING`) goes before; one made earlier stays, so that workers and
    browsers that know it still do.
    """
    from prefect.settings import PREFECT_SERVER_API_AUTH_STRING

    chosen = PREFECT_SERVER_API_AUTH_STRING.value() or read_password() or f"deepmine:{secrets.token_urlsafe(24)}"
    PASSWORD.parent.mkdir(parents=True, exist_ok=True)
    PASSWORD.unlink(missing_ok=True)
    with open(os.open(PASSWORD, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{chosen}\n")
    return str(chosen)


def read_password() -> str:
    """The password on disk, empty if there is none.

    Raises:
        DeepmineError: it is another user's.
    """
    try:
        return PASSWORD.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    except PermissionError:
        raise DeepmineError(
            f"{PASSWORD}: another user has started a Prefect server for this project, and its password is theirs. "
            "Ask them for it, or run without a server: deepmine run --no-server"
        ) from None
