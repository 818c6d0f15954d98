"""The asynchronous calls of an event loop, from their start to their end.

Threads of the library post what a call has come to to the loop's completion queue, without Python;
the loop watches the queue's descriptor, and the queue tells the futures.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from . import _native

_Future = asyncio.Future[Any]


class Calls:
    """The calls of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        #: While this is there, no other loop has its id.
        self._loop = loop
        self._queue = _native.CompletionQueue()
        #: For the futures that were cancelled, what is done once their calls are over.
        self._cancelled: dict[_Future, _Future] = {}
        loop.add_reader(self._queue.fileno(), self._take)

    def _take(self) -> None:
        for future, value in self._queue.take():
            # One that is done already and was not cancelled has the value itself.
            if future.cancelled():
                _drop(value)
                self._over(future).set_result(None)

    def run(
        self, target: _native.Pool | _native.Connection, operation: int, *arguments: str | None
    ) -> Coroutine[Any, Any, Any]:
        """Run an operation on a pool or a client."""
        future = self._loop.create_future()
        return self._outcome(future, self._queue.run(future, target, operation, *arguments))

    def request(
        self,
        target: _native.Pool | _native.Connection,
        method: str,
        path: str,
        body: bytes | None,
    ) -> Coroutine[Any, Any, Any]:
        """Send a request on a pool or a client."""
        future = self._loop.create_future()
        return self._outcome(future, self._queue.request(future, target, method, path, body))

    async def acquire(self, pool: _native.Pool, timeout: float | None, owner: str | None) -> Any:
        """Take a client; if one is free, without another turn of the loop."""
        future = self._loop.create_future()
        client = self._queue.acquire(future, pool, timeout, owner)
        if not isinstance(client, int):
            return client
        client = await self._outcome(future, client)
        if owner is not None:
            client.set_owner(owner)
        return client

    async def close(self, pool: _native.Pool, timeout: float | None) -> None:
        """Close a pool; when the task is cancelled, at once."""
        future = self._loop.create_future()
        self._queue.close(future, pool, timeout)
        try:
            await future
        except asyncio.CancelledError:
            if future.cancelled():
                hurried = self._loop.create_future()
                self._queue.close(hurried, pool, 0)
                self._abandon(hurried)
                await self._is_over(future)
            else:
                self._abandon(future)
            raise
        except GeneratorExit:
            self._abandon(future)
            raise

    async def _outcome(self, future: _Future, ticket: int) -> Any:
        try:
            return await future
        except asyncio.CancelledError:
            # The task was cancelled, so the call is; its end is waited for, that nothing be lost.
            if future.cancelled():
                _native.cancel(ticket)
                await self._is_over(future)
            else:
                self._abandon(future)
            raise
        except GeneratorExit:
            # The coroutine is thrown away, and can't wait.
            _native.cancel(ticket)
            self._abandon(future)
            raise

    def _over(self, future: _Future) -> _Future:
        """Give what is done once the call of a cancelled future is over.

        Both who cancelled it and who is told of its end ask for it, in either order.
        """
        over = self._cancelled.pop(future, None)
        if over is None:
            over = self._cancelled[future] = self._loop.create_future()
        return over

    async def _is_over(self, future: _Future) -> None:
        """Wait for the end of a call that was cancelled, even if the task is cancelled again."""
        over = self._over(future)
        while not over.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(over)

    def _abandon(self, future: _Future) -> None:
        """Give back what a call brings or has brought: nobody waits for it any more."""
        # A loop that is closed can't be told, which matters to nobody.
        with suppress(RuntimeError):
            future.cancel()
        if future.cancelled():
            self._over(future)
        elif future.exception() is None:
            _drop(future.result())


def _drop(value: object) -> None:
    if isinstance(value, _native.Connection):
        value.pool.release(value)


#: By the numbers of the loops. A loop itself holds its calls, as what watches the queue: else calls
#: that a closed loop has left open would keep both for ever.
_of_loops: weakref.WeakValueDictionary[int, Calls] = weakref.WeakValueDictionary()


def running_calls() -> Calls:
    """Give those of the running loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "no running event loop: phantomdb.aio needs asyncio's. Under trio or curio, use "
            "phantomdb.pool in threads: await trio.to_thread.run_sync(pool.list_databases)"
        ) from None
    calls = _of_loops.get(id(loop))
    if calls is None:
        calls = _of_loops[id(loop)] = Calls(loop)
    return calls
