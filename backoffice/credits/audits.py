"""Words and colours for the checks of the ledger, of its seals and of Stripe: their outcomes and findings."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.utils.html import format_html, format_html_join

from accounts.misar_ids import is_misar_id
from backoffice.lists.links import row_link, user_link
from foundation import money, states
from wallet.models import Audit, Wallet
from wallet.payments.reconciliation import findings


def outcome_tag(audit: Audit) -> str:
    """Return the outcome of an audit as a tag."""
    return states.tag(audit.get_outcome_display())


def in_words(audit: Audit) -> str:
    """Return the stored findings: a paragraph for each law with what violates it, and for each difference."""
    paragraphs: list[str] = []
    of_laws: dict[str, list[dict[str, Any]]] = {}
    for finding in audit.findings:
        if not isinstance(finding, dict):
            paragraphs.append(str(finding))
        elif kind := finding.get("kind"):
            paragraphs.append(_difference_in_words(str(kind), finding))
        else:
            of_laws.setdefault(str(finding.get("law", "Violated")), []).append(finding)
    paragraphs += _laws_in_words(of_laws)
    return format_html_join("", '<p class="finding">{}</p>', ((each,) for each in paragraphs))


def _laws_in_words(of_laws: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    wallets = _wallets_among(str(each.get("subject")) for found in of_laws.values() for each in found)
    for law, found in of_laws.items():
        lines = format_html_join("", "<br>{}", ((_line(each, wallets),) for each in found))
        yield format_html("<strong>{}</strong>{}", law, lines)


def _wallets_among(subjects: Iterable[str]) -> set[str]:
    """Return the subjects that are Misar IDs of wallets. Others are ids of entries or names of tables."""
    ids = {each for each in subjects if is_misar_id(each)}
    return set(Wallet.objects.filter(pk__in=ids).values_list("pk", flat=True))


def _line(finding: dict[str, Any], wallets: set[str]) -> str:
    subject = str(finding.get("subject", ""))
    others = (
        f"{name}: {value}" for name, value in finding.items() if name not in ("law", "subject", "detail")
    )
    details = "; ".join(filter(None, (str(finding.get("detail") or ""), *others)))
    shown = row_link(Wallet, subject) if subject in wallets else subject
    return format_html("{}: {}", shown, details) if details else shown


def _difference_in_words(kind: str, finding: dict[str, Any]) -> str:
    cents, user_id = finding.get("cents"), str(finding.get("user_id") or "")
    session_id = str(finding.get("session_id") or "")
    ids = dict.fromkeys(each for each in (str(finding.get("stripe_id") or ""), session_id) if each)
    about = [
        money.dollars(cents) if type(cents) is int else "",
        user_link(user_id) if is_misar_id(user_id) else user_id,
        format_html_join(", ", "<code>{}</code>", ((each,) for each in ids)),
    ]
    words = format_html(
        "<strong>{}</strong><br>{}",
        findings.HEADINGS.get(kind) or findings.REPAIRED_HEADINGS.get(kind) or kind,
        format_html_join(" · ", "{}", ((each,) for each in about if each)),
    )
    remark = str(finding.get("remark") or "")
    return format_html("{}<br>{}", words, remark) if remark else words
