"""`python -m sandbox`: serve the stand-ins until SIGTERM or Ctrl-C."""

import os
import signal
import sys
import threading

NEEDED = ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS")


def refusals() -> list[str]:
    """Why the sandbox may not run in this environment, a sentence for each reason."""
    reasons = [f"{name} is not set." for name in NEEDED if not os.environ.get(name, "").strip()]
    if os.environ.get("ENVIRONMENT") != "sandbox":
        reasons.append("ENVIRONMENT is not sandbox, and unset means production.")
    if not (os.environ.get("PUBLIC_URL") or os.environ.get("SANDBOX_WEBHOOK_URL")):
        reasons.append("Neither PUBLIC_URL nor SANDBOX_WEBHOOK_URL says where webhooks go.")
    if os.environ.get("STRIPE_SECRET_KEY", "").startswith(("sk_live_", "rk_live_")):
        reasons.append("STRIPE_SECRET_KEY is a live key.")
    return reasons


def serve() -> None:
    """Serve with a thread for each connection, since the sandbox can be told to answer slowly."""
    # Only now: `refusals` has checked the environment.
    os.environ["DJANGO_SETTINGS_MODULE"] = "sandbox.settings"
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application
    from django.urls import get_resolver

    from sandbox import clock, idempotency, settings

    class Server(ThreadedWSGIServer):
        request_queue_size = 128
        daemon_threads = True

    class Handler(WSGIRequestHandler):
        # Head and body are two writes. With Nagle's algorithm the second waits 40 ms for the first one's ACK.
        disable_nagle_algorithm = True

    application = get_wsgi_application()
    get_resolver().url_patterns  # noqa: B018 (imports every view now, so the first caller need not wait)
    server = Server((settings.HOST, settings.PORT), Handler, ipv6=":" in settings.HOST)
    server.set_app(application)
    for number in (signal.SIGTERM, signal.SIGINT):
        # In another thread: shutdown() waits for the loop that this signal has interrupted.
        signal.signal(number, lambda *signal_and_frame: threading.Thread(target=server.shutdown).start())
    idempotency.forget_unfinished()
    clock.start()
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    if reasons := refusals():
        sys.exit("The sandbox cannot start: " + " ".join(reasons))
    serve()
