"""The asynchronous calls of an event loop, from their start to their end.

Threads of the library post what a call has come to to the loop's completion queue, without Python;
the loop watches the queue's descriptor and takes it out.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref
from contextlib import suppress
from typing import Any, Callable

from . import _native


class _Call:
    """A call that is under way."""

    __slots__ = ("_ended", "_is_over", "_pool", "future", "is_abandoned")

    def __init__(self, pool: _native.Pool | None = None) -> None:
        #: None until somebody waits.
        self.future: asyncio.Future[Any] | None = None
        #: Nobody will ever take its outcome.
        self.is_abandoned = False
        #: Whose connection it brings, if it does.
        self._pool = pool
        self._is_over = False
        self._ended: asyncio.Future[None] | None = None

    def end(self, value: object) -> None:
        """Take its outcome."""
        if self._pool is not None and isinstance(value, int):
            try:
                value = self._pool._client(value)
            except Exception as error:
                value = error
        if self.is_abandoned or self.future is None or self.future.done():
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
        """Wait for the end of a call that was cancelled, even if the task is cancelled again."""
        while not self._is_over:
            self._ended = asyncio.get_running_loop().create_future()
            with suppress(asyncio.CancelledError):
                await asyncio.shield(self._ended)


class Calls:
    """The calls of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._queue = _native.CompletionQueue()
        self._calls: dict[int, _Call] = {}
        self._numbers = itertools.count()
        loop.add_reader(self._queue.fileno(), self._take)

    def _take(self) -> None:
        for number, value in self._queue.take():
            self._calls.pop(number).end(value)

    async def run(
        self, target: _native.Pool | _native.Connection, operation: int, *arguments: str | None
    ) -> Any:
        """Run an operation on a pool or a client."""
        call, ticket = self._begin(self._queue.run, target, operation, *arguments)
        return await self._outcome(call, ticket)

    async def request(
        self,
        target: _native.Pool | _native.Connection,
        method: str,
        path: str,
        body: bytes | None,
    ) -> Any:
        """Send a request on a pool or a client."""
        call, ticket = self._begin(self._queue.request, target, method, path, body)
        return await self._outcome(call, ticket)

    async def acquire(self, pool: _native.Pool, timeout: float | None, owner: str | None) -> Any:
        """Take a client; if one is free, without another turn of the loop."""
        call, client = self._begin(self._queue.acquire, pool, timeout, owner, brings=pool)
        if not isinstance(client, int):
            return client
        client = await self._outcome(call, client)
        if owner is not None:
            client.set_owner(owner)
        return client

    async def close(self, pool: _native.Pool, timeout: float | None) -> None:
        """Close a pool; when the task is cancelled, at once."""
        call, _ = self._begin(self._queue.close, pool, timeout)
        future = call.future = asyncio.get_running_loop().create_future()
        try:
            await future
        except asyncio.CancelledError:
            if future.cancelled():
                self._begin(self._queue.close, pool, 0)
                await call.is_ended()
            raise

    def _begin(
        self,
        begin: Callable[..., Any],
        target: _native.Pool | _native.Connection,
        *arguments: Any,
        brings: _native.Pool | None = None,
    ) -> tuple[_Call, Any]:
        """Begin a call, which is known before: its end may come at once."""
        number = next(self._numbers) % _native.CALL_NUMBERS
        call = self._calls[number] = _Call(brings)
        try:
            begun = begin(target, number, *arguments)
        except BaseException:
            del self._calls[number]
            raise
        if isinstance(begun, _native.Connection):
            del self._calls[number]
        return call, begun

    async def _outcome(self, call: _Call, ticket: int) -> Any:
        try:
            future = call.future = asyncio.get_running_loop().create_future()
        except BaseException:
            _native.cancel(ticket)
            raise
        try:
            return await future
        except asyncio.CancelledError:
            # The task was cancelled, so the call is; its end is waited for, that nothing be lost.
            if future.cancelled():
                _native.cancel(ticket)
                await call.is_ended()
            elif future.exception() is None:
                call.drop(future.result())
            raise
        except GeneratorExit:
            # The coroutine is thrown away, and can't wait.
            call.is_abandoned = True
            _native.cancel(ticket)
            raise


#: The loop itself holds its calls, as what watches the queue: else calls that a closed loop has
#: left open would keep both for ever.
_of_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Calls]] = (
    weakref.WeakKeyDictionary()
)


def running_calls() -> Calls:
    """Give those of the running loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "no running event loop: phantomdb.aio needs one of asyncio. Under trio or curio, use "
            "phantomdb.pool in threads: await trio.to_thread.run_sync(pool.list_databases)"
        ) from None
    held = _of_loops.get(loop)
    calls = held() if held is not None else None
    if calls is None:
        calls = Calls(loop)
        _of_loops[loop] = weakref.ref(calls)
    return calls
