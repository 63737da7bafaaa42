"""The JSON format of the errors that the wallet's endpoints return (contract 2 and 27)."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from foundation.http.envelope import Envelope
from wallet.api.codes import USUAL

ROOT = "/io/wallet/"
# The six endpoints of the seed return errors without a code. So does every unknown address.
BATCH = "deduct/batch"
WITH_CODES = ("refund", "holds", "quote", "funds", "grants", "budgets")


class WalletEnvelope(Envelope):
    """An error is `{"error": sentence, "code": code}`; the endpoints of the seed leave the code out."""

    def body(
        self,
        path: str,
        sentence: str,
        *,
        method: str,
        status: int,
        code: str = "",
        facts: Mapping[str, Any] | None = None,
        **left_out: Any,
    ) -> dict[str, Any]:
        """Return the body of an error. It has one sentence and no details."""
        body: dict[str, Any] = {"error": sentence}
        name = path.rstrip("/").removeprefix(ROOT)
        # Some callers read only `allowed`. So every error that refuses a charge or a hold has it.
        if name in ("deduct", BATCH) or (name == "holds" and method not in ("GET", "HEAD")):
            body = {"allowed": False, **body}
        if name == BATCH or name.partition("/")[0] in WITH_CODES:
            body |= {"code": code or USUAL[HTTPStatus(status)], **(facts or {})}
        return body

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
