"""The overview as tests read it: at one moment, by its words, and by the rows behind its links."""

import html
import re
from datetime import UTC, datetime, timedelta

import pytest

from backoffice.overview.attention import lines
from wallet.books import audits
from wallet.models import Audit

NOW = datetime(2026, 6, 30, 12, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def examine(kind, outcome="clean", found=(), *, ago=10 * HOUR, remark=""):
    audit = audits.note(
        kind,
        started_at=NOW - ago,
        seen=3,
        findings=list(found),
        outcome=Audit.Outcome(outcome),
        remark=remark,
        on_trouble=pytest.fail,
    )
    assert audit
    Audit.objects.filter(pk=audit.pk).update(ended_at=NOW - ago)
    return audit


def text_of(answer):
    """The page's words, each run of spaces as one."""
    assert answer.status_code == 200
    content = re.sub(r"<(script|style).*?</\1>", "", answer.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", content)).split())


def attention():
    return lines(at=NOW, sees=lambda permission: True)


def sentences():
    return [line.sentence for line in attention()]


def behind(client, url):
    """The rows that a link of the page leads to."""
    answer = client.get(url)
    assert answer.status_code == 200, url
    return answer.context["cl"].queryset
