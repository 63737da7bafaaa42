"""The colour of each state, by the word that pages write for it.

A model's choices have the words. A word has one colour on all pages: the dashboard's, the wallet's and the
back-office's. Templates write `{% tag tip.get_state_display %}`, and Python writes `tag(word)`.
"""

from typing import Literal

from django.template.loader import render_to_string

Tone = Literal["good", "accent", "warn", "bad", ""]

# Good: as it should be. Accent: still to come, or worth a look. Warn: not settled. Bad: failed, or a person
# must act. Without a colour: over, or not begun.
_WORDS: dict[Tone, tuple[str, ...]] = {
    "good": (
        *("Active", "Paid", "Credited", "Captured", "Handled", "Sent", "Clean", "Finished", "Won", "Done"),
        *("Made at Stripe", "New", "Reactivated"),
    ),
    "accent": (
        *("Upcoming", "Open", "Running", "Resolved by hand", "Credited by hand", "Plan or price changed"),
        *("In transit", "Staff"),
    ),
    "warn": (
        *("Past due", "Pending", "Payment on its way", "Waiting to be handled", "Waiting to be sent"),
        *("No answer from Stripe yet", "Waits for the user's bank details", "Could not look", "Interrupted"),
        "Not credited",
    ),
    "bad": (
        *("Failed", "Given up", "Parked for staff", "Refused by Stripe", "Something found", "Lost"),
        *("Needs an answer", "Inquiry, needs an answer", "Appeal, needs an answer"),
        *("Owes", "Frozen", "May not sign in", "Unknown"),
    ),
    "": (
        *("Ended", "Cancelled", "Expired", "Revoked", "Voided", "Used", "Refunded", "Being created"),
        *("Waiting for payment", "No longer wanted", "Kept for later", "Not ours", "Never ran"),
        *("Closed by hand without credits", "Under review", "Prevented", "Withdrawn"),
        *("Inquiry, under review", "Inquiry closed", "Appeal, under review", "Canceled"),
    ),
}
TONES: dict[str, Tone] = {word: tone for tone, words in _WORDS.items() for word in words}


def tone_of(word: str) -> Tone:
    """Return the name of the colour of a state; "" for no colour, also for a word that is no state."""
    return TONES.get(str(word), "")


def tag(word: str) -> str:
    """Return a state as HTML: its word with its colour."""
    return render_to_string("_tag.html", {"word": word, "tone": tone_of(word)})
