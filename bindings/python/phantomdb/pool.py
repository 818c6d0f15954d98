"""A pool of connections to a PhantomDB server, for threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, ClassVar

from . import _native
from . import _operations as ops
from ._options import BasePool
from .client import Operations, PhantomDB
from .errors import PhantomDBError

__all__ = ["PhantomDB", "PhantomDBConnectionPool", "PhantomDBError", "create_pool"]


class PhantomDBConnectionPool(BasePool, Operations):
    """A pool of connections to one PhantomDB server, safe for any number of threads.

    A caller that finds no connection free waits, first come, first served, with the GIL released.
    The pool has the operations of a client too, and takes a client for each request.
    """

    _client_type: ClassVar[type[_native.Connection]] = PhantomDB

    def acquire(self, timeout: float | None = None, *, owner: str | None = None) -> PhantomDB:
        """Take a client, waiting for one at most ``timeout`` seconds (else ``acquire_timeout``).

        ``owner`` names who has it, for the report of a leak.
        """
        client: PhantomDB = self._acquire(timeout, owner)
        return client

    def try_acquire(self, *, owner: str | None = None) -> PhantomDB:
        """Take a client if one is free; raise ``WouldBlockError`` if none is."""
        client: PhantomDB = self._try_acquire()
        if owner is not None:
            try:
                client.set_owner(owner)
            except BaseException:
                self.release(client)
                raise
        return client

    @contextmanager
    def connection(
        self, timeout: float | None = None, *, owner: str | None = None
    ) -> Iterator[PhantomDB]:
        """Take a client for the time of a ``with``."""
        client = self.acquire(timeout, owner=owner)
        try:
            yield client
        finally:
            # It may have been released by hand.
            client.close()

    @ops.also(sql="query")
    def query(
        self, database: str, query: str, parameters: list[Any] | tuple[Any, ...] | None = None
    ) -> dict[str, Any]:
        """Run one SQL statement; as ``execute_query``."""
        return self.execute_query(database, query, parameters)

    def close(self, timeout: float | None = None) -> None:
        """Close the pool; when this returns, nothing of it is left. Twice is fine.

        Waiters get ``ClosedError``. Clients that are out have ``timeout`` seconds (else
        ``close_timeout``) to come back, and are then cut; release them as usual.
        """
        self._close(timeout)

    def __enter__(self) -> PhantomDBConnectionPool:
        """Give itself."""
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


#: Makes a pool; see there for the options.
create_pool = PhantomDBConnectionPool
