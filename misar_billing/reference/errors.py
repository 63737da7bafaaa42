"""The table of the wallet's error codes: the statuses of each, and what a program does about it."""

from dataclasses import dataclass

from django.utils.safestring import SafeString

from misar_billing.reference.prose import inline
from wallet.api.codes import Code


@dataclass(frozen=True)
class Row:
    """A code with its statuses. `remedy` says what the caller does next."""

    code: Code
    statuses: str
    remedy: str

    @property
    def text(self) -> SafeString:
        """What the code means, and what to do."""
        return inline(f"{self.code.label} {self.remedy}")


FIX = "Correct the request."
ASK = "Ask the operators for a key with this right."
OTHER_KEY = "Use another key, if the work really is to be charged again."
SAME_KEY = "Send it again after `Retry-After`, with the same key."

TABLE = (
    Row(Code.INVALID, "400", FIX),
    Row(Code.UNKNOWN_FEATURE, "400", "Use a feature of the rates. Don't do the work: it is never free."),
    Row(Code.NO_CREDENTIALS, "401, 403", "Send the header. See [Credentials](#credentials)."),
    Row(Code.WRONG_CREDENTIALS, "401, 403", "Get a new token. A service key may have been revoked."),
    Row(Code.MAY_NOT_READ, "403", ASK),
    Row(Code.MAY_NOT_CHARGE, "403", ASK),
    Row(Code.MAY_NOT_REFUND, "403", ASK),
    Row(Code.MAY_NOT_GRANT, "403", ASK),
    Row(Code.FEATURE_NOT_ALLOWED, "403", "Treat it as denied, and don't retry."),
    Row(Code.NOT_YOURS, "403", "With an access token, leave `user_id` out."),
    Row(Code.NOT_FOUND, "404", "Check the id and the user. Paths have no slash at their end."),
    Row(Code.WRONG_METHOD, "405", FIX),
    Row(Code.TOO_SLOW, "408", "Send it again, with the same key."),
    Row(Code.KEY_REUSED, "409", "Derive the key from the work, so that other work has another key."),
    Row(Code.KEY_ENDED, "409", OTHER_KEY),
    Row(Code.HOLD_CAPTURED, "409", "Nothing: the work is paid for."),
    Row(Code.HOLD_VOIDED, "409", "Hold again with another key, or charge."),
    Row(Code.HOLD_EXPIRED, "409", "Charge with `deduct`. Next time, extend the hold before it expires."),
    Row(Code.HOLD_TOO_OLD, "409", "Capture what is done, and hold again for the rest."),
    Row(Code.NOTHING_LEFT, "409", "Give back at most `refundable`."),
    Row(Code.OVER_CAP, "409", "Grant at most `left`, or wait for the next month."),
    Row(Code.TOO_MANY, "409", "Wait until one has ended."),
    Row(Code.CONFLICT, "409", "Read what is recorded."),
    Row(Code.TOO_LARGE, "413", "Send less in one request."),
    Row(Code.NOT_JSON, "415", "Send `Content-Type: application/json`."),
    Row(Code.SLOW_DOWN, "429", SAME_KEY),
    Row(Code.FAILED, "500", "Send it again, with the same key. Report the `X-Request-ID`."),
    Row(Code.TRY_AGAIN, "503", SAME_KEY),
)
