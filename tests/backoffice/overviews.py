"""The overview as tests read it: at one moment, by its words, and by the rows behind its links."""

import html
import re
from datetime import UTC, datetime, timedelta

from backoffice.overview.attention import lines
from wallet.books import audits
from wallet.models import Audit

NOW = datetime(2026, 6, 30, 12, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def examine(kind, outcome="clean", found=(), *, ago=10 * HOUR, remark=""):
    return Audit.objects.create(
        kind=kind,
        started_at=NOW - ago,
        ended_at=NOW - ago,
        seen_count=3,
        found_count=len(found),
        findings=list(found)[: audits.FINDINGS_MAX],
        outcome=Audit.Outcome(outcome),
        remark=remark,
    )


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
