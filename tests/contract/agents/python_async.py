"""The agent for Python with asyncio."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

from python_values import as_error, as_options, as_report, as_seconds, as_value, as_values

from phantomdb import CancelledError, PhantomDBError
from phantomdb.aio import create_pool

LEVELS = {logging.INFO: "info", logging.WARNING: "warning"}


class Agent:
    """Carries out commands, each in a task of its own."""

    def __init__(self) -> None:
        #: What the driver has given names to; released clients keep theirs.
        self.things: dict[str, Any] = {}
        self.logs: dict[str, list[tuple[str, str]]] = {}
        #: What is under way, by the numbers of the commands.
        self.tasks: dict[int, asyncio.Task[None]] = {}

    async def read(self) -> None:
        """Carry out what is asked until the end of the input."""
        lines = asyncio.StreamReader(limit=1 << 30)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        async for line in lines:
            command = json.loads(line)
            self.tasks[command["id"]] = asyncio.create_task(self.carry_out(command))

    async def carry_out(self, command: dict[str, Any]) -> None:
        try:
            value = await getattr(self, f"do_{command['do']}")(command)
            report = {"ok": as_report(command, value)}
        except PhantomDBError as error:
            report = {"error": as_error(error)}
        except asyncio.CancelledError:
            message = "The task was cancelled"
            report = {"error": as_error(CancelledError(message))}
        self.tasks.pop(command["id"], None)
        print(json.dumps({"id": command["id"], **report}, default=str), flush=True)

    def find(self, command: dict[str, Any]) -> Any:
        return self.things[command.get("on", "pool")]

    async def do_create(self, command: dict[str, Any]) -> None:
        options = as_options(command["options"])
        log = self.logs[command["as"]] = []
        if options.pop("log", False):
            options["log"] = lambda level, message: log.append((LEVELS[level], message))
        self.things[command["as"]] = create_pool(**options)

    async def do_acquire(self, command: dict[str, Any]) -> None:
        timeout, owner = as_seconds(command.get("timeout")), command.get("owner")
        self.things[command["as"]] = await self.find(command).acquire(timeout, owner=owner)

    async def do_try_acquire(self, command: dict[str, Any]) -> None:
        self.things[command["as"]] = self.find(command).try_acquire()

    async def do_release(self, command: dict[str, Any]) -> None:
        client = self.find(command)
        pool = self.things[command["from"]] if "from" in command else client.pool
        getattr(pool, command["do"])(client)

    do_discard = do_release

    async def do_run(self, command: dict[str, Any]) -> Any:
        operation = command["operation"]
        method = getattr(self.find(command), operation)
        return await method(*as_values(operation, command["arguments"]))

    async def do_request(self, command: dict[str, Any]) -> Any:
        body = as_value(command.get("body"))
        return await self.find(command).request(command["method"], command["path"], body)

    async def do_cancel(self, command: dict[str, Any]) -> None:
        task = self.tasks.get(command["call"])
        if task is not None:
            task.cancel()

    async def do_interrupt(self, command: dict[str, Any]) -> None:
        self.find(command).interrupt()

    async def do_status(self, command: dict[str, Any]) -> Any:
        return self.find(command).status()

    async def do_stats(self, command: dict[str, Any]) -> Any:
        return self.find(command).stats()

    async def do_metrics(self, command: dict[str, Any]) -> Any:
        return self.find(command).metrics()

    async def do_log(self, command: dict[str, Any]) -> Any:
        return self.logs[command.get("on", "pool")]

    async def do_reset(self, command: dict[str, Any]) -> None:
        self.find(command).reset()

    async def do_resize(self, command: dict[str, Any]) -> None:
        self.find(command).resize(command["min"], command["max"])

    async def do_set_token(self, command: dict[str, Any]) -> None:
        self.find(command).set_token(command.get("token"))

    async def do_close(self, command: dict[str, Any]) -> None:
        await self.find(command).close(as_seconds(command.get("timeout")))

    async def do_end(self, command: dict[str, Any]) -> None:
        things, self.things, self.logs = self.things, {}, {}
        for thing in things.values():
            if hasattr(thing, "acquire"):
                await thing.close(0)


if __name__ == "__main__":
    asyncio.run(Agent().read())
