"""A Prefect server's REST API, called without importing Prefect."""

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from flows import serving
from flows.redact import redact_address


@dataclass(frozen=True)
class Server:
    """A Prefect server: its API, and the `user:password` or the key where it asks for one."""

    api: str
    password: str = ""
    ours: bool = False
    key: str = ""

    def call(self, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Any:
        """What the route ``path`` answers to a GET, or to a POST of ``body``.

        Raises:
            urllib.error.HTTPError: it refuses.
            OSError: it does not answer.
            ValueError: what answers is no Prefect server, or the address is none.
        """
        parts = urlsplit(self.api)
        password = self.password
        if "@" in parts.netloc:
            user, _, netloc = parts.netloc.rpartition("@")
            password, parts = password or unquote(user), parts._replace(netloc=netloc)
        request = urllib.request.Request(f"{urlunsplit(parts).rstrip('/')}{path}", headers=headers or {})  # noqa: S310
        if request.type not in ("http", "https"):
            raise ValueError(f"not a server address: {redact_address(self.api)}")
        if password:
            request.add_header("Authorization", f"Basic {base64.b64encode(password.encode()).decode()}")
        elif self.key:
            request.add_header("Authorization", f"Bearer {self.key}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        # no proxy of the environment shall see a call to this machine
        proxies = urllib.request.ProxyHandler({} if serving.is_loopback(parts.hostname or "") else None)
        try:
            with urllib.request.build_opener(proxies).open(request, timeout=5) as reply:
                answer = reply.read()
        except urllib.error.HTTPError as error:
            error.close()
            raise
        return json.loads(answer) if answer else None
