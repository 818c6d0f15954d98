"""What can go wrong: PhantomDBError, and a class of it for each code of the library."""

from __future__ import annotations

import builtins
from typing import ClassVar

from . import _native


class PhantomDBError(Exception):
    """A call failed; the text says what was tried, on what, and why it failed."""

    #: The code of which the class is.
    CODE: ClassVar[str | None] = None

    #: The library's name for what is wrong: "TIMEOUT", "CLOSED", "HTTP" and so on.
    code: str | None
    #: The HTTP status of the response; None if there was none.
    status: int | None
    #: Whether the same call may succeed later, and is safe to repeat. After a write that may have
    #: been carried out it is False, and the message says that this is not known.
    retriable: bool
    #: In how many seconds a new try makes sense; None if that is not known.
    retry_after: float | None

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        status: int | None = None,
        retriable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        """Take the text, and what else is known."""
        super().__init__(message)
        self.code = code or self.CODE
        self.status = status
        self.retriable = retriable
        self.retry_after = retry_after


class InvalidArgumentError(PhantomDBError, ValueError):
    """An argument or option makes no sense; the text begins with its name."""

    CODE = "INVALID_ARGUMENT"


class InvalidHandleError(PhantomDBError):
    """The client was released already, or belongs to another pool."""

    CODE = "INVALID_HANDLE"


class ClosedError(PhantomDBError):
    """The pool is closed. The text contains the word "closed"."""

    CODE = "CLOSED"


class TimeoutError(PhantomDBError, builtins.TimeoutError):  # noqa: A001
    """The time was over first. The text contains the word "Timeout"."""

    CODE = "TIMEOUT"


class WouldBlockError(PhantomDBError):
    """No connection is free at this moment, and the call does not wait."""

    CODE = "WOULD_BLOCK"


class OverloadedError(PhantomDBError):
    """Too many callers wait already (``max_waiters``)."""

    CODE = "OVERLOADED"


class UnavailableError(PhantomDBError, ConnectionError):
    """The server can't be reached. The text holds the root cause."""

    CODE = "UNAVAILABLE"


class CancelledError(PhantomDBError):
    """The request was interrupted."""

    CODE = "CANCELLED"


class BusyError(PhantomDBError):
    """The client is in use by another thread."""

    CODE = "BUSY"


class WouldDeadlockError(PhantomDBError):
    """The call would wait for itself, as in a pool's log callback."""

    CODE = "WOULD_DEADLOCK"


class InvalidStateError(PhantomDBError):
    """The client's state does not allow it: for example a commit outside a transaction."""

    CODE = "INVALID_STATE"


class HTTPError(PhantomDBError):
    """The server responded with an error; ``status`` says which."""

    CODE = "HTTP"


class UnauthorizedError(HTTPError):
    """The server refused the credentials (HTTP status 401 or 403)."""

    CODE = "UNAUTHORIZED"


class ProtocolError(PhantomDBError):
    """The server's response is not valid HTTP or not valid JSON."""

    CODE = "PROTOCOL"


class ConnectionLostError(PhantomDBError, ConnectionError):
    """The connection broke before the response was complete."""

    CODE = "CONNECTION_LOST"


class TooLargeError(PhantomDBError):
    """The server's response is larger than ``max_response_bytes``."""

    CODE = "TOO_LARGE"


class TLSError(PhantomDBError):
    """The TLS settings are wrong, or the server's certificate was refused."""

    CODE = "TLS"


class TypeError(PhantomDBError, builtins.TypeError):  # noqa: A001
    """A value of a response has another type, or lies outside its range."""

    CODE = "TYPE"


class PanicError(PhantomDBError):
    """A bug in the library, caught. The pool stays usable."""

    CODE = "PANIC"


class OutOfMemoryError(PhantomDBError, MemoryError):
    """There is not enough memory for the request, or for a response of the size allowed."""

    CODE = "OUT_OF_MEMORY"


_names = {number: name for number, name, _ in _native.codes}
_classes: dict[str | None, type[PhantomDBError]] = {}


def _make(
    number: int, message: str, status: int, retry_after_ms: int, retriable: bool
) -> PhantomDBError:
    """Make the exception that an error of the library becomes."""
    # A newer library may have codes that this package does not know.
    code = _names.get(number)
    return _classes.get(code, PhantomDBError)(
        message,
        code=code,
        status=status or None,
        retriable=retriable,
        retry_after=retry_after_ms / 1000 if retry_after_ms else None,
    )


# This may be another execution of the module: after a reload, or because it was forgotten and
# imported again. Its classes are those of the first one then, which is what the extension raises.
globals().update(
    _native.register_errors(
        {
            name: value
            for name, value in list(globals().items())
            if isinstance(value, type) and issubclass(value, PhantomDBError)
        },
        _make,
    )
)
_classes.update(
    (value.CODE, value)
    for value in list(globals().values())
    if isinstance(value, type) and issubclass(value, PhantomDBError)
)
