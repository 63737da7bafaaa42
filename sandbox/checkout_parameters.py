"""The parameters of a new Checkout Session in API version 2026-10-28.endive."""

import time
from typing import Any

from sandbox.parameters import Parameters
from sandbox.shapes import Order

AMOUNT_MAX = 99_999_999
QUANTITY_MAX = 999_999
SESSION_SECONDS_MIN = 30 * 60
SESSION_SECONDS_MAX = 24 * 3600
# The caller computes the time a little before Stripe reads it.
CLOCK_SLACK_SECONDS = 60
REFERENCE_LENGTH_MAX = 200
CURRENCIES = ("usd", "eur", "gbp", "jpy", "aud", "cad", "chf")

# Stripe accepts these; they have no effect here, since the sandbox plays one-off payments only.
# Stripe removed `payment_method_types` in 2026-09-30.endive, so it is unknown here too.
WITHOUT_EFFECT = (
    "after_expiration",
    "allow_promotion_codes",
    "billing_address_collection",
    "branding_settings",
    "consent_collection",
    "custom_fields",
    "custom_text",
    "customer",
    "customer_account",
    "customer_creation",
    "customer_email",
    "customer_update",
    "discounts",
    "integration_identifier",
    "invoice_creation",
    "locale",
    "managed_payments",
    "name_collection",
    "optional_items",
    "origin_context",
    "payment_method_collection",
    "payment_method_configuration",
    "payment_method_data",
    "payment_method_options",
    "permissions",
    "phone_number_collection",
    "redirect_on_completion",
    "return_url",
    "saved_payment_method_options",
    "setup_intent_data",
    "shipping_address_collection",
    "shipping_options",
    "submit_type",
    "subscription_data",
    "tax_id_collection",
    "wallet_options",
)


def new_session(parameters: Parameters) -> dict[str, Any]:
    """The arguments for `sessions.create`. Raises InvalidParameter if a value is outside Stripe's limits."""
    parameters.ignore(*WITHOUT_EFFECT)
    _require_hosted_payment(parameters)
    success_url = parameters.url("success_url")
    if success_url is None:
        raise parameters.missing("success_url")
    return {
        "order": _order(parameters),
        "expires_at": _expires_at(parameters),
        "metadata": parameters.metadata("metadata"),
        "client_reference_id": parameters.text("client_reference_id", length_max=REFERENCE_LENGTH_MAX),
        "success_url": success_url,
        "cancel_url": parameters.url("cancel_url"),
        "automatic_tax": _enabled(parameters, "automatic_tax"),
        "adaptive_pricing": _enabled(parameters, "adaptive_pricing"),
    }


def _require_hosted_payment(parameters: Parameters) -> None:
    mode = parameters.choice("mode", "payment", "setup", "subscription")
    if mode is None:
        raise parameters.missing("mode")
    if mode != "payment":
        raise parameters.invalid("mode", "The sandbox plays mode=payment only.")
    ui_mode = parameters.choice("ui_mode", "hosted_page", "embedded_page", "elements", "form")
    if ui_mode not in (None, "hosted_page"):
        raise parameters.invalid("ui_mode", "The sandbox plays ui_mode=hosted_page only.")


def _order(parameters: Parameters) -> Order:
    currency = _currency(parameters)
    amount, names = 0, []
    for line in parameters.branches("line_items"):
        cents, line_currency, name = _line(line)
        if currency not in (None, line_currency):
            raise parameters.invalid("line_items", "All line items must have the same currency.")
        currency = line_currency
        amount += cents
        names.append(name)
    if currency is None or not names:
        raise parameters.missing("line_items")
    if amount > AMOUNT_MAX:
        raise parameters.invalid("line_items", "The Checkout Session's total amount is too large.")
    intent_data = parameters.branch("payment_intent_data")
    intent_data.ignore(
        "capture_method", "description", "receipt_email", "statement_descriptor_suffix", "setup_future_usage"
    )
    parameters.ignore("excluded_payment_method_types")
    return Order(
        amount=amount,
        currency=currency,
        names=tuple(names),
        payment_metadata=intent_data.metadata("metadata"),
        payment_method_types=tuple(parameters.texts("allowed_payment_method_types")) or ("card",),
    )


def _line(line: Parameters) -> tuple[int, str, str]:
    """The amount, currency and name of a line."""
    line.ignore("adjustable_quantity", "dynamic_tax_rates", "metadata", "tax_rates")
    if line.has("price"):
        raise line.invalid("price", "The sandbox keeps no prices; use price_data.")
    if not line.has("price_data"):
        raise line.missing("price_data")
    price = line.branch("price_data")
    price.ignore("tax_behavior")
    currency = _currency(price)
    if currency is None:
        raise price.missing("currency")
    unit_amount = price.integer("unit_amount", least=0, most=AMOUNT_MAX)
    if unit_amount is None:
        raise price.missing("unit_amount")
    quantity = line.integer("quantity", least=1, most=QUANTITY_MAX)
    if quantity is None:
        raise line.missing("quantity")
    product = price.branch("product_data")
    product.ignore("description", "images", "metadata", "tax_code", "tax_details", "unit_label")
    name = product.text("name", length_max=5000)
    if name is None:
        raise product.missing("name")
    return unit_amount * quantity, currency, name


def _currency(parameters: Parameters) -> str | None:
    currency = parameters.text("currency")
    if currency is not None and currency.lower() not in CURRENCIES:
        raise parameters.invalid("currency", f"Invalid currency: {currency[:20]}.")
    return currency.lower() if currency else None


def _expires_at(parameters: Parameters) -> int:
    now = int(time.time())
    expires_at = parameters.integer("expires_at")
    if expires_at is None:
        return now + SESSION_SECONDS_MAX
    if expires_at < now + SESSION_SECONDS_MIN - CLOCK_SLACK_SECONDS:
        raise parameters.invalid(
            "expires_at",
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
        )
    if expires_at > now + SESSION_SECONDS_MAX + CLOCK_SLACK_SECONDS:
        raise parameters.invalid(
            "expires_at",
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
        )
    return expires_at


def _enabled(parameters: Parameters, name: str) -> bool:
    branch = parameters.branch(name)
    branch.ignore("liability")
    return branch.boolean("enabled") or False
