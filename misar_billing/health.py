"""`GET /health`: can this process take work?"""

from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse


def answer_health(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, before the host check and any redirect: a probe knows neither our name nor TLS."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path != "/health":
            return get_response(request)
        if request.method not in {"GET", "HEAD"}:
            return JsonResponse({"error": "Method not allowed"}, status=405, headers={"Allow": "GET, HEAD"})
        trouble = database_trouble()
        body = {"status": "unavailable", "reason": trouble} if trouble else {"status": "ok"}
        return JsonResponse(body, status=503 if trouble else 200, headers={"Cache-Control": "no-store"})

    return middleware


def database_trouble() -> str | None:
    """Why the books cannot be written, in a few words; None when they can."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('transaction_read_only') = 'on', to_regclass('wallet_wallet')"
            )
            read_only, books = cursor.fetchone()
    except (DatabaseError, InterfaceError):
        return "the database is out of reach"
    if read_only:
        return "the database is read-only"
    return None if books else "the database has no tables yet; run migrate"
