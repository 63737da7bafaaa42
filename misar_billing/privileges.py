"""What the three database roles may do with each table.

The owner of the tables runs the migrations and is not named here. `manage.py database_roles` turns this table
into GRANTs, and refuses a database with a table that is not named here.

- The runtime role serves requests, sends mails and tidies. It reads every table. It updates only the columns
  that the service changes, so the other columns of a stored row are final.
- The operator role is a member of the runtime role. It also writes what only commands write.
- The auditor role reads the books, and no e-mail address, payload, session, secret or digest of a key.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from foundation.database import marker

# Instead of a list of columns: the whole table.
ALL = ("*",)


@dataclass(frozen=True)
class Access:
    """What the roles may do with a table. The runtime role may also read it.

    `insert`, `update` (these columns) and `delete` are for the runtime role. `operator` lists what only the
    operator may do besides, as SQL names it. `auditor` lists the columns that the auditor reads.
    """

    insert: bool = False
    update: tuple[str, ...] = ()
    delete: bool = False
    operator: tuple[str, ...] = ()
    auditor: tuple[str, ...] = ()


READ_ONLY = Access()
# Third-party models save their rows whole.
WRITES_ALL = Access(insert=True, update=ALL, delete=True)
APPENDS = Access(insert=True, auditor=ALL)
APPENDED_BY_OPERATORS = Access(operator=("INSERT",), auditor=ALL)

WALLET = {
    "wallet_wallet": Access(
        insert=True,
        update=(
            *("balance", "entries_count", "held", "open_holds", "granted", "watch", "budgets", "frozen"),
            "revision",  # The release before this one writes it.
        ),
        auditor=ALL,
    ),
    "wallet_entry": APPENDS,
    "wallet_outoforderentry": Access(auditor=ALL),
    "wallet_hold": Access(
        insert=True, update=("state", "expires_at", "ended_at", "captured_count"), auditor=ALL
    ),
    "wallet_holdpart": APPENDS,
    "wallet_lot": Access(
        insert=True,
        update=("remaining", "held", "expired", "voided_at", "removed", "held_when_voided"),
        auditor=ALL,
    ),
    "wallet_lotmove": APPENDS,
    "wallet_giveback": APPENDS,
    "wallet_budget": Access(
        insert=True, update=("credits", "alert_percent", "starts", "spent"), delete=True, auditor=ALL
    ),
    "wallet_grantedmonth": Access(insert=True, update=("credits",), auditor=ALL),
    "wallet_rate": Access(insert=True, update=("label", "credits", "unit", "active"), auditor=ALL),
    "wallet_ratechange": APPENDS,
    "wallet_topup": Access(
        insert=True,
        update=(
            *("state", "paid_cents", "paid_at", "entry_id"),
            *("stripe_session_id", "payment_intent_id", "remark"),
        ),
        auditor=ALL,
    ),
    "wallet_payment": Access(
        insert=True, update=("state", "session_id", "user_id", "entry_id", "refunded_cents"), auditor=ALL
    ),
    "wallet_striperefund": Access(
        insert=True,
        # It is saved whole.
        update=(
            *("payment_intent_id", "charge_id", "amount_cents", "status", "reason"),
            *("created_at", "reported_at"),
        ),
        auditor=ALL,
    ),
    "wallet_stripedispute": Access(
        insert=True,
        # It is saved whole.
        update=(
            *("payment_intent_id", "charge_id", "amount_cents", "status", "reason"),
            *("movements", "due_at", "created_at", "reported_at"),
        ),
        auditor=ALL,
    ),
    "wallet_refundrequest": Access(
        insert=True,
        update=("state", "stripe_refund_id", "remark", "reason"),  # The reason: when a reader is erased.
        auditor=ALL,
    ),
    "wallet_stripeevent": Access(
        insert=True,
        # The payload: when a reader is erased.
        update=("state", "payload", "remark", "traceback", "tries", "handled_at", "user_id"),
        auditor=(
            *("id", "type", "state", "stripe_session_id", "payment_intent_id", "user_id"),
            *("tries", "received_at", "handled_at"),
        ),
    ),
    "wallet_closedday": Access(operator=("INSERT", "DELETE"), auditor=ALL),
    "wallet_daytotal": Access(operator=("INSERT", "DELETE"), auditor=ALL),
    "wallet_featuretotal": Access(operator=("INSERT", "DELETE"), auditor=ALL),
    "wallet_closedmonth": APPENDED_BY_OPERATORS,
    "wallet_monthtotal": APPENDED_BY_OPERATORS,
    "wallet_latetotal": APPENDED_BY_OPERATORS,
    "wallet_stripemovement": APPENDED_BY_OPERATORS,
    "wallet_stripepayout": Access(
        operator=(
            "INSERT",
            "UPDATE (status, arrives_at, is_automatic, itemized_at, unknown_since, asked_at)",
        ),
        auditor=ALL,
    ),
    "wallet_payoutitem": APPENDED_BY_OPERATORS,
    "wallet_payoutreading": APPENDED_BY_OPERATORS,
    "wallet_closedmoney": APPENDED_BY_OPERATORS,
    "wallet_monthmoney": APPENDED_BY_OPERATORS,
    "wallet_audit": APPENDED_BY_OPERATORS,
    "wallet_reconciliationrun": Access(operator=("INSERT", "UPDATE"), auditor=ALL),
    "wallet_seal": APPENDED_BY_OPERATORS,
    "wallet_tableseal": APPENDED_BY_OPERATORS,
}

ACCOUNTS = {
    "accounts_user": Access(
        insert=True,
        update=(
            *("name", "email", "mailbox", "plan_id", "mails_off", "mails_weekly", "is_active", "is_staff"),
            *("password", "last_login"),  # Django hashes a password anew when its own settings have changed.
        ),
        auditor=("misar_id", "plan_id", "is_active", "is_staff", "is_superuser", "created_at"),
    ),
    "accounts_user_groups": Access(insert=True, delete=True, auditor=ALL),
    "accounts_user_user_permissions": Access(auditor=ALL),
    "accounts_buyerdetails": Access(
        insert=True, update=("name", "address", "country", "vat_number"), delete=True
    ),
    "accounts_plan": Access(insert=True, update=("name", "fee_bps", "key_limit"), auditor=ALL),
    "accounts_planchange": APPENDS,
    "accounts_act": Access(
        insert=True,
        update=("told", "reason"),  # When a reader is erased.
        auditor=ALL,
    ),
    "accounts_redaction": Access(auditor=ALL),  # Only the trigger of a redaction writes it.
    "accounts_servicekey": Access(
        insert=True,
        update=("rights", "grant_max", "grant_month_max", "revoked_at"),
        auditor=(
            *("id", "product", "prefix", "feature_prefixes", "rights", "grant_max", "grant_month_max"),
            *("created_at", "expires_at", "revoked_at"),
        ),
    ),
    "accounts_apikey": Access(
        insert=True,
        update=("revoked_at",),
        auditor=("id", "owner_id", "prefix", "scopes", "created_at", "expires_at", "revoked_at"),
    ),
    "accounts_keyuse": Access(insert=True, update=("used_at",)),
    "accounts_keyrequest": Access(insert=True, delete=True),
    "accounts_stoppedproduct": Access(insert=True, delete=True, auditor=ALL),
    "accounts_outgoingmail": Access(
        insert=True,
        update=(
            *("to", "subject", "text", "html", "state", "tries"),
            *("next_try_at", "last_error", "sent_at", "given_up_at"),
        ),
        delete=True,
    ),
    "accounts_maintenance": Access(operator=("INSERT", "UPDATE", "DELETE"), auditor=ALL),
    "accounts_ratecounter": Access(insert=True, update=("window", "hits")),
    "accounts_cache": Access(insert=True, update=("value", "expires"), delete=True),
}

MONETIZATION = {
    "monetization_earner": Access(insert=True, update=("one_sponsor_at_a_time", "dismissed"), auditor=ALL),
    "monetization_sponsor": Access(
        insert=True,
        update=(
            *("sponsor_name", "logo_url", "target_url", "position", "active_from", "active_until"),
            *("price_cents", "currency", "cancelled_at"),
        ),
        auditor=ALL,
    ),
    "monetization_freeslotslink": Access(
        insert=True,
        update=("nonce", "title", "created_at"),
        delete=True,
        auditor=("creator_id", "title", "created_at"),
    ),
    "monetization_subscription": Access(
        insert=True,
        update=(
            *("subscriber_email", "reader", "mailbox"),
            *("plan", "interval", "amount_cents", "yearly_cents", "status", "status_at", "terms_at"),
            "unknown_since",
        ),
        auditor=(
            *("id", "creator_id", "plan", "interval", "amount_cents", "currency", "yearly_cents", "status"),
            *("stripe_subscription_id", "status_at", "terms_at", "unknown_since", "created_at"),
        ),
    ),
    "monetization_subscriptionevent": APPENDS,
    "monetization_tip": Access(
        insert=True,
        update=(
            *("refunded_cents", "fee_returned_cents", "message_hidden_at"),
            *("email", "reader", "mailbox", "name", "message"),
        ),
        auditor=(
            *("id", "creator_id", "gross_cents", "fee_cents", "net_cents", "fee_bps", "plan", "currency"),
            *("refunded_cents", "fee_returned_cents", "stripe_payment_id", "message_hidden_at", "created_at"),
        ),
    ),
    "monetization_refund": Access(
        insert=True,
        update=("reason",),  # When a reader is erased.
        auditor=ALL,
    ),
    "monetization_digest": Access(insert=True, update=("next_week",), delete=True, auditor=ALL),
    "monetization_firstanswer": Access(insert=True, update=("row_id", "answer", "key", "digest")),
    "monetization_erasure": APPENDS,
    "monetization_closedday": Access(operator=("INSERT", "DELETE"), auditor=ALL),
    "monetization_daytotal": Access(operator=("INSERT", "DELETE"), auditor=ALL),
}

THIRD_PARTY = {
    # A membership of a role is in accounts_user_groups. What a role may do is written by `migrate`.
    "auth_group": Access(auditor=ALL),
    "auth_group_permissions": Access(auditor=ALL),
    "auth_permission": Access(auditor=ALL),
    "django_content_type": Access(auditor=ALL),
    "django_migrations": Access(auditor=ALL),
    "django_admin_log": Access(update=("change_message",)),  # When a reader is erased.
    "django_session": Access(insert=True, update=("session_data", "expire_date"), delete=True),
    "axes_accessattempt": WRITES_ALL,
    "axes_accessattemptexpiration": WRITES_ALL,
    "axes_accessfailurelog": WRITES_ALL,
    "axes_accesslog": WRITES_ALL,
    "mfa_authenticator": WRITES_ALL,
    # A sign-in reads these. The service writes none of them: a Misar ID alone says who a user is.
    "account_emailaddress": READ_ONLY,
    "account_emailconfirmation": READ_ONLY,
    "socialaccount_socialaccount": READ_ONLY,
    "socialaccount_socialapp": READ_ONLY,
    "socialaccount_socialtoken": READ_ONLY,
}

# `make run` makes this one, and production has none.
OPTIONAL = {marker.TABLE: READ_ONLY}

TABLES: Mapping[str, Access] = WALLET | ACCOUNTS | MONETIZATION | THIRD_PARTY | OPTIONAL


def unnamed(tables: Sequence[str]) -> list[str]:
    """Return those of these tables that this module does not name, sorted."""
    return sorted(set(tables) - set(TABLES))


def stale(tables: Sequence[str]) -> list[str]:
    """Return the tables that this module names and that are not among these, sorted."""
    return sorted(set(TABLES) - set(OPTIONAL) - set(tables))


def grants(
    tables: Mapping[str, tuple[str, ...]], *, runtime: str, operator: str, auditor: str
) -> Iterator[tuple[str, str, str]]:
    """Yield what to grant on each of these tables: the privileges, the table, the role. All quoted for SQL.

    `tables` has the columns of each table that an INSERT may name: ALL, or those that the database does not
    number. A role that could choose the key would give the last one, and no other row would follow.
    `runtime`, `operator` and `auditor` are the quoted names of the roles.
    """
    for table in sorted(tables):
        access, name = TABLES[table], quoted(table)
        insert = _of_columns("INSERT", tables[table])
        may = ["SELECT"]
        if access.insert:
            may.append(insert)
        if access.update:
            may.append(_of_columns("UPDATE", access.update))
        if access.delete:
            may.append("DELETE")
        yield ", ".join(may), name, runtime
        if access.operator:
            yield ", ".join(insert if verb == "INSERT" else verb for verb in access.operator), name, operator
        if access.auditor:
            yield _of_columns("SELECT", access.auditor), name, auditor


def _of_columns(verb: str, columns: tuple[str, ...]) -> str:
    return verb if columns == ALL else f"{verb} ({', '.join(map(quoted, columns))})"


def quoted(name: str) -> str:
    """Return a name as SQL writes it, between quotes."""
    return '"' + name.replace('"', '""') + '"'
