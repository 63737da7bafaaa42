"""Mail: written in the transaction of its event, and sent later by another process.

A transaction that is rolled back mails nothing, and no caller waits for a mail server. An error in a mail
never stops its caller.
"""

import logging
import re
import smtplib
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
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

# The pause after the first failure, the second, and so on; after one more the mail is given up.
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 720)]
TRIES_MAX = len(PAUSES) + 1
# How long a mail belongs to the process that sends it. An SMTP dialogue has a dozen answers, and each may
# take EMAIL_TIMEOUT (10 s).
CLAIM = timedelta(minutes=5)
# How long a mail waits for a mail server that cannot be reached. Later it would only surprise its reader.
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
    """Register a kind of mail that an app sends."""
    KINDS[name] = kind


@dataclass(frozen=True)
class Outcome:
    """How many mails one round sent, failed to send, and gave up; `waiting` are left, due or not."""

    sent: int
    failed: int
    given_up: int
    waiting: int

    def __str__(self) -> str:
        return f"{self.sent} sent, {self.failed} failed, {self.given_up} given up"


# --- Switches -----------------------------------------------------------------------------------------


def wants(user: User, kind: str) -> bool:
    """Whether this kind of mail is on for the user; it is until the user switches it off."""
    return kind not in user.mails_off


def set_switches(user: User, on: set[str]) -> None:
    """Switch these kinds on and all others of KINDS off; kinds that are not in KINDS stay as they are."""
    with transaction.atomic():
        # The key does not change, so another process can still write rows that refer to this user.
        locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        unknown = [kind for kind in locked.mails_off if kind not in KINDS]
        locked.mails_off = unknown + [kind for kind in KINDS if kind not in on]
        locked.save(update_fields=["mails_off"])
    user.mails_off = locked.mails_off


# --- Writing ------------------------------------------------------------------------------------------


def isolated(verb: Callable[P, None]) -> Callable[P, None]:
    """If writing the mail fails, roll back the mail only; the caller's transaction goes on.

    The error is raised only if the caller's transaction is lost as well. With mail off, nothing is done.
    """

    @wraps(verb)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        if not settings.MAIL_ENABLED:
            return
        try:
            with transaction.atomic():
                verb(*args, **kwargs)
        except Exception as error:
            # Without this error, a lost transaction would roll back silently and look like a success.
            if connection.needs_rollback or connection.closed_in_transaction:
                raise
            # The kind and the line only: a message or a traceback may quote the address.
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = type(error).__name__
            logger.error("A mail was not written: %s in %s, line %s", kind, where.filename, where.lineno)

    return wrapped


@isolated
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
    """Write a mail in the caller's transaction; it is sent after the commit.

    `template` is a path without its ending: .txt and .html are rendered now, with `public_url`, `kind` and
    `subject` added to the context. `fact` names the event, such as receipt:top_..., and each fact is mailed
    once. Nothing is written if mail is off, if the user switched this kind off, or without a usable address.
    """
    if not is_address(to) or (user is not None and not wants(user, kind)):
        return
    subject = one_line(subject, SUBJECT_LENGTH)
    context = {"public_url": settings.PUBLIC_URL, "kind": KINDS[kind], **context, "subject": subject}
    mail = OutgoingMail(
        user=user,
        to=to,
        kind=kind,
        fact=fact,
        subject=subject,
        text=_storable(render_to_string(f"{template}.txt", context)),
        html=_storable(render_to_string(f"{template}.html", context)),
    )
    OutgoingMail.objects.bulk_create([mail], ignore_conflicts=True)


def is_address(to: str) -> bool:
    """Whether this is one bare e-mail address that a mail can be sent to."""
    try:
        validate_email(to)
    except ValidationError:
        return False
    return True


def one_line(text: str, length: int | None = None) -> str:
    """A text on one line of printable characters, at most `length` of them; None for no limit."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if length is None or len(line) <= length else line[: length - 1] + "…"


def _storable(text: str) -> str:
    # PostgreSQL stores neither a NUL nor half a surrogate pair.
    return text.replace("\0", "").encode(errors="replace").decode()


# --- Sending ------------------------------------------------------------------------------------------


def send_due(limit: int, *, go_on: Callable[[], bool] = lambda: True) -> Outcome:
    """Send up to `limit` mails that are due, oldest first, over one connection, while `go_on()` is true.

    Several processes may do this at once. A mail that fails waits longer each time and does not stop the
    others. A mail server that cannot be reached ends the round, because all mails would fail.
    """
    counts: Counter[OutgoingMail.State] = Counter()
    backend, reached = get_connection(), True
    try:
        while reached and counts.total() < limit and go_on() and (mail := _claim()):
            error, reached = _try(mail, backend)
            counts[_record(mail, error, reached=reached)] += 1
    finally:
        _hang_up(backend)
    return Outcome(
        sent=counts[State.SENT],
        failed=counts[State.WAITING],
        given_up=counts[State.FAILED],
        waiting=OutgoingMail.objects.filter(state=State.WAITING).count(),
    )


def prune() -> int:
    """Delete mails that were sent or dropped more than 30 days ago; how many."""
    before = timezone.now() - KEPT
    ended = OutgoingMail.objects.filter(
        Q(sent_at__lt=before) | Q(given_up_at__lt=before), created_at__lt=before
    )
    pruned = 0
    # In portions, because a longer statement would reach its timeout.
    while count := OutgoingMail.objects.filter(pk__in=ended.values("pk")[:PRUNED_AT_ONCE]).delete()[0]:
        pruned += count
    return pruned


def forget(address: str) -> int:
    """Drop the waiting mails to this address, in upper or lower case; how many."""
    return _drop(Q(to__iexact=address))


def withdraw(facts: Collection[str]) -> int:
    """Drop the waiting mails about these facts; how many."""
    return _drop(Q(fact__in=facts))


def withdraw_naming(email: str) -> None:
    """Drop the waiting mails that contain this address anywhere, in upper or lower case.

    A mail is dropped, not rewritten, because one that is being sent at this moment must end empty as well.
    """
    pattern = erased_texts.pattern_of(email)
    may_hold = Q()
    for field in ("subject", "text", "html"):
        may_hold |= erased_texts.may_hold(email, field)
    waiting = OutgoingMail.objects.filter(may_hold, state=State.WAITING)
    texts = ((mail.fact, f"{mail.subject}\n{mail.text}\n{mail.html}") for mail in waiting.iterator())
    withdraw([fact for fact, text in texts if pattern.search(text)])


def _drop(which: Q) -> int:
    """Empty these mails, if they wait; how many. One that is being sent at this moment may still arrive."""
    waiting = OutgoingMail.objects.filter(which, state=State.WAITING)
    return waiting.update(state=State.DROPPED, given_up_at=timezone.now(), **EMPTY)


def _claim() -> OutgoingMail | None:
    """The next mail that is due, claimed for the time CLAIM, with one more try counted.

    No lock is held during the SMTP dialogue. It may take minutes, PostgreSQL ends a transaction that idles
    for ten seconds, and an erasure of the address must not wait for it. If the sending process dies, its try
    has failed, and the mail is due again when the claim expires.
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
            _drop(Q(pk=mail.pk))  # The user switched this kind off after it was written.


def _record(mail: OutgoingMail, error: Exception | None, *, reached: bool) -> OutgoingMail.State:
    """Record the result of a try: sent, waiting for another try, or given up.

    If no server was reached, or it refused the connection, the mail itself was not tried: it waits for days.
    """
    now = timezone.now()
    # Of this try only: if the claim has expired, another process has the mail now.
    ours = OutgoingMail.objects.filter(pk=mail.pk, state=State.WAITING, tries=mail.tries)
    if error is None:
        ours.update(state=State.SENT, sent_at=now, last_error="", **EMPTY)
        return State.SENT
    words = _kind_of(error)
    if (reached and mail.tries >= TRIES_MAX) or (not reached and now >= mail.created_at + WAITED_MAX):
        ours.update(state=State.FAILED, given_up_at=now, last_error=words, **EMPTY)
        logger.error("Mail %s (%s) was given up after %s tries: %s", mail.pk, mail.kind, mail.tries, words)
        return State.FAILED
    tries, pause = (mail.tries, PAUSES[mail.tries - 1]) if reached else (mail.tries - 1, PAUSES[0])
    ours.update(next_try_at=now + pause, tries=tries, last_error=words)
    logger.warning("Mail %s (%s) waits after %s failed tries: %s", mail.pk, mail.kind, tries, words)
    return State.WAITING


def _kind_of(error: Exception) -> str:
    """The kind of a failure, with its status codes. A mail server's message often quotes the address."""
    kind = type(error).__name__
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


def _try(mail: OutgoingMail, backend: BaseEmailBackend) -> tuple[Exception | None, bool]:
    """Send one mail: its error, if any, and whether a server was reached. No backend's error is raised."""
    try:
        backend.open()  # Does nothing while the connection is open.
    except Exception as error:
        return error, False
    try:
        taken = message_of(mail, backend).send()
        return None if taken else smtplib.SMTPException("nothing was taken"), True
    except Exception as error:
        _hang_up(backend)  # The state of the dialogue is unknown.
        return error, True


def _hang_up(backend: BaseEmailBackend) -> None:
    with suppress(OSError):  # Every SMTPException is one.
        backend.close()


def message_of(mail: OutgoingMail, backend: BaseEmailBackend | None = None) -> EmailMultiAlternatives:
    """The mail as it is sent: plain text, with the HTML as an alternative."""
    _, sender = parseaddr(settings.DEFAULT_FROM_EMAIL)
    message = EmailMultiAlternatives(
        subject=mail.subject,
        body=mail.text,
        to=[mail.to],
        connection=backend,
        headers={
            # The same for each try, so a mail server can recognise a repetition.
            "Message-ID": f"<{mail.pk}@{sender.rpartition('@')[2]}>",
            "Auto-Submitted": "auto-generated",
            "List-Unsubscribe": f"<{settings.PUBLIC_URL}/account>",
        },
    )
    message.attach_alternative(mail.html, "text/html")
    return message
