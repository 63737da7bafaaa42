"""`check --deploy` refuses settings that trust hosts of other people, and passwords of other roles."""

import pytest

from misar_billing.checks import (
    no_setting_lets_every_host_in,
    receipts_name_their_issuer,
    the_service_has_no_password_of_others,
)
from tests.misar_billing.test_image import image as image
from tests.misar_billing.test_image import run
from tests.misar_billing.test_settings import read, refusal


@pytest.fixture
def production(settings):
    settings.PUBLIC_URL = "https://billing.misar.io"
    settings.ALLOWED_HOSTS = ["billing.misar.io", ".pay.misar.io"]
    settings.CSRF_TRUSTED_ORIGINS = []
    settings.TRUSTED_PROXIES = []
    settings.RETURN_URL_HOSTS = ["misar.io", "*.misar.io"]
    settings.CHECKOUT_ORIGINS = ["https://checkout.stripe.com"]
    return settings


def found() -> list[tuple[str | None, str]]:
    errors = no_setting_lets_every_host_in(None)
    assert all(error.hint for error in errors)
    return [(error.id, error.msg) for error in errors]


WRONG = [
    ("misar.E004", "ALLOWED_HOSTS", ["*", ".io", "com"]),
    (
        "misar.E005",
        "CSRF_TRUSTED_ORIGINS",
        [
            *("https://misar.io", "https://misar.blog", "https://billing.misar.io.example.com"),
            *("http://billing.misar.io", "https://*.misar.io", "https://*", "https://evilbilling.misar.io"),
            "billing.misar.io",
        ],
    ),
    ("misar.E006", "TRUSTED_PROXIES", ["*", "0.0.0.0/0", "::/0", "8.0.0.0/8", "2000::/3", "proxy.internal"]),
    ("misar.E007", "RETURN_URL_HOSTS", ["*", "*.io", "*.*", "io"]),
    (
        "misar.E008",
        "CHECKOUT_ORIGINS",
        [
            *("http://127.0.0.1:8001", "https://127.0.0.1:8001", "https://localhost", "https://[::1]:8001"),
            *("http://pay.misar.io", "https://0.0.0.0", "https://pay.localhost", ""),
        ],
    ),
]
RIGHT = {
    "ALLOWED_HOSTS": ["billing.misar.io", ".misar.io", "10.0.0.7"],
    "CSRF_TRUSTED_ORIGINS": [
        *("https://billing.misar.io", "https://www.billing.misar.io", "https://*.billing.misar.io"),
        *("https://eu.pay.misar.io", "https://billing.misar.io:8443"),
    ],
    "TRUSTED_PROXIES": ["172.31.255.0/28", "172.16.0.0/12", "10.0.0.0/8", "::1", "fd00::/8", "203.0.113.7"],
    "RETURN_URL_HOSTS": ["misar.io", "*.misar.io"],
    "CHECKOUT_ORIGINS": ["https://checkout.stripe.com", "https://pay.misar.io"],
}


@pytest.mark.parametrize(
    ("number", "name", "value"), [(number, name, value) for number, name, values in WRONG for value in values]
)
def test_a_setting_that_lets_other_people_in_is_an_error(production, number, name, value):
    setattr(production, name, [*getattr(production, name), value])
    assert found() == [(number, f"{name} has {value!r}.")]


@pytest.mark.parametrize("name", RIGHT)
def test_settings_of_a_real_deployment_are_not(production, name):
    setattr(production, name, RIGHT[name])
    assert found() == []


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "OPERATOR_DATABASE_URL", "RUNTIME_DATABASE_URL"])
def test_a_password_of_an_earlier_compose_file_is_an_error_that_does_not_show_it(monkeypatch, name):
    assert the_service_has_no_password_of_others(None) == []
    monkeypatch.setenv(name, "the-passw0rd")
    [error] = the_service_has_no_password_of_others(None)
    assert (error.id, error.msg) == ("misar.E009", f"{name} is in the environment of this process.")
    assert "passw0rd" not in str(error)


@pytest.mark.parametrize("missing", [("ISSUER_NAME",), ("ISSUER_ADDRESS", "ISSUER_TAX_NUMBER")])
def test_receipts_without_their_issuer_are_a_warning(settings, missing):
    settings.ISSUER_NAME, settings.ISSUER_ADDRESS, settings.ISSUER_TAX_NUMBER = "Misar", ["1 Road"], "MT1"
    assert receipts_name_their_issuer(None) == []
    for name in missing:
        setattr(settings, name, type(getattr(settings, name))())
    [warning] = receipts_name_their_issuer(None)
    assert (warning.id, warning.msg) == ("misar.W003", f"{' and '.join(missing)} not set.")


def test_the_image_does_not_start_with_them(image):
    wrong = {name: values[0] for _, name, values in WRONG if name != "CHECKOUT_ORIGINS"}
    refused = run(image, "manage.py", "check", "--deploy", **wrong, POSTGRES_PASSWORD="the-passw0rd")
    assert refused.returncode == 1
    for number in ("E004", "E005", "E006", "E007", "E009"):
        assert f"(misar.{number})" in refused.stderr
    assert "passw0rd" not in refused.stderr


@pytest.mark.parametrize("origin", ["https://127.0.0.1:8001", "https://localhost"])
def test_the_payment_page_of_a_sandbox_stops_every_command(monkeypatch, origin):
    assert "CHECKOUT_ORIGINS names this machine" in refusal(monkeypatch, CHECKOUT_ORIGINS=origin)


def test_the_defaults_of_production_pass(monkeypatch, production):
    for name in RIGHT:
        setattr(production, name, read(monkeypatch)[name])
    assert found() == []
