"""Addresses of the sandbox: Stripe's API, Stripe's payment page, the SSO issuer, and its own controls."""

from django.http import HttpRequest, JsonResponse
from django.urls import path

from sandbox import (
    controls,
    mail_pages,
    overview,
    payment_page,
    second_factor,
    session_page,
    sign_in,
    sso,
    stripe_api,
    tokens,
)
from sandbox.endpoint import endpoint, unknown


def health(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


sessions = endpoint("checkout.session", get=stripe_api.list_sessions, post=stripe_api.create_session)

urlpatterns = [
    path("health", health),
    # Stripe's API.
    path("v1/checkout/sessions", sessions),
    # An empty session id leads here; it is the list, as at Stripe.
    path("v1/checkout/sessions/", sessions),
    path(
        "v1/checkout/sessions/<str:session_id>",
        endpoint("checkout.session", get=stripe_api.retrieve_session),
    ),
    path(
        "v1/checkout/sessions/<str:session_id>/expire",
        endpoint("checkout.session", post=stripe_api.expire_session),
    ),
    path("v1/payment_intents", endpoint("payment_intent", get=stripe_api.list_payment_intents)),
    path(
        "v1/payment_intents/<str:intent_id>",
        endpoint("payment_intent", get=stripe_api.retrieve_payment_intent),
    ),
    path("v1/charges", endpoint("charge", get=stripe_api.list_charges)),
    path("v1/charges/<str:charge_id>", endpoint("charge", get=stripe_api.retrieve_charge)),
    path("v1/refunds", endpoint("refund", get=stripe_api.list_refunds, post=stripe_api.create_refund)),
    path("v1/refunds/<str:refund_id>", endpoint("refund", get=stripe_api.retrieve_refund)),
    path("v1/refunds/<str:refund_id>/cancel", endpoint("refund", post=stripe_api.cancel_refund)),
    path("v1/disputes", endpoint("dispute", get=stripe_api.list_disputes)),
    path("v1/disputes/<str:dispute_id>", endpoint("dispute", get=stripe_api.retrieve_dispute)),
    path(
        "v1/balance_transactions",
        endpoint("balance_transaction", get=stripe_api.list_balance_transactions),
    ),
    path(
        "v1/balance_transactions/<str:transaction_id>",
        endpoint("balance_transaction", get=stripe_api.retrieve_balance_transaction),
    ),
    path("v1/payouts", endpoint("payout", get=stripe_api.list_payouts)),
    path("v1/payouts/<str:payout_id>", endpoint("payout", get=stripe_api.retrieve_payout)),
    path("v1/events", endpoint("event", get=stripe_api.list_events)),
    path("v1/events/<str:event_id>", endpoint("event", get=stripe_api.retrieve_event)),
    path("v1/<path:path>", unknown),
    # Stripe's payment page.
    path("c/pay/<str:session_id>", payment_page.payment_page, name="payment"),
    # The SSO issuer.
    path("sso/.well-known/openid-configuration", sso.configuration),
    path("sso/jwks.json", sso.key_set),
    path("sso/authorize", sign_in.authorize, name="sign-in"),
    path("sso/token", tokens.token),
    path("sso/userinfo", tokens.userinfo),
    # The sandbox's own pages.
    path("", overview.overview, name="overview"),
    path("settings", overview.change_settings, name="settings"),
    path("sessions/<str:session_id>", session_page.session, name="session"),
    path("sessions/<str:session_id>/<str:verb>", session_page.play, name="play"),
    path("refunds/<str:refund_id>/<str:verb>", session_page.play_refund, name="play-refund"),
    path("disputes/<str:dispute_id>/<str:verb>", session_page.play_dispute, name="play-dispute"),
    path("events/<str:event_id>/resend", overview.resend, name="resend"),
    path("mail", mail_pages.mailbox, name="mailbox"),
    path("mail/<str:mail_id>", mail_pages.mail, name="mail"),
    path("mail/<str:mail_id>/html", mail_pages.html_part, name="mail-html"),
    path("second-factor", second_factor.page, name="second-factor"),
    # The same for programs.
    path("_sandbox/settings", controls.settings),
    path("_sandbox/reset", controls.reset),
    path("_sandbox/sso/rotate", controls.rotate_sso_key),
    path("_sandbox/sessions", controls.list_sessions),
    path("_sandbox/sessions/<str:session_id>/refund", controls.refund_session),
    path("_sandbox/sessions/<str:session_id>/dispute", controls.dispute_session),
    path("_sandbox/sessions/<str:session_id>/<str:verb>", controls.session_verb),
    path("_sandbox/refunds/<str:refund_id>/<str:verb>", controls.refund_verb),
    path("_sandbox/disputes/<str:dispute_id>/<str:verb>", controls.dispute_verb),
    path("_sandbox/payouts", controls.pay_out),
    path("_sandbox/payouts/<str:payout_id>/<str:verb>", controls.payout_verb),
    path("_sandbox/events", controls.list_events),
    path("_sandbox/events/<str:event_id>/resend", controls.resend),
    path("_sandbox/deliveries", controls.list_deliveries),
]

handler404 = "sandbox.overview.not_found"
