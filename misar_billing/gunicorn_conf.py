"""How gunicorn serves the application; everything an operator may change comes from the environment."""

import os
import socket
import struct
from typing import Any

_host = os.environ.get("HOST") or "127.0.0.1"
_port = os.environ.get("PORT") or "8000"

bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
# Threads, since a request waits for PostgreSQL or Stripe most of the time.
worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS") or 2)
threads = int(os.environ.get("WEB_THREADS") or 8)
# A worker whose main thread is silent for so many seconds is replaced. (For threads, see when_ready.)
timeout = 30
# Longer than a proxy keeps its connections, or it could send a request into one that is being closed.
keepalive = 75
graceful_timeout = 10
# Workers do not leak, so none is replaced for its age.
max_requests = 0
# The proxies whose X-Forwarded-Proto is trusted; none by default.
forwarded_allow_ips = os.environ.get("TRUSTED_PROXIES") or ""
# The heartbeat is a file; on a disk that stalls, a healthy worker would look dead.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 (gunicorn makes it private)
# It would be a file in a home directory that stays after a kill.
control_socket_disable = True
accesslog = "-" if os.environ.get("ACCESS_LOG") else None
# Without the query string: it may hold the name or address that a member of staff searched for.
access_log_format = '%(h)s %(t)s "%(m)s %(U)s %(H)s" %(s)s %(b)s'
errorlog = "-"
loglevel = (os.environ.get("LOG_LEVEL") or "info").lower()

# A client that is silent for longer is dropped: a few of them would hold every thread.
SILENT_CLIENT_SECONDS = 2


def on_starting(server: Any) -> None:
    """Warn about settings that may be missing, and say what follows."""
    if os.environ.get("ENVIRONMENT", "production") != "production":
        return
    if not forwarded_allow_ips:
        server.log.warning(
            "TRUSTED_PROXIES is not set: no proxy is trusted to say that a request came over https, so every "
            "page redirects to itself and every API call is refused."
        )
    if not (os.environ.get("SSO_JWKS_URL") or os.environ.get("SSO_JWT_SECRET")):
        server.log.warning("Neither SSO_JWKS_URL nor SSO_JWT_SECRET is set: every bearer token is refused.")


def when_ready(server: Any) -> None:
    """Give the listening sockets a receive timeout. On Linux, accepted connections inherit it."""
    for listener in server.LISTENERS:
        timeout_value = struct.pack("ll", SILENT_CLIENT_SECONDS, 0)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout_value)
