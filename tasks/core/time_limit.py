"""A limit of time for what a person's text may make slow: regular expressions that try exponentially many ways."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tasks.core.errors import DeepmineError


class _Over(BaseException):
    """Not an `Exception`, so that no library takes it for a failed check and goes on."""


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Stop the work inside after ``seconds``, also within a regular expression. Works in the main thread alone, where
    every stage and command runs; elsewhere there is no limit.

    Raises:
        DeepmineError: it took longer; ``what`` begins the sentence.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(number: int, frame: FrameType | None) -> None:
        raise _Over

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _Over:
        raise DeepmineError(
            f"{what} takes more than {seconds:,.4g} s, so it was stopped. Repeats inside repeats, like (a+)+, try "
            "exponentially many ways: write it without."
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
