"""The fields of creators' records. The API and the dashboard both check their input with these fields."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import TextChoices
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from foundation import money
from foundation.http.fields import REQUIRED, PlainText, StrictText
from monetization.models import EMAIL_LENGTH, URL_LENGTH
from monetization.privacy.placeholders import is_erased

DEFAULT_CURRENCY = "USD"


class Message(PlainText):
    """Plain text that may have several lines."""

    def is_printable(self, text: str) -> bool:
        return super().is_printable(text.replace("\r\n", "").replace("\n", ""))


@extend_schema_field({"type": "string", "format": "email", "maxLength": EMAIL_LENGTH})
class Email(StrictText):
    """One bare e-mail address, without quotes and without text that could add a line to a mail header."""

    TRICK = re.compile('"|%0[ad]', re.IGNORECASE)
    default_error_messages: ClassVar[dict[str, Any]] = {"email": "must be an e-mail address"}

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=EMAIL_LENGTH, **options)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        # The address is also stored in lower case (`reader`). Some letters become longer in lower case.
        if self.TRICK.search(text) or len(text) <= EMAIL_LENGTH < len(text.lower()):
            self.fail("email")
        # Refuse the stand-in of an erased reader: pages would show a new reader with this address as erased.
        if is_erased(text):
            self.fail("email")
        try:
            validate_email(text)
        except ValidationError:
            self.fail("email")
        return text


@extend_schema_field({"type": "string", "format": "uri", "maxLength": URL_LENGTH})
class WebAddress(StrictText):
    """A web address without credentials. We show it and never fetch it."""

    # Printable ASCII characters, except space, ", <, > and backslash.
    PLAIN = re.compile(r"[!#-;=?-\[\]^_a-z~%|{}`]+", re.IGNORECASE)
    HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?\.?|[0-9a-f]*:[0-9a-f:.]+")
    default_error_messages: ClassVar[dict[str, Any]] = {
        "url": "must be an {schemes} address without credentials"
    }

    def __init__(self, *schemes: str, **options: Any) -> None:
        self.schemes = schemes
        super().__init__(max_length=URL_LENGTH, **options)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not self._is_fit(text):
            self.fail("url", schemes=" or ".join(self.schemes))
        return text

    def _is_fit(self, text: str) -> bool:
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            return False
        host = parts.hostname or ""
        return (
            bool(self.PLAIN.fullmatch(text))
            and parts.scheme in self.schemes
            and text.lower().startswith(f"{parts.scheme}://")
            and "@" not in parts.netloc
            and bool(self.HOST.fullmatch(host))
            and (port is None or 0 < port < 65536)
        )


@extend_schema_field({"type": "string", "pattern": "^[A-Za-z]{3}$"})
class Currency(StrictText):
    """An ISO 4217 code of the allow-list, in upper or lower case. It is stored in upper case."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "currency": "must be an ISO 4217 currency code we know"
    }

    def to_internal_value(self, data: Any) -> str:
        code = super().to_internal_value(data)
        if not code.isascii() or not money.is_currency(code.upper()):
            self.fail("currency")
        return code.upper()


class ExactChoice(serializers.ChoiceField):
    """Accepts exactly one of the words. DRF's own field would accept the number 1 for the word "1"."""

    default_error_messages: ClassVar[dict[str, Any]] = REQUIRED | {"invalid_choice": "must be one of {words}"}

    def __init__(self, words: type[TextChoices], **options: Any) -> None:
        super().__init__(choices=words.choices, **options)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", words=", ".join(self.choices))
        return data


def out_of_step(accepted: Mapping[str, Any], field: str) -> dict[str, list[str]]:
    """Return an error if the amount cannot be charged in its currency; otherwise an empty dict."""
    amount, currency = accepted.get(field), accepted.get("currency")
    if amount is None or currency is None or amount % money.step_of(currency) == 0:
        return {}
    return {field: [f"must be a multiple of {money.step_of(currency)} in {currency}"]}
