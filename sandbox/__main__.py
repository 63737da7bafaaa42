"""`python -m sandbox`: serve the stand-ins until SIGTERM or Ctrl-C."""

import os
import signal
import sys
import threading

NEEDED = ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS")


def refusals() -> list[str]:
    """Why this environment is no place for a sandbox, a sentence each."""
    found = [f"{name} is not set." for name in NEEDED if not os.environ.get(name, "").strip()]
    if os.environ.get("ENVIRONMENT") != "sandbox":
        found.append("ENVIRONMENT is not sandbox, and unset means production.")
    if not (os.environ.get("PUBLIC_URL") or os.environ.get("SANDBOX_WEBHOOK_URL")):
        found.append("Neither PUBLIC_URL nor SANDBOX_WEBHOOK_URL says where webhooks go.")
    if os.environ.get("STRIPE_SECRET_KEY", "").startswith(("sk_live_", "rk_live_")):
        found.append("STRIPE_SECRET_KEY is a live key.")
    return found


def serve() -> None:
    """Serve with a thread for each connection: a slow answer is one of the things a sandbox plays."""
    # Not before the environment is known to be right.
    os.environ["DJANGO_SETTINGS_MODULE"] = "sandbox.settings"
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application
    from django.urls import get_resolver

    from sandbox import clock, idempotency, settings

    class Server(ThreadedWSGIServer):
        request_queue_size = 128
        daemon_threads = True

    class Handler(WSGIRequestHandler):
        # Head and body are two writes; without this the second waits 40 ms for the first to be acknowledged.
        disable_nagle_algorithm = True

    application = get_wsgi_application()
    get_resolver().url_patterns  # noqa: B018 (every view is imported now, not while the first caller waits)
    server = Server((settings.HOST, settings.PORT), Handler, ipv6=":" in settings.HOST)
    server.set_app(application)
    for number in (signal.SIGTERM, signal.SIGINT):
        # From another thread: shutdown() waits for the loop that this signal has interrupted.
        signal.signal(number, lambda *signal_and_frame: threading.Thread(target=server.shutdown).start())
    idempotency.forget_unfinished()
    clock.start()
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    if found := refusals():
        sys.exit("The sandbox cannot start: " + " ".join(found))
    serve()
