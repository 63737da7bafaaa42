"""`GET /health`: whether this process can handle requests."""

from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

_migrated = False


def answer_health(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: answer /health with 200, or with 503 and a reason.

    It runs before the host check and the redirect to https, because a probe uses neither our host name nor
    TLS.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path != "/health":
            return get_response(request)
        if request.method not in {"GET", "HEAD"}:
            return JsonResponse({"error": "Method not allowed"}, status=405, headers={"Allow": "GET, HEAD"})
        reason = database_trouble()
        body = {"status": "unavailable", "reason": reason} if reason else {"status": "ok"}
        return JsonResponse(body, status=503 if reason else 200, headers={"Cache-Control": "no-store"})

    return middleware


def database_trouble() -> str | None:
    """Return in a few words why the database cannot be used for writing; None if it can be used."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('transaction_read_only') = 'on', to_regclass('wallet_wallet')"
            )
            read_only, books = cursor.fetchone()
        if read_only:
            return "the database is read-only"
        return None if books and is_migrated() else "the database is behind the code; run migrate"
    except (DatabaseError, InterfaceError):
        return "the database is out of reach"


def is_migrated() -> bool:
    """Return whether every migration of this code is applied. A True result is kept for later calls."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated
