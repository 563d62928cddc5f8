"""Logs: a structured line each, JSON for machines, colours on a terminal.

What is logged never holds a query string, a header or a body: tokens and passwords are there.
"""

import asyncio
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from select import PIPE_BUF
from typing import Any

import msgspec
import structlog
from structlog.typing import Processor


def configure() -> None:
    """Set up structlog, and the standard library's loggers through it."""
    terminal = sys.stdout.isatty()
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(
            exception_formatter=structlog.dev.plain_traceback, sort_keys=False
        )
        if terminal
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    last: list[Processor] = (
        [renderer] if terminal else [structlog.processors.format_exc_info, renderer]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    # Below WARNING the server's own loggers print addresses with their query strings.
    logging.getLogger("uvicorn.error").addFilter(_no_refused_handshakes)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def request_line() -> Callable[..., None]:
    """What writes the line of a request, given what it says.

    Each request pays for it, so for machines it goes around structlog, which takes three times as
    long to write the same, and the lines of one turn of the loop are written together at its end:
    whoever kills the process can lose those. A line longer than PIPE_BUF (4 KiB) may be torn in a
    pipe that several processes write to.
    """
    if sys.stdout.isatty() or not structlog.is_configured():
        log = structlog.get_logger("tenantry.request")

        def shown(**said: object) -> None:
            log.info("request", **said)

        return shown
    output = sys.stdout.buffer
    encode = msgspec.json.Encoder(enc_hook=str).encode
    waiting = bytearray()

    def written(**said: object) -> None:
        said |= {"event": "request", "level": "info", "timestamp": datetime.now(UTC)}
        line = encode(said) + b"\n"
        if not waiting:
            asyncio.get_running_loop().call_soon(write)
        elif len(waiting) + len(line) > PIPE_BUF:
            write()
        waiting.extend(line)

    def write() -> None:
        """What one turn of the loop has said: a system call and a reader's waking for all of it."""
        lines = bytes(waiting)
        waiting.clear()
        output.write(lines)  # in one piece, whoever else writes (write(2) to a pipe)
        output.flush()

    return written


def _no_refused_handshakes(record: logging.LogRecord) -> bool:
    """uvicorn calls every WebSocket handshake that is answered with a status an error."""
    return record.msg != "ASGI callable returned without completing handshake."


def _json(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
