"""Show what Stripe sent: the JSON of an event, indented and without secrets."""

import json
from typing import Any

from django.utils.html import format_html

SHOWN_MAX = 200_000  # Characters. Stripe's own events have a few thousand.
HIDDEN = "(hidden)"
# With it, a browser can pay or confirm in the customer's name.
SECRETS = {"client_secret"}


HTML = """<div class="payload">
<p><button type="button" class="link-button" data-copy="payload" hidden>Copy the JSON</button>
<span class="small" role="status" data-copied></span></p>
<pre id="payload" tabindex="0" role="region" aria-label="What Stripe sent">{}</pre>
</div>"""


def as_html(payload: str) -> str:
    """Return the payload of an event for a page: it scrolls by itself, and a button copies all of it."""
    return format_html(HTML, as_text(payload))


def as_text(payload: str) -> str:
    """Return a payload as indented JSON. One that cannot be parsed is returned as Stripe sent it.

    At most SHOWN_MAX characters are returned, and then how many are left out. If a payload that cannot be
    parsed names a secret, nothing of it is returned.
    """
    try:
        text = json.dumps(_without_secrets(json.loads(payload)), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = "It cannot be read, and may hold a secret." if any(map(payload.count, SECRETS)) else payload
    # UTF-8 cannot encode half of a surrogate pair, so it is shown as an escape sequence.
    text = text.encode(errors="backslashreplace").decode()
    if (left_out := len(text) - SHOWN_MAX) > 0:
        return f"{text[:SHOWN_MAX]}\n… and {left_out:,} more characters"
    return text


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if isinstance(value, dict):
        return {
            name: HIDDEN if name in SECRETS and item else _without_secrets(item)
            for name, item in value.items()
        }
    return value
