"""The JSON format of the errors that the wallet's endpoints return (contract 2)."""

import re
from collections.abc import Mapping
from typing import Any

from foundation.http.envelope import Envelope


class WalletEnvelope(Envelope):
    """An error is `{"error": ...}`. If a charge failed, the body also has `"allowed": false`."""

    def body(self, path: str, sentence: str, **left_out: Any) -> dict[str, Any]:
        """Return the body of an error. It has one sentence and no details."""
        # Some callers of deduct read only `allowed`. So every error of deduct must say `"allowed": false`.
        denied = {"allowed": False} if path.rstrip("/") == "/io/wallet/deduct" else {}
        return denied | {"error": sentence}

    def of_validation(self, found: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
        """Return the first error as a sentence, without details."""
        return sentence_of(found), None


def sentence_of(details: Mapping[str, Any]) -> str:
    """Return the first validation error as one sentence.

    If the message begins in lower case, the field's name in snake case is put before it. An example from the
    API's documentation is `amount_dollars must be an integer`. A message that begins with a capital letter is
    already a full sentence and stays as it is.
    """
    if details["formErrors"]:
        return str(details["formErrors"][0])
    name, found = next(iter(details["fieldErrors"].items()))
    if found[0][:1].isupper():
        return str(found[0])
    snake = re.sub("([A-Z])", r"_\1", name).lower()
    return f"{snake} {found[0]}"
