"""Pools for greenlets of gevent: a greenlet that waits lets the others run.

It has the names and arguments of ``phantomdb.pool``, and needs nothing patched. A plain pool works
under gevent too, but a wait there stops every greenlet of the thread.
"""

from __future__ import annotations

import os
from typing import Any, Callable, ClassVar

from gevent import monkey
from gevent.event import AsyncResult
from gevent.hub import get_hub

from . import _native, client, pool
from ._options import BasePool
from .errors import PhantomDBError

__all__ = ["PhantomDB", "PhantomDBConnectionPool", "PhantomDBError", "connect", "create_pool"]


class _Call:
    """A call that is under way, as the receiver of its outcome."""

    __slots__ = ("_is_abandoned", "outcome")

    def __init__(self) -> None:
        self.outcome: Any = AsyncResult()
        self._is_abandoned = False

    def set_result(self, value: object) -> None:
        """Take its outcome."""
        if self._is_abandoned:
            _drop(value)
        else:
            self.outcome.set(value)

    def set_exception(self, error: BaseException) -> None:
        """Take its failure."""
        self.outcome.set_exception(error)

    def abandon(self) -> None:
        """Give back what it brings or has brought: nobody waits for it any more."""
        self._is_abandoned = True
        if self.outcome.successful():
            _drop(self.outcome.value)


def _drop(value: object) -> None:
    if isinstance(value, _native.Connection):
        value.pool.release(value)


class _Calls:
    """The calls of one hub, and so of one thread.

    Threads of the library post what a call has come to to a completion queue, whose descriptor the
    hub watches.
    """

    def __init__(self) -> None:
        self.hub = get_hub()
        self.process = os.getpid()
        self._queue = _native.CompletionQueue()
        # It may keep the hub from ending only while there are calls.
        self._watcher = self.hub.loop.io(self._queue.fileno(), 1, ref=False)
        self._watcher.start(self._take)

    def _take(self) -> None:
        if self.process != os.getpid():
            # A forked child has the watchers of its parent, whose calls are not its own.
            self._watcher.stop()
            return
        self._queue.take()
        self._watcher.ref = len(self._queue) > 0

    def _wait(
        self, begin: Callable[[_Call], Any], cancel: Callable[[Any], object] = _native.cancel
    ) -> Any:
        """Begin a call, and let other greenlets run until it is over."""
        call = _Call()
        ticket = begin(call)
        if isinstance(ticket, _native.Connection):
            return ticket
        self._watcher.ref = True
        try:
            return call.outcome.get()
        except BaseException:
            call.abandon()
            if not call.outcome.ready():
                cancel(ticket)
            raise

    def run(
        self, target: _native.Pool | _native.Connection, operation: int, *arguments: str | None
    ) -> Any:
        """Run an operation on a pool or a client."""
        return self._wait(lambda it: self._queue.run(it, target, operation, *arguments))

    def request(
        self, target: _native.Pool | _native.Connection, method: str, path: str, body: bytes | None
    ) -> Any:
        """Send a request on a pool or a client."""
        return self._wait(lambda it: self._queue.request(it, target, method, path, body))

    def acquire(self, pool: _native.Pool, timeout: float | None, owner: str | None) -> Any:
        """Take a client; if one is free, no other greenlet runs meanwhile."""
        return self._wait(lambda it: self._queue.acquire(it, pool, timeout, owner))

    def close(self, pool: _native.Pool, timeout: float | None) -> None:
        """Close a pool; at once, when the greenlet is killed."""

        def hurry(_: object) -> None:
            self._queue.close(_Call(), pool, 0)

        self._wait(lambda it: self._queue.close(it, pool, timeout), cancel=hurry)


#: One for each thread, even where `threading` is patched.
_here = monkey.get_original("threading", "local")()


def _calls() -> _Calls:
    """Give those of the hub that runs."""
    it: _Calls | None = getattr(_here, "calls", None)
    if it is None or it.hub is not get_hub() or it.process != os.getpid():
        it = _here.calls = _Calls()
    return it


class PhantomDB(client.PhantomDB):
    """A client of a PhantomDB server, as ``phantomdb.pool`` has it.

    Requests of several greenlets on one client run one after the other.
    """

    __slots__ = ()

    def __init__(self, base_url: str = "http://localhost:8080", **options: Any) -> None:
        """Make a client with a connection of its own, which its first request opens."""
        self._open(_OwnPool(base_url, 1, 1, **options))

    def _run(self, operation: int, /, *arguments: str | None) -> Any:
        return _calls().run(self, operation, *arguments)

    def _request(self, method: str, path: str, body: bytes | None, /) -> Any:
        return _calls().request(self, method, path, body)


class _OwnPool(BasePool):
    """The pool of one connection behind a client that has its own."""

    _client_type: ClassVar[type[_native.Connection]] = PhantomDB

    def _close(self, timeout: float | None, /) -> None:
        _calls().close(self, timeout)


class PhantomDBConnectionPool(pool.PhantomDBConnectionPool):
    """A pool of connections to one PhantomDB server, for any number of greenlets and threads."""

    _client_type: ClassVar[type[_native.Connection]] = PhantomDB

    def _acquire(self, timeout: float | None, owner: str | None, /) -> Any:
        client = _calls().acquire(self, timeout, owner)
        if owner is not None:
            client.set_owner(owner)
        return client

    def _close(self, timeout: float | None, /) -> None:
        _calls().close(self, timeout)

    def _run(self, operation: int, /, *arguments: str | None) -> Any:
        return _calls().run(self, operation, *arguments)

    def _request(self, method: str, path: str, body: bytes | None, /) -> Any:
        return _calls().request(self, method, path, body)


#: Makes a pool; see there for the options.
create_pool = PhantomDBConnectionPool


def connect(base_url: str = "http://localhost:8080", **options: Any) -> PhantomDB:
    """Make a client with a connection of its own; as ``PhantomDB(base_url)``."""
    return PhantomDB(base_url, **options)
