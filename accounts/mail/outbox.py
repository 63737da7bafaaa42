"""The outbox: a mail is written in the transaction of its event. Another process sends the mail later.

If the transaction is rolled back, no mail is sent. The caller never waits for a mail server. If a mail
cannot be written, the caller continues, unless its transaction is broken (see `isolated`).
"""

import logging
import re
import smtplib
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parseaddr
from functools import wraps
from typing import Any, ParamSpec, TypedDict, Unpack

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.mail.models import SUBJECT_LENGTH
from accounts.models import OutgoingMail, User
from foundation import erased_texts
from foundation.mailboxes import is_address, mailbox_of, sendable
from foundation.text import one_line

logger = logging.getLogger(__name__)

P = ParamSpec("P")
State = OutgoingMail.State

# The pause after the first failed try, after the second, and so on. After the sixth, the mail is given up.
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 720)]
TRIES_MAX = len(PAUSES) + 1
# How long a process claims a mail to send it. An SMTP dialogue can take about two minutes: the server answers
# about twelve times, and each answer may take EMAIL_TIMEOUT (10 s).
CLAIM = timedelta(minutes=5)
# How long a mail is retried if the mail server cannot be reached. An older mail would confuse a user.
WAITED_MAX = timedelta(days=7)
KEPT = timedelta(days=30)
PRUNED_AT_ONCE = 1000

EMPTY = {"to": "", "subject": "", "text": "", "html": ""}
SMTP_STATUS = re.compile(r"\d\.\d{1,3}\.\d{1,3}\b", re.ASCII)


@dataclass(frozen=True)
class Kind:
    """A kind of mail, with the texts of its switch on the account page.

    If `begin_weekly` is set, a user may get the news of a week in one mail instead. It is called with the
    user, in the transaction of this choice.
    """

    label: str
    sentence: str
    begin_weekly: Callable[[User], None] | None = None


# The registered kinds by name, in the order of the switches on the account page.
KINDS: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    """Register a kind of mail that an app sends."""
    KINDS[name] = kind


@dataclass(frozen=True)
class Written:
    """The result of a writer: how many mails it wrote, and how many it could not write."""

    written: int = 0
    failed: int = 0


GoOn = Callable[[], bool]
# The functions that write the mails that no event's transaction writes, or that it could not write. They
# begin no more mails when their argument returns False.
WRITERS: list[Callable[[GoOn], Written]] = []


def always() -> bool:
    """Return True: there is no reason to stop."""
    return True


@dataclass(frozen=True)
class Outcome:
    """The result of one round: how many mails it sent, failed to send, and gave up.

    `waiting` counts all mails that still wait to be sent after the round, due or not.
    """

    sent: int
    failed: int
    given_up: int
    waiting: int

    def __str__(self) -> str:
        return f"{self.sent} sent, {self.failed} failed, {self.given_up} given up"


# --- Switches -----------------------------------------------------------------------------------------


def wants(user: User, kind: str) -> bool:
    """Return whether the user wants this kind of mail. Each kind is on until the user switches it off."""
    return kind not in user.mails_off


def is_weekly(user: User, kind: str) -> bool:
    """Return whether the user wants this kind of mail once a week, instead of a mail about each event."""
    return wants(user, kind) and kind in user.mails_weekly


def set_switches(user: User, on: Collection[str], *, weekly: Collection[str] = ()) -> None:
    """Switch these kinds on and all other kinds of KINDS off. Kinds that are not in KINDS do not change.

    Those of `on` that are also in `weekly` come once a week.
    """
    with transaction.atomic():
        # With `no_key`, other processes can still write rows that refer to this user.
        locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        began = [kind for kind in KINDS if kind in on and kind in weekly]
        locked.mails_off = _unknown(locked.mails_off) + [kind for kind in KINDS if kind not in on]
        locked.mails_weekly = _unknown(locked.mails_weekly) + began
        locked.save(update_fields=["mails_off", "mails_weekly"])
        for kind in began:
            if begin := KINDS[kind].begin_weekly:
                begin(locked)
    user.mails_off, user.mails_weekly = locked.mails_off, locked.mails_weekly


def _unknown(kinds: list[str]) -> list[str]:
    return [kind for kind in kinds if kind not in KINDS]


# --- Writing ------------------------------------------------------------------------------------------


def isolated(verb: Callable[P, None]) -> Callable[P, None]:
    """If writing the mail fails, roll back the mail only. The caller's transaction continues.

    The error is raised only if the caller's transaction can no longer be committed. If mail is off, the
    decorated function is not called.
    """

    @wraps(verb)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        if not settings.MAIL_ENABLED:
            return
        try:
            with transaction.atomic():
                verb(*args, **kwargs)
        except Exception as error:
            # If this error were hidden, the caller's transaction would roll back without any error.
            if connection.needs_rollback or connection.closed_in_transaction:
                raise
            _log_unwritten(error)

    return wrapped


def _log_unwritten(error: Exception) -> None:
    """Log only the error's class and line: its message or traceback may contain the address."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    kind = type(error).__name__
    logger.error("A mail was not written: %s in %s, line %s", kind, where.filename, where.lineno)


class Letter(TypedDict):
    """What a mail says. `template` is a path without its ending: the .txt and the .html are rendered.

    `public_url`, `kind` and `subject` are added to the context.
    """

    subject: str
    template: str
    context: Mapping[str, Any]


@isolated
def queue(*, user: User | None, to: str, kind: str, fact: str, **letter: Unpack[Letter]) -> None:
    """Write a mail as `write` does; if that fails, the caller's transaction continues."""
    write(user=user, to=to, kind=kind, fact=fact, **letter)


def write(*, user: User | None, to: str, kind: str, fact: str, **letter: Unpack[Letter]) -> bool:
    """Write a mail in the caller's transaction. Another process sends the mail after the commit.

    The templates are rendered now. `fact` names the event, such as receipt:top_...; each fact has only one
    mail. Return False, and write nothing, if the user switched this kind off, or if `to` is not a valid
    address.
    """
    if not is_address(to) or (user is not None and not wants(user, kind)):
        return False
    mail = OutgoingMail(user=user, to=to, kind=kind, fact=fact, **_texts(kind, **letter))
    OutgoingMail.objects.bulk_create([mail], ignore_conflicts=True)
    return True


def write_again(mail: OutgoingMail, **letter: Unpack[Letter]) -> None:
    """Replace the texts of a waiting mail, which the caller has locked.

    If another process is sending this mail right now, the earlier texts may still arrive.
    """
    OutgoingMail.objects.filter(pk=mail.pk, state=State.WAITING).update(**_texts(mail.kind, **letter))


def decline(*, user: User, kind: str, fact: str) -> None:
    """Record that no mail about this fact is wanted, so that none is written later."""
    now = timezone.now()
    mail = OutgoingMail(user=user, kind=kind, fact=fact, state=State.DROPPED, given_up_at=now)
    OutgoingMail.objects.bulk_create([mail], ignore_conflicts=True)


def write_each(ids: Iterable[str], verb: Callable[[str], bool], *, go_on: GoOn) -> Written:
    """Call `verb` with each id, while `go_on()` is true. `verb` returns whether it wrote a mail.

    An error of one is logged and does not stop the others, unless the connection to the database is lost.
    """
    written = failed = 0
    for each in ids:
        if not go_on():
            break
        try:
            written += verb(each)
        except Exception as error:
            if not connection.is_usable():
                raise
            _log_unwritten(error)
            failed += 1
    return Written(written, failed)


def _texts(kind: str, *, subject: str, template: str, context: Mapping[str, Any]) -> dict[str, str]:
    subject = one_line(subject, SUBJECT_LENGTH)
    context = {"public_url": settings.PUBLIC_URL, "kind": KINDS[kind], **context, "subject": subject}
    return {
        "subject": subject,
        "text": _storable(render_to_string(f"{template}.txt", context)),
        "html": _storable(render_to_string(f"{template}.html", context)),
    }


def _storable(text: str) -> str:
    # PostgreSQL cannot store a NUL or half of a surrogate pair.
    return text.replace("\0", "").encode(errors="replace").decode()


# --- Sending ------------------------------------------------------------------------------------------


def send_due(limit: int, *, go_on: GoOn = always) -> Outcome:
    """Send up to `limit` mails that are due, oldest first, over one connection, while `go_on()` is true.

    Several processes may call this at the same time. A mail that fails does not stop the other mails, and
    the pauses between its tries become longer. If the mail server cannot be reached, the round ends,
    because all mails would fail.
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
    """Delete mails that were sent, given up or dropped more than 30 days ago. Return how many."""
    before = timezone.now() - KEPT
    ended = OutgoingMail.objects.filter(
        Q(sent_at__lt=before) | Q(given_up_at__lt=before), created_at__lt=before
    )
    pruned = 0
    # At most 1000 rows a statement, because a longer statement would reach its timeout.
    while count := OutgoingMail.objects.filter(pk__in=ended.values("pk")[:PRUNED_AT_ONCE]).delete()[0]:
        pruned += count
    return pruned


def forget(address: str) -> int:
    """Drop the waiting mails to this mailbox, in any spelling. Return how many."""
    waiting = OutgoingMail.objects.filter(state=State.WAITING).values_list("pk", "to")
    mailbox = mailbox_of(address)
    return _drop(Q(pk__in=[pk for pk, to in waiting.iterator() if mailbox_of(to) == mailbox]))


def withdraw(facts: Collection[str]) -> int:
    """Drop the waiting mails about these facts. Return how many."""
    return _drop(Q(fact__in=facts))


def withdraw_naming(address: str) -> None:
    """Drop the waiting mails that contain this address anywhere, in any spelling.

    Such a mail is dropped, not rewritten without the address. Dropping a mail deletes its texts from the
    database, even if another process is sending this mail right now.
    """
    may_hold = Q()
    for field in ("subject", "text", "html"):
        may_hold |= erased_texts.may_hold(address, field)
    waiting = OutgoingMail.objects.filter(may_hold, state=State.WAITING)
    texts = ((mail.fact, f"{mail.subject}\n{mail.text}\n{mail.html}") for mail in waiting.iterator())
    withdraw([fact for fact, text in texts if erased_texts.holds(text, address)])


def _drop(which: Q) -> int:
    """Drop the waiting mails among these, and delete their texts. Return how many.

    A mail that another process is sending right now may still arrive.
    """
    waiting = OutgoingMail.objects.filter(which, state=State.WAITING)
    return waiting.update(state=State.DROPPED, given_up_at=timezone.now(), **EMPTY)


def _claim() -> OutgoingMail | None:
    """Claim the next due mail for five minutes (CLAIM), and count one more try. None if no mail is due.

    No lock is held during the SMTP dialogue, which may take minutes: PostgreSQL ends a transaction that idles
    for ten seconds, and an erasure of the address must not wait for a mail server. If the sending process
    dies, its try counts as failed, and the mail is due again when the claim expires.
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
            _drop(Q(pk=mail.pk))  # The user switched this kind off after the mail was written.


def _record(mail: OutgoingMail, error: Exception | None, *, reached: bool) -> OutgoingMail.State:
    """Record the result of a try. Return the mail's new state: sent, waiting for another try, or given up.

    If the mail server could not be reached, or refused the connection, this does not count as a try,
    and the mail is retried for up to seven days.
    """
    now = timezone.now()
    # Match this try only: if the claim has expired, another process may have claimed the mail.
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
    """Return the error's class and status codes, without the message: it often contains the address."""
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
    """Send one mail. Return its error or None, and whether a mail server was reached. Raises no Exception."""
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
    with suppress(OSError):  # An SMTPException is an OSError too.
        backend.close()


def message_of(mail: OutgoingMail, backend: BaseEmailBackend | None = None) -> EmailMultiAlternatives:
    """Return the message to send: plain text, with the HTML as an alternative."""
    _, sender = parseaddr(settings.DEFAULT_FROM_EMAIL)
    message = EmailMultiAlternatives(
        subject=mail.subject,
        body=mail.text,
        to=[sendable(mail.to)],
        connection=backend,
        headers={
            # Each try has the same Message-ID, so a mail server can recognise a repeated mail.
            "Message-ID": f"<{mail.pk}@{sender.rpartition('@')[2]}>",
            "Auto-Submitted": "auto-generated",
            "List-Unsubscribe": f"<{settings.PUBLIC_URL}/account>",
        },
    )
    message.attach_alternative(mail.html, "text/html")
    return message
