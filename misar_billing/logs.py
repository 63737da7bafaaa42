"""The log: one line for each event, as JSON for a log shipper, or as a line to read.

Each record of Python's logging goes through the same steps of structlog, also those of gunicorn and of
libraries. A line has the time in UTC, the level, the logger, the event, the id of the request, and further
facts as fields. docs/monitoring.md describes the fields. This module can be imported before Django has
settings, because gunicorn's configuration uses it.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, WrappedLogger

from misar_billing.scrubbing import REMOVED, message_of, name_of, scrubbed, traceback_of

FORMATS = ("json", "line")
TEXT_MAX = 16_000
LIBRARIES = {
    # A 4xx status is an error of the caller, so it is not logged here. The line of the request has it.
    "django.request": {"level": "ERROR", "filters": ["unexpected"]},
    "django.security.DisallowedHost": {"level": "CRITICAL"},
    "axes": {"level": "WARNING"},
    "stripe": {"level": "WARNING"},
}
# What each record has; the rest of a record's attributes are facts that its caller gave.
USUAL = {*vars(logging.makeLogRecord({})), "message", "asctime", "request_id", "request"}
# gunicorn names the caller's address, and repeats a line that it could not read.
OF_CALLERS = re.compile(r"\bip=\S+|(?<=HTTP request line: ).*|(?<=Invalid HTTP ).*|(?<=HTTP Method: ).*")
SENSITIVE = re.compile(r"secret|passw|token|authorization|cookie|signature|api_?key", re.IGNORECASE)


def configuration(format: str, level: str) -> dict[str, Any]:
    """Return the configuration of logging, for Django's LOGGING and for gunicorn."""
    shown = as_json if format == "json" else as_line
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request": {"()": "foundation.http.request_ids.RequestFilter"},
            "unexpected": {"()": "foundation.http.request_ids.UnexpectedFilter"},
        },
        "formatters": {
            "event": {
                "()": ProcessorFormatter,
                "foreign_pre_chain": [add_origin, add_facts, add_error],
                "processors": [without_secrets, shown],
            }
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "event", "filters": ["request"]}
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": LIBRARIES
        | {"gunicorn.error": {"level": level, "handlers": ["stderr"], "propagate": False}},
    }


def format_of(environ: Mapping[str, str], *, production: bool) -> str:
    """Return LOG_FORMAT. If it is not set: JSON in production, unless a person reads it at a terminal."""
    named = environ.get("LOG_FORMAT") or ("json" if production and not sys.stderr.isatty() else "line")
    if named not in FORMATS:
        raise ValueError("LOG_FORMAT must be json or line.")
    return named


def of_gunicorn(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the configuration for gunicorn's own log, and let unexpected errors be logged like it."""
    production = (environ.get("ENVIRONMENT") or "production") == "production"
    format = format_of(environ, production=production)
    if format == "json":
        log_what_python_prints()
    return configuration(format, (environ.get("LOG_LEVEL") or "INFO").upper())


def log_what_python_prints() -> None:
    """Log warnings, and errors that end a process or a thread. Python prints them as several lines."""
    logging.captureWarnings(True)
    sys.excepthook = _log_the_end
    threading.excepthook = lambda args: _log_the_end(args.exc_type, args.exc_value, args.exc_traceback)


def _log_the_end(
    kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None
) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    logging.getLogger(__name__).critical("An error ended a process or a thread", exc_info=error)


# --- The steps ----------------------------------------------------------------------------------------


def add_origin(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Put the time, the level, the logger and the request's id first."""
    record: logging.LogRecord = event["_record"]
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    request_id = getattr(record, "request_id", "-")
    return {
        "time": time.removesuffix("+00:00") + "Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event["event"],
        "exc_info": event.get("exc_info"),
        **({"request_id": request_id} if request_id != "-" else {}),
        "_record": record,
        "_from_structlog": event["_from_structlog"],
    }


def add_facts(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the facts that the caller gave as `extra`: texts, numbers, and answers to yes or no."""
    record: logging.LogRecord = event["_record"]
    for name, value in vars(record).items():
        # Objects are left out: a request, for example, would show its query.
        if name not in USUAL and isinstance(value, str | int | float | bool | None) and name not in event:
            event[name] = value
    return event


def add_error(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the error of a record: its type, its message, and where it was raised."""
    _, error, _ = event.pop("exc_info", None) or (None, None, None)
    if error:
        event["error"], event["error_message"] = name_of(error), message_of(error)
        event["traceback"] = traceback_of(error)
    return event


def without_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Take secrets and addresses out of each text, and what structlog has put beside them."""
    record: logging.LogRecord = event.pop("_record")
    event.pop("_from_structlog", None)
    if record.name.startswith("gunicorn"):
        event["event"] = OF_CALLERS.sub("-", event["event"])
    if request := getattr(record, "request", None):
        # A path may name a user. Its pattern does not.
        from misar_billing.routes import route_of

        if (path := getattr(request, "path", "")) not in ("", "/"):
            event["event"] = str(event["event"]).replace(path, route_of(request))
    for name, value in event.items():
        if isinstance(value, str):
            if SENSITIVE.search(name):
                event[name] = REMOVED
            elif name not in ("time", "level", "logger"):
                event[name] = scrubbed(value[:TEXT_MAX])
    return event


def as_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Return the event as one line of JSON."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), default=str)


def as_line(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Return the event as a line to read. Only a traceback has more lines."""
    event = dict(event)
    time, level, logger = event.pop("time"), event.pop("level").upper(), event.pop("logger")
    request_id, sentence = event.pop("request_id", "-"), str(event.pop("event"))
    trace = event.pop("traceback", "")
    if trace:
        del event["error"], event["error_message"]
    facts = "".join(f" {name}={value}" for name, value in event.items())
    time = time.replace("T", " ").replace(".", ",").rstrip("Z")
    line = f"{time} {level} {logger} [{request_id}] {sentence}{facts}".replace("\n", "\\n")
    return f"{line}\n{trace}" if trace else line


# --- Names that other libraries ask for ---------------------------------------------------------------


def nameless(*args: Any) -> str:
    """Return how axes names a caller in the log: without the name, the address and the path that it gets."""
    return "a caller"
