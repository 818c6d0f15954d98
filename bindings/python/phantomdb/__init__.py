"""A connection pool and client for PhantomDB, on libphantomdb.

``phantomdb.pool`` is for threads, ``phantomdb.aio`` for asyncio.
"""

from __future__ import annotations

from typing import Any

from . import _native
from .client import PhantomDB, connect
from .errors import (
    BusyError,
    CancelledError,
    ClosedError,
    ConnectionLostError,
    HTTPError,
    InvalidArgumentError,
    InvalidHandleError,
    InvalidStateError,
    OutOfMemoryError,
    OverloadedError,
    PanicError,
    PhantomDBError,
    ProtocolError,
    TimeoutError,  # noqa: A004
    TLSError,
    TooLargeError,
    TypeError,  # noqa: A004
    UnauthorizedError,
    UnavailableError,
    WouldBlockError,
    WouldDeadlockError,
)
from .pool import PhantomDBConnectionPool, create_pool

__all__ = [
    "BusyError",
    "CancelledError",
    "ClosedError",
    "ConnectionLostError",
    "HTTPError",
    "InvalidArgumentError",
    "InvalidHandleError",
    "InvalidStateError",
    "OutOfMemoryError",
    "OverloadedError",
    "PanicError",
    "PhantomDB",
    "PhantomDBConnectionPool",
    "PhantomDBError",
    "ProtocolError",
    "TLSError",
    "TimeoutError",
    "TooLargeError",
    "TypeError",
    "UnauthorizedError",
    "UnavailableError",
    "WouldBlockError",
    "WouldDeadlockError",
    "connect",
    "create_pool",
    "default_options",
]

__version__ = _native.version


def default_options() -> dict[str, Any]:
    """Tell what each option of a pool is if it is not given; times are in seconds."""
    return _native.default_options()
