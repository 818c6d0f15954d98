"""What commands say, in Python's terms, and the other way round; for both agents."""

from __future__ import annotations

import json
from typing import Any

import phantomdb
from phantomdb import PhantomDBError, _native

#: The arguments of each operation.
NAMES = {name: arguments for _, name, _, arguments in _native.operations}
#: Those that are values in Python, and come as JSON.
VALUES = {"columns", "row", "data", "parameters"}
#: Options that are times, in seconds.
TIMES = {name for name, value in phantomdb.default_options().items() if isinstance(value, float)}


def as_seconds(milliseconds: float | None) -> float | None:
    """Give a time-out."""
    return None if milliseconds is None else milliseconds / 1000


def as_options(given: dict[str, Any]) -> dict[str, Any]:
    """Give the options of a pool."""
    return {name: value / 1000 if name in TIMES else value for name, value in given.items()}


def as_value(text: str | None) -> Any:
    """Give a value that comes as JSON."""
    return None if text is None else json.loads(text)


def as_values(operation: str, arguments: list[str | None]) -> list[Any]:
    """Give the arguments of an operation; those that are left out are None."""
    names = NAMES[operation]
    given = arguments + [None] * (len(names) - len(arguments))
    return [as_value(it) if name in VALUES else it for name, it in zip(names, given)]


def as_report(command: dict[str, Any], value: Any) -> Any:
    """Give what a command has come to."""
    if command.get("operation") == "execute_query":
        columns = value["columns"]
        return {**value, "rows": [[row.get(name) for name in columns] for row in value["rows"]]}
    if command.get("operation") == "begin_transaction":
        return {"transaction_id": value}
    return value


def as_error(error: PhantomDBError) -> dict[str, Any]:
    """Give what went wrong."""
    return {
        "code": error.code,
        "status": error.status or 0,
        "retriable": error.retriable,
        "retry_after": round((error.retry_after or 0) * 1000),
        "message": str(error),
    }
