"""A client: one connection to a PhantomDB server, from a pool or of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, ClassVar

from . import _native
from . import _operations as ops
from ._operations import Columns, Row
from ._options import BasePool
from .errors import PhantomDBError


class Operations:
    """What can be asked of a client, and of a pool, which takes a client for each request."""

    __slots__ = ()

    def _run(self, operation: int, /, *arguments: str | None) -> Any:
        raise NotImplementedError

    def _request(self, method: str, path: str, body: bytes | None, /) -> Any:
        raise NotImplementedError

    def health_check(self) -> dict[str, Any]:
        """Ask the server how it is: ``status`` is "healthy" or "unhealthy"."""
        response: dict[str, Any] = self._run(ops.HEALTH_CHECK)
        return response

    def list_databases(self) -> list[str]:
        """List the names of the databases."""
        names: list[str] = self._run(ops.LIST_DATABASES)
        return names

    def create_database(self, name: str) -> dict[str, Any]:
        """Make a database."""
        response: dict[str, Any] = self._run(ops.CREATE_DATABASE, name)
        return response

    @ops.also(database="name")
    def drop_database(self, name: str) -> dict[str, Any]:
        """Remove a database with all that is in it."""
        response: dict[str, Any] = self._run(ops.DROP_DATABASE, name)
        return response

    def list_tables(self, database: str) -> list[str]:
        """List the names of the tables of a database."""
        names: list[str] = self._run(ops.LIST_TABLES, database)
        return names

    def create_table(self, database: str, name: str, columns: Columns) -> dict[str, Any]:
        """Make a table.

        Columns are dicts with ``name`` and ``type``, and where wanted ``nullable``,
        ``primaryKey``, ``defaultValue``: ``[{"name": "id", "type": "integer"}]``.
        """
        text = ops.to_json("columns", columns)
        response: dict[str, Any] = self._run(ops.CREATE_TABLE, database, name, text)
        return response

    @ops.also(table="name")
    def drop_table(self, database: str, name: str) -> dict[str, Any]:
        """Remove a table with all its rows."""
        response: dict[str, Any] = self._run(ops.DROP_TABLE, database, name)
        return response

    @ops.also(row="data")
    def insert(self, database: str, table: str, data: Row) -> dict[str, Any]:
        """Add one row: ``{"id": 1, "name": "Ada"}``. It is never carried out twice."""
        text = ops.to_row("row", data)
        response: dict[str, Any] = self._run(ops.INSERT, database, table, text)
        return response

    def select(
        self, database: str, table: str, condition: str | None = None
    ) -> list[dict[str, Any]]:
        """Read the rows that fulfil an SQL condition, or all."""
        rows: list[dict[str, Any]] = self._run(ops.SELECT, database, table, condition)
        return rows

    def update(
        self, database: str, table: str, data: Row, condition: str | None = None
    ) -> dict[str, Any]:
        """Change the rows that fulfil an SQL condition, or all."""
        text = ops.to_row("data", data)
        response: dict[str, Any] = self._run(ops.UPDATE, database, table, text, condition)
        return response

    def delete(self, database: str, table: str, condition: str) -> dict[str, Any]:
        """Delete the rows that fulfil an SQL condition; "1=1" means all.

        It is never optional, because on the wire such a delete would drop the table.
        """
        response: dict[str, Any] = self._run(ops.DELETE, database, table, condition)
        return response

    @ops.also(sql="query")
    def execute_query(
        self, database: str, query: str, parameters: list[Any] | tuple[Any, ...] | None = None
    ) -> dict[str, Any]:
        """Run one SQL statement, with a value for each ``?`` of it.

        The result has ``columns`` (names), ``rows`` (dicts), ``rowCount`` and ``affectedRows``, and
        for the public SDK's users the same as ``results``, ``records`` and ``affected_rows``.
        """
        text = ops.to_optional_json("parameters", parameters)
        response: dict[str, Any] = self._run(ops.EXECUTE_QUERY, database, query, text)
        return response

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Send a request that has no name here yet; ``body`` becomes JSON.

        ``path`` begins with "/" and is sent as it is: percent-encode what needs it.
        """
        return self._request(method, path, ops.to_body(body))


class PhantomDB(_native.Connection, Operations):
    """A client of a PhantomDB server.

    ``pool.acquire()`` gives one that goes back to its pool; ``PhantomDB(base_url)`` has a
    connection of its own. Both are context managers. A client serves one request at a time: a
    second thread that tries meanwhile gets ``BusyError``.
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

    def begin_transaction(self, database: str | None = None) -> str:
        """Begin a transaction, of one database or of whichever it touches first; give its id.

        Every request on this client belongs to it until commit or rollback; releasing the client
        rolls it back.
        """
        response = self._run(ops.BEGIN_TRANSACTION, database)
        return str(response["transaction_id"])

    def commit_transaction(self, transaction_id: str | None = None) -> dict[str, Any]:
        """Commit the transaction that is open on this client; there is no need to name it."""
        response: dict[str, Any] = self._run(ops.COMMIT_TRANSACTION, transaction_id)
        return response

    def rollback_transaction(self, transaction_id: str | None = None) -> dict[str, Any]:
        """Roll back the transaction that is open on this client; there is no need to name it."""
        response: dict[str, Any] = self._run(ops.ROLLBACK_TRANSACTION, transaction_id)
        return response

    @contextmanager
    def transaction(self, database: str | None = None) -> Iterator[str]:
        """Begin a transaction for the time of a ``with``; commit it, or roll it back on a raise."""
        transaction_id = self.begin_transaction(database)
        try:
            yield transaction_id
        except BaseException:
            # Should this fail, the release does it.
            with suppress(PhantomDBError):
                self.rollback_transaction()
            raise
        self.commit_transaction()

    def close(self) -> None:
        """Release it to its pool; one with a connection of its own closes that. Twice is fine."""
        if not self.is_released:
            self.pool.release(self)
            if self._owns_pool:
                self.pool._close(0)

    def __enter__(self) -> PhantomDB:
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


class _OwnPool(BasePool):
    """The pool of one connection behind a client that has its own."""

    _client_type: ClassVar[type[_native.Connection]] = PhantomDB


def connect(base_url: str = "http://localhost:8080", **options: Any) -> PhantomDB:
    """Make a client with a connection of its own; as ``PhantomDB(base_url)``."""
    return PhantomDB(base_url, **options)
