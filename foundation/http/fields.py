"""Strict fields and serializers for request bodies (contract 5).

An integer must be a JSON integer. A text must be a JSON string, and it is never trimmed. (DRF's own fields
read `"2"` as 2 and turn numbers into text.) An error message has no subject and begins in lower case, as in
"must be text"; the envelope makes a sentence from it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from foundation.text import is_printable, is_printable_in_ids, is_visible

WIRE_TIME = "%Y-%m-%dT%H:%M:%SZ"  # A UTC time in whole seconds (contract 3).
REQUIRED = {"required": "is required", "null": "is required"}


class StrictInteger(serializers.IntegerField):
    """A field that accepts only a JSON integer. It refuses `"2"`, `2.0`, `1e2` and `true`."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        **REQUIRED,
        "invalid": "must be an integer",
        "min_value": "must be at least {min_value}",
        "max_value": "must be at most {max_value}",
    }

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return data


class StrictText(serializers.CharField):
    """A field for an id: a JSON string of 1 to `max_length` printable characters. It is never trimmed.

    At least one character must be visible. With `allow_blank`, the text may also be "".
    """

    default_error_messages: ClassVar[dict[str, Any]] = {
        **REQUIRED,
        "blank": "must not be empty",
        "invalid": "must be text",
        "unprintable": "must hold printable characters only",
        "max_length": "must be at most {max_length} characters",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        # DRF's own method trims the text before it checks whether the text is empty.
        if data == "":
            if not self.allow_blank:
                self.fail("blank")
            return ""
        return super(serializers.CharField, self).run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if not self.is_printable(data):
            self.fail("unprintable")
        if not is_visible(data):
            self.fail("blank")
        return data

    def is_printable(self, text: str) -> bool:
        """Return whether this field accepts each character of the text."""
        return is_printable_in_ids(text)


class PlainText(StrictText):
    """A field for free text, which people write in any script. At least one character must be visible."""

    def is_printable(self, text: str) -> bool:
        return is_printable(text)


@extend_schema_field(OpenApiTypes.DATETIME)
class Moment(serializers.Field):
    """A field for a time in ISO 8601.

    A time without an offset is in UTC, and a date without a time means midnight. Fractions of a second are
    cut off.
    """

    default_error_messages: ClassVar[dict[str, Any]] = REQUIRED | {"invalid": "must be a time in ISO 8601"}
    SHAPE = re.compile(
        r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|z|[+-]\d{2}(?::?[0-5]\d)?)?)?",
        re.ASCII,
    )

    def to_internal_value(self, data: Any) -> datetime:
        if not isinstance(data, str) or len(data) > 64 or not self.SHAPE.fullmatch(data):
            self.fail("invalid")
        try:
            moment = self._read(data)
            return self._rounded(moment.astimezone(UTC))
        except (ValueError, OverflowError):
            self.fail("invalid")

    def to_representation(self, value: datetime) -> str:
        # strftime would write the year 999 with three digits, so isoformat is used.
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"

    def _rounded(self, moment: datetime) -> datetime:
        return moment.replace(microsecond=0)

    def _read(self, text: str) -> datetime:
        if day := parse_date(text):
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = parse_datetime(text.replace("z", "Z"))
        if moment is None:
            raise ValueError(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class ExactMoment(Moment):
    """A field for a time in ISO 8601, to the microsecond."""

    def _rounded(self, moment: datetime) -> datetime:
        return moment


class StrictSerializer(serializers.Serializer):
    """The fields of a request body. `null` in an optional field means absent. Unknown fields are ignored."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "The body must be a JSON object"}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        # A body of `null` is not an object. DRF would treat it as a missing body.
        return super().run_validation([] if data is None else data)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError({"non_field_errors": [self.error_messages["invalid"]]})
        accepted: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for field in self._writable_fields:
            name = str(field.field_name)
            value = data.get(name, serializers.empty)
            if value is None and not field.required:
                value = serializers.empty
            try:
                accepted[name] = field.run_validation(value)
            except serializers.ValidationError as error:
                errors[name] = error.detail
            except serializers.SkipField:
                continue
        # DRF compares fields only if each field is valid. Here the caller gets all errors in one answer.
        errors = dict(self.across(accepted)) | errors
        if errors:
            raise serializers.ValidationError(errors)
        return accepted

    def across(self, accepted: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return the errors of fields that do not fit together, by field. `accepted` has the valid fields."""
        return {}
