"""The pages of the mailbox. A mail's HTML is shown in a frame in which nothing can run."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from sandbox import mailbox as box
from sandbox.overview import not_found
from sandbox.page_headers import content_policy

MAILS_SHOWN = 100
# The mail's HTML may use its own styles and inlined images, but no script, request, form or link.
HTML_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)


class NoSuchMail(Exception):
    """Raised when there is no mail at an address."""


@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    mails = box.listed()
    facts = {
        "mails": mails[:MAILS_SHOWN],
        "has_more": len(mails) > MAILS_SHOWN,
        "is_elsewhere": box.is_elsewhere(),
        "directory": box.directory(),
    }
    return render(request, "sandbox/mailbox.html", facts)


@require_safe
def mail(request: HttpRequest, mail_id: str) -> HttpResponse:
    """One mail: its headers, its text, and its HTML in a frame."""
    opened = box.find(mail_id)
    if opened is None:
        return not_found(request, NoSuchMail(mail_id))
    facts = {"mail": opened, "html_url": reverse("mail-html", args=[opened.id])}
    answer = render(request, "sandbox/mail.html", facts)
    answer["Content-Security-Policy"] = content_policy(frames=True)
    return answer


@require_safe
def html_part(request: HttpRequest, mail_id: str) -> HttpResponse:
    """The unchanged HTML of a mail, for the frame on its page."""
    opened = box.find(mail_id)
    if opened is None or opened.html is None:
        return not_found(request, NoSuchMail(mail_id))
    answer = HttpResponse(opened.html, content_type="text/html; charset=utf-8")
    answer["Content-Security-Policy"] = HTML_POLICY
    answer["X-Frame-Options"] = "SAMEORIGIN"
    return answer
