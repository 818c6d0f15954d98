"""A pool of connections to a PhantomDB server, for asyncio.

Nothing here blocks the event loop, and a task that waits costs no thread. A task that is cancelled
ends its call: one that waits leaves the queue, one in flight is cut.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, ClassVar

from . import _native
from . import _operations as ops
from ._calls import running_calls
from ._operations import Columns, Row
from ._options import BasePool
from .errors import PhantomDBError

__all__ = ["PhantomDB", "PhantomDBError", "Pool", "connect", "create_pool"]


class Operations:
    """What can be asked of a client, and of a pool, which takes a client for each request."""

    __slots__ = ()

    def _ask(self, operation: int, *arguments: str | None) -> Coroutine[Any, Any, Any]:
        target: Any = self
        return running_calls().run(target, operation, *arguments)

    async def health_check(self) -> dict[str, Any]:
        """Ask the server how it is: ``status`` is "healthy" or "unhealthy"."""
        response: dict[str, Any] = await self._ask(ops.HEALTH_CHECK)
        return response

    async def list_databases(self) -> list[str]:
        """List the names of the databases."""
        names: list[str] = await self._ask(ops.LIST_DATABASES)
        return names

    async def create_database(self, name: str) -> dict[str, Any]:
        """Make a database."""
        response: dict[str, Any] = await self._ask(ops.CREATE_DATABASE, name)
        return response

    @ops.also(database="name")
    async def drop_database(self, name: str) -> dict[str, Any]:
        """Remove a database with all that is in it."""
        response: dict[str, Any] = await self._ask(ops.DROP_DATABASE, name)
        return response

    async def list_tables(self, database: str) -> list[str]:
        """List the names of the tables of a database."""
        names: list[str] = await self._ask(ops.LIST_TABLES, database)
        return names

    async def create_table(self, database: str, name: str, columns: Columns) -> dict[str, Any]:
        """Make a table.

        Columns are dicts with ``name`` and ``type``, and where wanted ``nullable``,
        ``primaryKey``, ``defaultValue``: ``[{"name": "id", "type": "integer"}]``.
        """
        text = ops.to_json("columns", columns)
        response: dict[str, Any] = await self._ask(ops.CREATE_TABLE, database, name, text)
        return response

    @ops.also(table="name")
    async def drop_table(self, database: str, name: str) -> dict[str, Any]:
        """Remove a table with all its rows."""
        response: dict[str, Any] = await self._ask(ops.DROP_TABLE, database, name)
        return response

    @ops.also(row="data")
    async def insert(self, database: str, table: str, data: Row) -> dict[str, Any]:
        """Add one row: ``{"id": 1, "name": "Ada"}``. It is never carried out twice."""
        text = ops.to_row("row", data)
        response: dict[str, Any] = await self._ask(ops.INSERT, database, table, text)
        return response

    async def select(
        self, database: str, table: str, condition: str | None = None
    ) -> list[dict[str, Any]]:
        """Read the rows that fulfil an SQL condition, or all."""
        rows: list[dict[str, Any]] = await self._ask(ops.SELECT, database, table, condition)
        return rows

    async def update(
        self, database: str, table: str, data: Row, condition: str | None = None
    ) -> dict[str, Any]:
        """Change the rows that fulfil an SQL condition, or all."""
        text = ops.to_row("data", data)
        response: dict[str, Any] = await self._ask(ops.UPDATE, database, table, text, condition)
        return response

    async def delete(self, database: str, table: str, condition: str) -> dict[str, Any]:
        """Delete the rows that fulfil an SQL condition; "1=1" means all.

        It is never optional, because on the wire such a delete would drop the table.
        """
        response: dict[str, Any] = await self._ask(ops.DELETE, database, table, condition)
        return response

    @ops.also(sql="query")
    async def execute_query(
        self, database: str, query: str, parameters: list[Any] | tuple[Any, ...] | None = None
    ) -> dict[str, Any]:
        """Run one SQL statement, with a value for each ``?`` of it.

        The result has ``columns`` (names), ``rows`` (dicts), ``rowCount`` and ``affectedRows``, and
        for the public SDK's users the same as ``results``, ``records`` and ``affected_rows``.
        """
        text = ops.to_optional_json("parameters", parameters)
        response: dict[str, Any] = await self._ask(ops.EXECUTE_QUERY, database, query, text)
        return response

    async def request(self, method: str, path: str, body: object = None) -> Any:
        """Send a request that has no name here yet; ``body`` becomes JSON.

        ``path`` begins with "/" and is sent as it is: percent-encode what needs it.
        """
        target: Any = self
        return await running_calls().request(target, method, path, ops.to_body(body))


class PhantomDB(_native.Connection, Operations):
    """A client of a PhantomDB server.

    ``await pool.acquire()`` gives one that goes back to its pool; ``PhantomDB(base_url)`` has a
    connection of its own. Both are asynchronous context managers. Requests of several tasks on one
    client run one after the other.
    """

    __slots__ = ()

    @property
    def base_url(self) -> str:
        """The address of its server, as it was given."""
        url: str = self.pool.base_url
        return url

    def __init__(self, base_url: str = "http://localhost:8080", **options: Any) -> None:
        """Make a client with a connection of its own, which its first request opens.

        The options are those of a pool that have a meaning for one connection: ``token``,
        ``request_timeout``, ``connect_timeout``, ``tls_ca_file`` and so on.
        """
        self._open(_OwnPool(base_url, 1, 1, **options))

    async def begin_transaction(self, database: str | None = None) -> str:
        """Begin a transaction, of one database or of whichever it touches first; give its id.

        Every request on this client belongs to it until commit or rollback; releasing the client
        rolls it back.
        """
        response = await self._ask(ops.BEGIN_TRANSACTION, database)
        return str(response["transaction_id"])

    async def commit_transaction(self, transaction_id: str | None = None) -> dict[str, Any]:
        """Commit the transaction that is open on this client; there is no need to name it."""
        response: dict[str, Any] = await self._ask(ops.COMMIT_TRANSACTION, transaction_id)
        return response

    async def rollback_transaction(self, transaction_id: str | None = None) -> dict[str, Any]:
        """Roll back the transaction that is open on this client; there is no need to name it."""
        response: dict[str, Any] = await self._ask(ops.ROLLBACK_TRANSACTION, transaction_id)
        return response

    @asynccontextmanager
    async def transaction(self, database: str | None = None) -> AsyncIterator[str]:
        """Begin a transaction for the time of an ``async with``.

        Its end commits it; if something is raised, it is rolled back.
        """
        transaction_id = await self.begin_transaction(database)
        try:
            yield transaction_id
        except BaseException:
            # Should this fail, the release does it.
            with suppress(PhantomDBError):
                await self.rollback_transaction()
            raise
        await self.commit_transaction()

    async def close(self) -> None:
        """Release it to its pool; one with a connection of its own closes that. Twice is fine."""
        if not self.is_released:
            self.pool.release(self)
            if self._owns_pool:
                await running_calls().close(self.pool, 0)

    async def __aenter__(self) -> PhantomDB:
        """Give itself."""
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()


class _OwnPool(BasePool):
    """The pool of one connection behind a client that has its own."""

    _client_type: ClassVar[type[_native.Connection]] = PhantomDB


class Pool(BasePool, Operations):
    """A pool of connections to one PhantomDB server, for any number of tasks and event loops.

    A caller that finds no connection free waits, first come, first served. The pool has the
    operations of a client too, and takes a client for each request. ``release``, and the other
    calls that do not wait, are called without ``await``.
    """

    _client_type: ClassVar[type[_native.Connection]] = PhantomDB

    async def acquire(self, timeout: float | None = None, *, owner: str | None = None) -> PhantomDB:
        """Take a client, waiting for one at most ``timeout`` seconds (else ``acquire_timeout``).

        ``owner`` names who has it, for the report of a leak.
        """
        client: PhantomDB = await running_calls().acquire(self, timeout, owner)
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

    @asynccontextmanager
    async def connection(
        self, timeout: float | None = None, *, owner: str | None = None
    ) -> AsyncIterator[PhantomDB]:
        """Take a client for the time of an ``async with``."""
        client = await self.acquire(timeout, owner=owner)
        try:
            yield client
        finally:
            # It may have been released by hand.
            if not client.is_released:
                self.release(client)

    @ops.also(sql="query")
    async def query(
        self, database: str, query: str, parameters: list[Any] | tuple[Any, ...] | None = None
    ) -> dict[str, Any]:
        """Run one SQL statement; as ``execute_query``."""
        return await self.execute_query(database, query, parameters)

    async def close(self, timeout: float | None = None) -> None:
        """Close the pool; when this returns, nothing of it is left. Twice is fine.

        Waiters get ``ClosedError``. Clients that are out have ``timeout`` seconds (else
        ``close_timeout``) to come back, and are then cut; release them as usual.
        """
        await running_calls().close(self, timeout)

    async def __aenter__(self) -> Pool:
        """Give itself."""
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()


#: Makes a pool; see there for the options.
create_pool = Pool


def connect(base_url: str = "http://localhost:8080", **options: Any) -> PhantomDB:
    """Make a client with a connection of its own; as ``PhantomDB(base_url)``."""
    return PhantomDB(base_url, **options)
