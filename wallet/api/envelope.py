"""How the wallet's errors look on the wire (contract 2)."""

import re
from collections.abc import Mapping
from typing import Any

from foundation.http.envelope import Envelope


class WalletEnvelope(Envelope):
    """`{"error": ...}`; a charge that failed also says `"allowed": false`."""

    def body(self, path: str, sentence: str, **left_out: Any) -> dict[str, Any]:
        """The body of an error. It holds one sentence, and no details."""
        # A caller of deduct that reads only `allowed` must be denied by every answer but 200.
        denied = {"allowed": False} if path.rstrip("/") == "/io/wallet/deduct" else {}
        return denied | {"error": sentence}

    def of_validation(self, found: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
        """The first error as a sentence."""
        return sentence_of(found), None


def sentence_of(details: Mapping[str, Any]) -> str:
    """The first validation error as one sentence.

    A message in lower case is a predicate and gets its field's name, in snake case as in the documented
    `amount_dollars must be an integer`. A message that begins with a capital is a sentence already.
    """
    if details["formErrors"]:
        return str(details["formErrors"][0])
    name, found = next(iter(details["fieldErrors"].items()))
    if found[0][:1].isupper():
        return str(found[0])
    snake = re.sub("([A-Z])", r"_\1", name).lower()
    return f"{snake} {found[0]}"
