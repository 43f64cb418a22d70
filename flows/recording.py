"""What may fail of a run: telling the Prefect server of it. A server that dies, hangs or refuses stops only that."""

import logging
import queue
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

import httpx
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from flows.redact import redact_address

#: How long one call to the server may take before the run goes on without a record, seconds.
PATIENCE = 10.0
#: Answers of a server that is not what it was: another one on its port (refused, unknown), or one in trouble.
REFUSED = (401, 403, 404)
Result = TypeVar("Result")


class Reporting:
    """Calls to the server, each with a time limit; after the first that fails there are no more.

    Args:
        api: the server's address.
        say: told once, in words, that the server is gone.
        patience: seconds that a call may take.
    """

    def __init__(self, api: str, say: Callable[[str], None], patience: float = PATIENCE) -> None:
        self.api, self.say, self.patience = api, say, patience
        self.stage = "the start"
        #: The stage during which the server went away; None while it is there.
        self.lost: str | None = None

    def __call__(self, call: Callable[[], Result]) -> Result | None:
        """What ``call`` returns, or None when the server is gone; its other exceptions are raised."""
        if self.lost is not None:
            return None
        # in a thread: neither the client's retries nor a server that accepts and never answers may hold up the work
        done: queue.SimpleQueue[tuple[Result | None, BaseException | None]] = queue.SimpleQueue()
        threading.Thread(target=copy_context().run, args=(_put, call, done), daemon=True).start()
        try:
            value, error = done.get(timeout=self.patience)
        except queue.Empty:
            value, error = None, TimeoutError(f"no answer in {self.patience:.0f} s")
        if error is None:
            return value
        if not _gone(error):
            raise error
        self.give_up()
        return None

    def give_up(self) -> None:
        """Say, the first time, that the run goes on without a record."""
        if self.lost is not None:
            return
        self.lost = self.stage
        logging.raiseExceptions = False  # else each line of the log that cannot be sent becomes a traceback
        self.say(
            f"the Prefect server {redact_address(self.api)} does not answer any more (since {self.lost}). The run goes "
            "on, but is no longer recorded there."
        )


def _gone(error: BaseException) -> bool:
    if isinstance(error, PrefectHTTPStatusError):
        status = error.response.status_code
        return status in REFUSED or status >= 500
    return isinstance(error, OSError | httpx.TransportError | ObjectNotFound)  # TimeoutError is an OSError


def _put(call: Callable[[], Any], done: "queue.SimpleQueue[Any]") -> None:
    try:
        done.put((call(), None))
    except BaseException as error:  # noqa: BLE001 (it is raised where it is waited for)
        done.put((None, error))
