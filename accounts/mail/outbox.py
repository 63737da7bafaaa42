"""Mail: written down with what it tells of, sent later, by a process of its own.

A mail is a row of the same transaction: what is undone mails nothing, and no caller waits for a mail server.
Nothing that goes wrong with a mail stops its caller.
"""

import logging
import re
import smtplib
import traceback
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parseaddr
from functools import wraps
from typing import Any, ParamSpec

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.validators import validate_email
from django.db import connection, transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.models import SUBJECT_LENGTH, OutgoingMail, User
from foundation import erased_texts

logger = logging.getLogger(__name__)

P = ParamSpec("P")
State = OutgoingMail.State

# After the first failure, the second, ...; after one more the mail is given up.
PAUSES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=12),
)
TRIES_MAX = len(PAUSES) + 1
# How long a mail belongs to the sender that took it. An SMTP dialogue is a dozen answers, each waited for
# EMAIL_TIMEOUT (10 s) at most.
CLAIM = timedelta(minutes=5)
# How long a mail waits for a mail server that cannot be reached; after that, it would only surprise.
WAITED_MAX = timedelta(days=7)
KEPT = timedelta(days=30)
PRUNED_AT_ONCE = 1000

EMPTY = {"to": "", "subject": "", "text": "", "html": ""}
SMTP_STATUS = re.compile(r"\d\.\d{1,3}\.\d{1,3}\b", re.ASCII)


@dataclass(frozen=True)
class Kind:
    """A kind of mail as its switch on the account page names it."""

    label: str
    sentence: str


# By name, in the order of the switches.
KINDS: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    """Name a kind of mail that an app sends."""
    KINDS[name] = kind


@dataclass(frozen=True)
class Outcome:
    """What one round of sending came to, in mails. `waiting` is what is left, due or not."""

    sent: int
    failed: int
    given_up: int
    waiting: int

    def __str__(self) -> str:
        return f"{self.sent} sent, {self.failed} failed, {self.given_up} given up"


# --- What a user wants --------------------------------------------------------------------------------


def wants(user: User, kind: str) -> bool:
    """Whether the user has left this kind of mail on."""
    return kind not in user.mails_off


def set_switches(user: User, on: set[str]) -> None:
    """Switch these kinds on and all others of KINDS off; kinds that KINDS does not know stay as they are."""
    with transaction.atomic():
        # Not a key of theirs is touched, so rows that refer to this user do not wait.
        locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        unknown = [kind for kind in locked.mails_off if kind not in KINDS]
        locked.mails_off = unknown + [kind for kind in KINDS if kind not in on]
        locked.save(update_fields=["mails_off"])
    user.mails_off = locked.mails_off


# --- Writing ------------------------------------------------------------------------------------------


def never_in_the_way(verb: Callable[P, None]) -> Callable[P, None]:
    """Let a verb that prepares a mail fail alone: what it did is undone, its caller's transaction goes on.

    Only where that transaction itself is lost does the error go on to the caller, who has failed as well.
    Where mail is off, nothing is done at all.
    """

    @wraps(verb)
    def alone(*args: P.args, **kwargs: P.kwargs) -> None:
        if not settings.MAIL_ENABLED:
            return
        try:
            with transaction.atomic():
                verb(*args, **kwargs)
        except Exception as error:
            # Swallowed here, a lost transaction would end in a silent rollback that looks like success.
            if connection.needs_rollback or connection.closed_in_transaction:
                raise
            # Where and of which kind. A message or a traceback may quote the address.
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = type(error).__name__
            logger.error("A mail was not written: %s in %s, line %s", kind, where.filename, where.lineno)

    return alone


@never_in_the_way
def queue(
    *,
    user: User | None,
    to: str,
    kind: str,
    fact: str,
    subject: str,
    template: str,
    context: Mapping[str, Any],
) -> None:
    """Write a mail down in the caller's transaction; it goes out once that is committed.

    `template` is a path without its ending: .txt and .html are rendered now, with `public_url` and `kind`
    besides the context. `fact` is the kind and what it tells of, such as receipt:top_...: the same fact
    is never told twice. Nothing is written where mail is off, where the user switched this kind off, or
    where there is no usable address. Never raises on the mail's account.
    """
    if not is_address(to) or (user is not None and not wants(user, kind)):
        return
    full = {"public_url": settings.PUBLIC_URL, "kind": KINDS[kind], **context}
    subject = one_line(subject, SUBJECT_LENGTH)
    mail = OutgoingMail(
        user=user,
        to=to,
        kind=kind,
        fact=fact,
        subject=subject,
        text=_storable(render_to_string(f"{template}.txt", full | {"subject": subject})),
        html=_storable(render_to_string(f"{template}.html", full | {"subject": subject})),
    )
    OutgoingMail.objects.bulk_create([mail], ignore_conflicts=True)


def is_address(to: str) -> bool:
    """Whether this is one bare e-mail address that a mail can be sent to."""
    try:
        validate_email(to)
    except ValidationError:
        return False
    return True


def one_line(text: str, length: int) -> str:
    """A text on one line of at most `length` characters, without anything that would break or hide it."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _storable(text: str) -> str:
    # PostgreSQL takes neither.
    return text.replace("\0", "").encode(errors="replace").decode()


# --- Sending ------------------------------------------------------------------------------------------


def send_due(limit: int, *, go_on: Callable[[], bool] = lambda: True) -> Outcome:
    """Send up to `limit` mails that are due, oldest first, over one connection; `go_on` is asked before each.

    Any number of processes may do this at once. A mail that fails waits longer each time and does not
    stop the others; a mail server that cannot be reached ends the round, since it would fail them all.
    """
    counts = {State.SENT: 0, State.WAITING: 0, State.FAILED: 0}
    with closing(_Line()) as line:
        for _ in range(limit):
            mail = _claim() if go_on() else None
            if mail is None:
                break
            error = line.send(mail)
            counts[_record(mail, error, reached=not line.is_dead)] += 1
            if line.is_dead:
                break
    return Outcome(
        sent=counts[State.SENT],
        failed=counts[State.WAITING],
        given_up=counts[State.FAILED],
        waiting=OutgoingMail.objects.filter(state=State.WAITING).count(),
    )


def prune() -> int:
    """Forget mails that ended more than 30 days ago; how many."""
    before = timezone.now() - KEPT
    ended = OutgoingMail.objects.filter(
        Q(sent_at__lt=before) | Q(given_up_at__lt=before), created_at__lt=before
    )
    pruned = 0
    while True:
        # By portions, so that no statement meets its deadline.
        count, _ = OutgoingMail.objects.filter(pk__in=ended.values("pk")[:PRUNED_AT_ONCE]).delete()
        pruned += count
        if not count:
            return pruned


def forget(address: str) -> int:
    """Drop every mail that waits for this address, in any case, with all it says; how many.

    One that a sender has in its hands at this moment may still arrive.
    """
    return _drop(Q(to__iexact=address))


def withdraw(facts: Collection[str]) -> int:
    """Drop the mails that wait to tell these facts, with all they say; how many.

    One that a sender has in its hands at this moment may still arrive.
    """
    return _drop(Q(fact__in=facts))


def withdraw_naming(email: str) -> None:
    """Drop the mails that wait and say this address anywhere, in any case.

    Dropped whole, not rewritten: one that goes out at this very moment must end empty all the same.
    """
    pattern = erased_texts.pattern_of(email)
    may_hold = Q()
    for field in ("subject", "text", "html"):
        may_hold |= erased_texts.may_hold(email, field)
    waiting = OutgoingMail.objects.filter(may_hold, state=State.WAITING)
    withdraw(
        [
            mail.fact
            for mail in waiting.iterator()
            if pattern.search(f"{mail.subject}\n{mail.text}\n{mail.html}")
        ]
    )


def _drop(which: Q) -> int:
    waiting = OutgoingMail.objects.filter(which, state=State.WAITING)
    return waiting.update(state=State.DROPPED, given_up_at=timezone.now(), **EMPTY)


def _claim() -> OutgoingMail | None:
    """The next mail that is due, taken for CLAIM and counted as tried.

    No lock is held while a mail server is spoken to: that may take minutes, PostgreSQL ends a transaction
    that idles for ten seconds, and whoever erases an address must not wait for it. A sender that dies has
    failed its try, and the mail is due again when the claim has run out.
    """
    while True:
        with transaction.atomic():
            now = timezone.now()
            due = OutgoingMail.objects.filter(state=State.WAITING, next_try_at__lte=now)
            free = due.select_for_update(skip_locked=True, of=("self",)).select_related("user")
            mail = free.order_by("next_try_at").first()
            if mail is None:
                return None
            if mail.user is None or wants(mail.user, mail.kind):
                mail.tries += 1
                mail.next_try_at = now + CLAIM
                mail.save(update_fields=["tries", "next_try_at"])
                return mail
            _drop(Q(pk=mail.pk))  # Switched off since it was written.


def _record(mail: OutgoingMail, error: Exception | None, *, reached: bool) -> OutgoingMail.State:
    """Write down what came of a try: sent, waiting for another, or failed for good.

    Where no server was reached, or it did not let us in, the mail itself was not tried: it waits, for days.
    """
    now = timezone.now()
    # Of this very try: where the claim ran out, the mail is somebody else's by now.
    ours = OutgoingMail.objects.filter(pk=mail.pk, state=State.WAITING, tries=mail.tries)
    if error is None:
        ours.update(state=State.SENT, sent_at=now, last_error="", **EMPTY)
        return State.SENT
    words = _kind_of(error)
    if not reached and now < mail.created_at + WAITED_MAX:
        ours.update(next_try_at=now + PAUSES[0], tries=mail.tries - 1, last_error=words)
        logger.warning("Mail %s (%s) waits, no mail server took it: %s", mail.pk, mail.kind, words)
        return State.WAITING
    if reached and mail.tries < TRIES_MAX:
        ours.update(next_try_at=now + PAUSES[mail.tries - 1], last_error=words)
        logger.warning("Mail %s (%s) failed, try %s: %s", mail.pk, mail.kind, mail.tries, words)
        return State.WAITING
    ours.update(state=State.FAILED, given_up_at=now, last_error=words, **EMPTY)
    logger.error("Mail %s (%s) was given up after %s tries: %s", mail.pk, mail.kind, mail.tries, words)
    return State.FAILED


def _kind_of(error: Exception) -> str:
    """A failure without its words, since a mail server's often quote the address."""
    kind = type(error).__name__
    code: int
    words: bytes | str
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        [(code, words)] = list(error.recipients.values())[:1] or [(0, b"")]
    elif isinstance(error, smtplib.SMTPResponseException):
        code, words = error.smtp_code, error.smtp_error
    else:
        return kind
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    status = SMTP_STATUS.match(text)
    return f"{kind} {code} {status[0]}" if status else f"{kind} {code}"


class _Line:
    """A connection to the mail server: made when first needed, and anew after a failure."""

    def __init__(self) -> None:
        self.backend: BaseEmailBackend = get_connection()
        self.is_dead = False

    def send(self, mail: OutgoingMail) -> Exception | None:
        """Hand one mail over; the failure, if it was one. `is_dead` when there was nobody to hand it to."""
        try:
            self.backend.open()
        except Exception as error:  # Of any backend, none of which may end the process.
            self.is_dead = True
            return error
        try:
            taken = message_of(mail, self.backend).send()
            return None if taken else smtplib.SMTPException("nothing was taken")
        except Exception as error:
            self.close()  # What state the dialogue is in is not known.
            return error

    def close(self) -> None:
        with suppress(OSError):  # Which every SMTPException is.
            self.backend.close()


def message_of(mail: OutgoingMail, backend: BaseEmailBackend | None = None) -> EmailMultiAlternatives:
    """The mail as it goes out: plain text, with the HTML beside it."""
    _, sender = parseaddr(settings.DEFAULT_FROM_EMAIL)
    message = EmailMultiAlternatives(
        subject=mail.subject,
        body=mail.text,
        to=[mail.to],
        connection=backend,
        headers={
            # The same for each try, so that a repetition can be recognised.
            "Message-ID": f"<{mail.pk}@{sender.rpartition('@')[2]}>",
            "Auto-Submitted": "auto-generated",
            "List-Unsubscribe": f"<{settings.PUBLIC_URL}/account>",
        },
    )
    message.attach_alternative(mail.html, "text/html")
    return message
