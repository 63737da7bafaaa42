"""Staff who refund top-ups, as tests let them act."""

import secrets

from django.contrib.admin.utils import quote
from django.urls import reverse

from wallet.charges import debits
from wallet.models import Entry


def page_of(row, name="refund"):
    """The page of a row, or of an action on it."""
    return reverse(f"admin:wallet_{row._meta.model_name}_{name}", args=[quote(row.pk)])


def form_of(**fields):
    return {"reason": "asked by mail", "key": secrets.token_hex(8)} | fields


def send(client, topup, **fields):
    """Send the form that refunds a top-up."""
    return client.post(page_of(topup), form_of(**fields))


def errors_of(answer):
    """Why the form came back."""
    assert answer.status_code == 200
    return answer.context["form"].non_field_errors()


def spend(credits, user_id="usr_1"):
    debits.debit(
        user_id=user_id,
        credits=credits,
        kind=Entry.Kind.DEDUCT,
        actor="service:wsk_test",
        feature="blog.article.generate",
        count=credits,
        product="blog",
    )


def refunds_at(stand_in, topup):
    """The refunds of a top-up that Stripe has."""
    listed = stand_in.client.v1.refunds.list(params={"payment_intent": topup.payment_intent_id})
    return [refund.to_dict() for refund in listed.data]
