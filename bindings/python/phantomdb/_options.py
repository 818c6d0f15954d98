"""What the pools of phantomdb.pool and phantomdb.aio have in common."""

from __future__ import annotations

import atexit
import logging
import os
from typing import Any, Callable, ClassVar

from . import _native

#: The options that are attributes of a pool.
_SHOWN = {"base_url", "min_connections", "max_connections", "acquire_timeout", "idle_timeout"}
_LEVELS = {_native.LOG_WARNING: logging.WARNING}


class BasePool(_native.Pool):
    """A pool of connections to one PhantomDB server."""

    #: What is acquired.
    _client_type: ClassVar[type[_native.Connection]]
    _log: Callable[[int, str], object] | None = None
    base_url: str
    min_connections: int
    max_connections: int
    acquire_timeout: float
    idle_timeout: float

    def __init__(
        self,
        base_url: str = "http://localhost:8080",
        min_connections: int = 2,
        max_connections: int = 10,
        acquire_timeout: float = 30,
        idle_timeout: float = 60,
        *,
        token: str | None = None,
        max_lifetime: float | None = None,
        validation: str | None = None,
        validate_after: float | None = None,
        validation_timeout: float | None = None,
        max_waiters: int | None = None,
        max_connecting: int | None = None,
        request_timeout: float | None = None,
        connect_timeout: float | None = None,
        close_timeout: float | None = None,
        leak_threshold: float | None = None,
        preconnect: bool | None = None,
        tls_ca_file: str | os.PathLike[str] | None = None,
        tls_cert_file: str | os.PathLike[str] | None = None,
        tls_key_file: str | os.PathLike[str] | None = None,
        max_response_bytes: int | None = None,
        log: Callable[[int, str], object] | None = None,
    ) -> None:
        """Make a pool. It opens no connection yet, so the server need not be there.

        Times are in seconds. None stands for the default, which ``default_options`` tells.

        base_url: ``http[s]://host[:port][/prefix]``.
        min_connections, max_connections: kept at least, and never exceeded.
        acquire_timeout: how long an acquire waits, all its steps together.
        idle_timeout: after how long an unused connection above the minimum is closed; 0 is never.
        token: the bearer token; never shown in any message.
        max_lifetime: after how long a connection is retired; 0 is never.
        validation: how an idle connection is checked: "socket", "ping" or "none".
        validate_after: how long one may be idle and still be handed out unchecked.
        validation_timeout: how long a ping may take.
        max_waiters: how many callers may wait at once; one more is refused.
        max_connecting: how many connections may be opening at once.
        request_timeout, connect_timeout: how long a request, and opening a connection, may take.
        close_timeout: how long ``close`` waits for clients that are out before it cuts them.
        leak_threshold: after how long a client that is not released is reported to ``log``.
        preconnect: whether to open ``min_connections`` at once, in the background.
        tls_ca_file, tls_cert_file, tls_key_file: PEM files: whom to trust, and what to show.
        max_response_bytes: how large a response may be.
        log: told of leaks and outages, on a thread of the library, with a level of ``logging``
        and a text: ``logging.getLogger("db").log`` fits.
        """
        options = dict(locals())
        defaults = _native.default_options()
        for name in options.keys() - defaults.keys() - {"self", "log"}:
            if options[name] is not None:
                raise TypeError(f"{name}: this libphantomdb does not know the option")
        if log is not None and not callable(log):
            raise TypeError(f"log: must be callable, not {type(log)!r}")
        before, self._log = self._log, log
        try:
            self._open(self._client_type, options, log is not None)
        except BaseException:
            self._log = before
            raise
        for name, value in defaults.items():
            if name in _SHOWN:
                setattr(self, name, value if options[name] is None else options[name])

    def __repr__(self) -> str:
        """Say which pool it is."""
        return f"<{type(self).__module__}.{type(self).__qualname__} {id(self):#x}>"

    def resize(self, min_connections: int, max_connections: int) -> None:
        """Change the limits while the pool is in use."""
        super().resize(min_connections, max_connections)
        self.min_connections, self.max_connections = min_connections, max_connections

    def stats(self) -> dict[str, Any]:
        """Tell what the pool has done so far: acquires by outcome, histograms, connections."""
        stats: dict[str, Any] = self._stats()
        return stats

    def _tell(self, level: int, message: str) -> None:
        """Pass on what the library says of this pool."""
        if self._log is not None:
            self._log(_LEVELS.get(level, logging.INFO), message)


atexit.register(_native.end_logs)
