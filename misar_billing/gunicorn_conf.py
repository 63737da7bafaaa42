"""How gunicorn serves the application; everything an operator may change comes from the environment."""

import os

_host = os.environ.get("HOST") or "127.0.0.1"
_port = os.environ.get("PORT") or "8000"

bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
# Threads, since a request waits for PostgreSQL or Stripe most of the time.
worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS") or 2)
threads = int(os.environ.get("WEB_THREADS") or 8)
# A worker whose main thread is silent for this long is replaced. No request takes a tenth of it.
timeout = 30
graceful_timeout = 10
# Workers do not leak, so none is replaced for its age.
max_requests = 0
# Whose X-Forwarded-Proto is believed; nobody's unless said.
forwarded_allow_ips = os.environ.get("TRUSTED_PROXIES") or ""
# The heartbeat is a file; on a disk that stalls, a healthy worker would look dead.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 (gunicorn makes it private)
# It would be a file in somebody's home that outlives a kill.
control_socket_disable = True
accesslog = "-" if os.environ.get("ACCESS_LOG") else None
errorlog = "-"
loglevel = (os.environ.get("LOG_LEVEL") or "info").lower()
