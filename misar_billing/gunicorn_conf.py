"""The settings of gunicorn. Operators change them by environment variables."""

import os
import signal
import socket
import struct
from typing import Any

from misar_billing import file_descriptors, internal_listener, logs
from misar_billing.metrics import processes

_host = os.environ.get("HOST") or "127.0.0.1"
_port = os.environ.get("PORT") or "8000"

bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
# Use threads, because a request mostly waits for PostgreSQL or Stripe.
worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS") or 2)
threads = int(os.environ.get("WEB_THREADS") or 8)
# gunicorn replaces a worker if its main thread does not respond for this many seconds. The other threads have
# no such timeout; when_ready limits how long they wait for a client.
timeout = 30
graceful_timeout = 10
# From SIGTERM on, /ready is 503. The workers go on for this many seconds, until the proxy has noticed.
DRAIN_SECONDS = float(os.environ.get("DRAIN_SECONDS") or 0)
# Workers do not leak memory, so they are not replaced after a number of requests.
max_requests = 0
# The proxies whose X-Forwarded-Proto header is trusted. By default, no proxy is trusted.
forwarded_allow_ips = os.environ.get("TRUSTED_PROXIES") or ""
# Behind a proxy, a worker has as many connections as threads, each for one request. So a request goes to a
# worker with a free thread. The others wait in the proxy, which refuses them in time. Without a proxy,
# clients keep their connections, and a worker has more of them than threads.
worker_connections = file_descriptors.connections_at_most(
    int(os.environ.get("WEB_CONNECTIONS") or (threads if forwarded_allow_ips else 250)), threads=threads
)
keepalive = 75 if worker_connections > threads else 0
# Connections that no worker has accepted yet.
backlog = 256
# The worker's heartbeat is a file. If a slow disk delayed it, gunicorn would kill a healthy worker.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 (gunicorn makes it private)
# The control socket would be a file in a home directory. It would remain after gunicorn is killed.
control_socket_disable = True
# The application logs requests (LOG_REQUESTS): it knows the pattern of a path, which names no user.
accesslog = None
errorlog = "-"
logconfig_dict = logs.of_gunicorn(os.environ)
loglevel = (os.environ.get("LOG_LEVEL") or "info").lower()

NO_PROXY = (
    "TRUSTED_PROXIES is not set: no proxy is trusted to say that a request came over https, so every "
    "page redirects to itself and every API call is refused."
)
# Not "bearer" and a word after it: the log would take that for a secret.
NO_SSO = "Neither SSO_JWKS_URL nor SSO_JWT_SECRET is set: the tokens of users are refused."

# Drop a client that sends nothing for longer than this. Otherwise a few clients could occupy every thread.
SILENT_CLIENT_SECONDS = 2


def on_starting(server: Any) -> None:
    """Raise the limit of file descriptors, and warn of settings that production usually needs."""
    file_descriptors.raise_limit()
    processes.prepare()
    if os.environ.get("ENVIRONMENT", "production") != "production":
        return
    if not forwarded_allow_ips:
        server.log.warning(NO_PROXY)
    if not (os.environ.get("SSO_JWKS_URL") or os.environ.get("SSO_JWT_SECRET")):
        server.log.warning(NO_SSO)


def when_ready(server: Any) -> None:
    """Prepare what the workers inherit, and take over SIGTERM."""
    # On Linux, accepted connections inherit the receive timeout of their listener.
    for listener in server.LISTENERS:
        timeout_value = struct.pack("ll", SILENT_CLIENT_SECONDS, 0)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout_value)
    internal_listener.open_socket()
    _drain_on_sigterm(server)


def post_worker_init(worker: Any) -> None:
    """Start what each worker has of its own."""
    for listener in worker.sockets:
        file_descriptors.refuse_when_none_is_left(listener)
    internal_listener.serve()


def pre_request(worker: Any, request: Any) -> None:
    """Close each connection with its next answer, so that the client makes its next one to another server."""
    if internal_listener.is_draining():
        request.force_close()


def _drain_on_sigterm(server: Any) -> None:
    """On SIGTERM, drain for DRAIN_SECONDS before gunicorn stops. A second SIGTERM stops at once."""

    def stop(number: int, frame: Any) -> None:
        server.signal(signal.SIGTERM, frame)  # What gunicorn itself does on SIGTERM.

    def drain(number: int, frame: Any) -> None:
        if os.getpid() != server.pid:  # A worker that is just being forked.
            return
        if internal_listener.is_draining() or not DRAIN_SECONDS:
            stop(number, frame)
        else:
            signal.setitimer(signal.ITIMER_REAL, DRAIN_SECONDS)
        internal_listener.begin_draining()

    signal.signal(signal.SIGALRM, stop)
    signal.signal(signal.SIGTERM, drain)


def child_exit(server: Any, worker: Any) -> None:
    """Keep what a worker has counted, and forget what it was doing."""
    processes.forget(worker.pid)


def on_exit(server: Any) -> None:
    """Remove the files of the counts."""
    processes.remove()
