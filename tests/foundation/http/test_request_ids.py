"""X-Request-ID: on every answer, from a view or from a middleware."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

PATH = "/io/wallet/rates"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/io/wallet/balance", 401),
        ("/io/wallet/rates", 200),
        ("/io/wallet/deduct", 405),
        ("/io/wallet/nothing", 404),
        ("/nothing", 404),
        ("/", 302),
        ("/docs", 200),
        ("/schema", 200),
        ("/health", 200),
        ("/admin/", 302),
        ("/static/nothing.css", 404),
        ("/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css", 200),
    ],
)
def test_every_answer_has_an_id(path, status):
    response = Client(raise_request_exception=False).get(path)
    assert response.status_code == status
    assert response["X-Request-ID"].startswith("req_")


def test_two_answers_have_two_ids(as_anonymous):
    assert as_anonymous.get(PATH)["X-Request-ID"] != as_anonymous.get(PATH)["X-Request-ID"]


def test_a_callers_own_id_comes_back_if_it_is_harmless(as_anonymous):
    def answered(sent: str) -> str:
        return as_anonymous.client.get("/io/wallet/rates", headers={"X-Request-ID": sent})["X-Request-ID"]

    assert answered("trace-1.2_3") == "trace-1.2_3"
    assert answered("x" * 128) == "x" * 128
    for harmful in ("", "x" * 129, "a b", "a\nb", "é", "<script>", 'a"b', "\x1b[31m", "a;b"):
        assert answered(harmful).startswith("req_")
