"""The requests to the server, and what their responses become."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any, Callable, TypeVar, cast

from . import _native
from .errors import InvalidArgumentError

#: The numbers of the operations by their names.
NUMBERS = {name: number for number, name, _, _ in _native.operations}

HEALTH_CHECK = NUMBERS["health_check"]
LIST_DATABASES = NUMBERS["list_databases"]
CREATE_DATABASE = NUMBERS["create_database"]
DROP_DATABASE = NUMBERS["drop_database"]
LIST_TABLES = NUMBERS["list_tables"]
CREATE_TABLE = NUMBERS["create_table"]
DROP_TABLE = NUMBERS["drop_table"]
INSERT = NUMBERS["insert"]
SELECT = NUMBERS["select"]
UPDATE = NUMBERS["update"]
DELETE = NUMBERS["delete"]
EXECUTE_QUERY = NUMBERS["execute_query"]
BEGIN_TRANSACTION = NUMBERS["begin_transaction"]
COMMIT_TRANSACTION = NUMBERS["commit_transaction"]
ROLLBACK_TRANSACTION = NUMBERS["rollback_transaction"]

Row = Mapping[str, Any]
Columns = Sequence[Mapping[str, Any]]

_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def also(**names: str) -> Callable[[_Function], _Function]:
    """Let an argument be given by another name too: ``@also(row="data")``."""

    def rename(named: dict[str, Any]) -> dict[str, Any]:
        for other, name in names.items():
            if other in named:
                if name in named:
                    raise TypeError(f"{other} and {name} are one argument: give it once")
                named[name] = named.pop(other)
        return named

    def decorate(function: _Function) -> _Function:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call(*arguments: Any, **named: Any) -> Any:
                return await function(*arguments, **(rename(named) if named else named))
        else:

            @functools.wraps(function)
            def call(*arguments: Any, **named: Any) -> Any:
                return function(*arguments, **(rename(named) if named else named))

        return cast(_Function, call)

    return decorate


def to_json(name: str, value: object) -> str:
    """Write an argument as JSON."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        why = str(error)
        if isinstance(error, RecursionError):
            why = "it is nested too deeply"
        elif why.startswith("Out of range float"):
            why = "NaN and Infinity are not JSON numbers"
        raise InvalidArgumentError(f"{name}: can't be written as JSON: {why}") from error


def to_row(name: str, value: object) -> str:
    """Write names of columns and their values as JSON.

    What is not a str would become one: None the column "null", 1 and "1" one column.
    """
    if isinstance(value, dict):
        for column in value:
            if not isinstance(column, str):
                raise InvalidArgumentError(
                    f"{name}: the name of a column must be str, not {type(column)!r}"
                )
    return to_json(name, value)


def to_optional_json(name: str, value: object) -> str | None:
    """Write an argument as JSON, if there is one."""
    return None if value is None else to_json(name, value)


def to_body(value: object) -> bytes | None:
    """Write the body of a request, if there is one."""
    if value is None:
        return None
    try:
        return to_json("body", value).encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError("body: is not valid Unicode") from error
