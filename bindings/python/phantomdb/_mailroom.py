"""The asynchronous calls of an event loop, from their start to their end.

Threads of the library put what a call has come to into the loop's inbox, without Python; the loop
watches the inbox's descriptor and takes it out.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref
from contextlib import suppress
from typing import Any

from . import _native


class _Call:
    """A call that is under way."""

    __slots__ = ("_ended", "_is_over", "_pool", "future", "is_abandoned")

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: _native.Pool | None) -> None:
        self.future: asyncio.Future[Any] = loop.create_future()
        #: Nobody will ever take its outcome.
        self.is_abandoned = False
        #: Whose connection it brings, if it does.
        self._pool = pool
        self._is_over = False
        self._ended: asyncio.Future[None] | None = None

    def end(self, value: object) -> None:
        """Take what it has come to."""
        if self._pool is not None and isinstance(value, int):
            value = self._pool._client(value)
        if self.is_abandoned or self.future.done():
            self.drop(value)
        elif isinstance(value, BaseException):
            self.future.set_exception(value)
        else:
            self.future.set_result(value)
        self._is_over = True
        if self._ended is not None:
            self._ended.set_result(None)

    def drop(self, value: object) -> None:
        """Give back what nobody wants any more."""
        if self._pool is not None and isinstance(value, _native.Connection):
            self._pool.release(value)

    async def is_ended(self) -> None:
        """Wait for the end of a call that was cancelled, whoever cancels again; it comes soon."""
        while not self._is_over:
            self._ended = asyncio.get_running_loop().create_future()
            with suppress(asyncio.CancelledError):
                await asyncio.shield(self._ended)


class Mailroom:
    """The calls of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._inbox = _native.Inbox()
        self._calls: dict[int, _Call] = {}
        self._numbers = itertools.count()
        loop.add_reader(self._inbox.fileno(), self._take)

    def _take(self) -> None:
        for number, value in self._inbox.take():
            self._calls.pop(number).end(value)

    async def run(
        self, target: _native.Pool | _native.Connection, operation: int, *arguments: str | None
    ) -> str:
        """Run an operation on a pool or a client; give the answer's text."""
        number = next(self._numbers)
        ticket = self._inbox.run(target, number, operation, *arguments)
        text: str = await self._outcome(number, ticket)
        return text

    async def request(
        self,
        target: _native.Pool | _native.Connection,
        method: str,
        path: str,
        body: bytes | None,
    ) -> str:
        """Send a request on a pool or a client; give the answer's text."""
        number = next(self._numbers)
        ticket = self._inbox.request(target, number, method, path, body)
        text: str = await self._outcome(number, ticket)
        return text

    async def acquire(self, pool: _native.Pool, timeout: float | None, owner: str | None) -> Any:
        """Take a client; if one is free, without another turn of the loop."""
        number = next(self._numbers)
        client = self._inbox.acquire(pool, number, timeout, owner)
        if isinstance(client, int):
            client = await self._outcome(number, client, pool)
            if owner is not None:
                client.set_owner(owner)
        return client

    async def close(self, pool: _native.Pool, timeout: float | None) -> None:
        """Close a pool; when the task is cancelled, at once."""
        number = next(self._numbers)
        self._inbox.close(pool, number, timeout)
        call = self._calls[number] = _Call(asyncio.get_running_loop(), None)
        try:
            await call.future
        except asyncio.CancelledError:
            if call.future.cancelled():
                hurry = next(self._numbers)
                self._inbox.close(pool, hurry, 0)
                self._calls[hurry] = _Call(asyncio.get_running_loop(), None)
                await call.is_ended()
            raise

    async def _outcome(self, number: int, ticket: int, pool: _native.Pool | None = None) -> Any:
        call = self._calls[number] = _Call(asyncio.get_running_loop(), pool)
        try:
            return await call.future
        except asyncio.CancelledError:
            # The task was cancelled, so the call is; its end is waited for, that nothing be lost.
            if call.future.cancelled():
                _native.cancel(ticket)
                await call.is_ended()
            elif call.future.exception() is None:
                call.drop(call.future.result())
            raise
        except GeneratorExit:
            # The coroutine is thrown away, and can't wait.
            call.is_abandoned = True
            _native.cancel(ticket)
            raise


#: The loop itself holds its mailroom, as what watches the inbox: else calls that a closed loop has
#: left open would keep both for ever.
_mailrooms: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Mailroom]] = (
    weakref.WeakKeyDictionary()
)


def mailroom() -> Mailroom:
    """Give the running loop's."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "phantomdb.aio needs a running event loop of asyncio. Under trio or curio, use "
            "phantomdb.pool in threads: await trio.to_thread.run_sync(pool.list_databases)"
        ) from None
    held = _mailrooms.get(loop)
    room = held() if held is not None else None
    if room is None:
        room = Mailroom(loop)
        _mailrooms[loop] = weakref.ref(room)
    return room
