"""What `record.py` records: for each endpoint, the requests and the acts between them, in their order."""

from tests.wallet.api.recorded.steps import (
    ARTICLE,
    BALANCE,
    BLOG,
    DEDUCT,
    JSON,
    KEY_HEADER,
    KEYS,
    MAIL,
    MISAR,
    PREFLIGHT,
    RATES,
    TOKENS,
    TOPUP,
    TRANSACTIONS,
    USER,
    VIDEO,
    WEBHOOK,
    WRONG_KEYS,
    act,
    ask,
    bad_bodies,
    deduct,
    deliver,
    disputed,
    get,
    origins,
    paid,
    post,
    refunded,
    topup,
    wrong_addresses,
    wrong_readers,
)

BALANCE_SCRIPT = [
    *KEYS,
    *TOKENS,
    get("An unknown user", f"{BALANCE}?user_id=usr_1"),
    get("An unknown user with a token", BALANCE, USER),
    deliver("A payment of $42", paid("cs_test_1", 42)),
    get("After the payment", f"{BALANCE}?user_id=usr_1"),
    get("With a token", BALANCE, USER),
    get("With a key and a token of another user", f"{BALANCE}?user_id=usr_2", BLOG | USER),
    get("The key of another product", f"{BALANCE}?user_id=usr_1", MAIL),
    get("An unknown parameter", f"{BALANCE}?user_id=usr_1&format=api&unknown=1"),
    get("The caller's own request id", f"{BALANCE}?user_id=usr_1", BLOG | {"X-Request-ID": "abc.DEF-1_2"}),
    get("A request id that is refused", f"{BALANCE}?user_id=usr_1", BLOG | {"X-Request-ID": "a b"}),
    get("A media type and HTML accepted", f"{BALANCE}?user_id=usr_1", BLOG | JSON | {"Accept": "text/html"}),
    ask("HEAD", "HEAD", f"{BALANCE}?user_id=usr_1", BLOG),
    deduct("A charge", {"count": 2}),
    get("After the charge", f"{BALANCE}?user_id=usr_1"),
    act("adjust", user_id="usr_1", credits=-15, key="form-1"),
    get("After an adjustment", f"{BALANCE}?user_id=usr_1"),
    deliver("The payment is refunded", refunded("cs_test_1", 42)),
    get("A debt", f"{BALANCE}?user_id=usr_1"),
    get("A debt with a token", BALANCE, USER),
    *wrong_readers(BALANCE),
    *origins(BALANCE, USER),
    *wrong_addresses(BALANCE, "GET"),
    act("set_limit", name="WALLET_READS_PER_MINUTE", requests=1),
    get("The first read of a user", f"{BALANCE}?user_id=usr_3"),
    get("Too many reads of a user", f"{BALANCE}?user_id=usr_3"),
    get("Too many reads by a page of Misar", BALANCE, USER | MISAR),
]

KEYED = {"idempotency_key": "article:1"}
DEDUCT_SCRIPT = [
    *KEYS,
    *TOKENS,
    act("set_rate", feature=VIDEO, credits=7),
    act("set_rate", feature="blog.gold", credits=1_000_000_000),
    act("set_rate", feature="blog.old", credits=1, active=False),
    deduct("A user without a wallet", {}),
    deliver("A payment of $60", paid("cs_test_1", 60)),
    deduct("A charge", {}),
    deduct("A charge with a key", KEYED | {"count": 3}),
    deduct("The same charge again", KEYED | {"count": 3}),
    deduct("The same key with another count", KEYED | {"count": 2}),
    deduct("The same key with another feature", KEYED | {"feature": VIDEO, "count": 3}),
    deduct("The same key of another product", KEYED | {"feature": "mail.send"}, MAIL),
    deduct("The same key for another user", KEYED | {"user_id": "usr_2"}),
    deduct("A dear feature", {"feature": VIDEO, "count": 2, "idempotency_key": "video:1"}),
    act("set_rate", feature=VIDEO, credits=9),
    deduct("The same charge after a new price", {"feature": VIDEO, "count": 2, "idempotency_key": "video:1"}),
    deduct("A charge at the new price", {"feature": VIDEO, "idempotency_key": "video:2"}),
    act("set_rate", feature=VIDEO, credits=9, active=False),
    deduct("The same charge of a withdrawn feature", {"feature": VIDEO, "idempotency_key": "video:2"}),
    deduct("A withdrawn feature", {"feature": "blog.old"}),
    deduct("An unknown feature", {"feature": "blog.unknown"}),
    deduct("A feature that the key may not charge", {}, MAIL),
    deduct("A feature in other letters", {"feature": "Blog.Article.Generate"}),
    deduct("Too few credits", {"count": 1000, "idempotency_key": "article:2"}),
    deduct("Far too few credits", {"feature": "blog.gold", "count": 1_000_000}),
    deliver("A payment of $1000", paid("cs_test_2", 1000)),
    deduct("The key of a refusal after the payment", {"count": 1000, "idempotency_key": "article:2"}),
    deduct("The same charge with too few credits", {"count": 1000, "idempotency_key": "article:2"}),
    act("give_back", user_id="usr_1", of="article:1", credits=1, key="form-1"),
    deduct("The same charge, given back in part", KEYED | {"count": 3}),
    act("give_back", user_id="usr_1", of="article:1", key="form-2"),
    deduct("The same charge, given back", KEYED | {"count": 3}),
    deduct("The same key with another count, given back", KEYED | {"count": 4}),
    deduct("Null for what may be left out", {"count": None, "idempotency_key": None}),
    deduct("Unknown fields", {"unknown": 5, "balanceAfter": 99, "user": {"id": "usr_2"}}),
    deduct("A key in any script", {"idempotency_key": "ü☃ 日本 \U0001f600"}),
    deduct("A key of 255 characters", {"idempotency_key": "x" * 255}),
    post("A body in UTF-8", DEDUCT, f'{{"user_id":"usr_\u00e9","feature":"{ARTICLE}"}}'),
    post("A query in the address", f"{DEDUCT}?count=5", {"user_id": "usr_1", "feature": ARTICLE}),
    *(deduct(f"{name} is null", {name: None}) for name in ("user_id", "feature")),
    post("No feature", DEDUCT, {"user_id": "usr_1"}),
    post("No user", DEDUCT, {"feature": ARTICLE}),
    *(deduct(f"A user_id that is {value!r}", {"user_id": value}) for value in (7, "", " ", True, ["usr_1"])),
    deduct("A user_id of 256 characters", {"user_id": "x" * 256}),
    deduct("A user_id with a NUL", {"user_id": "a\0b"}),
    deduct("A user_id with a lone surrogate", {"user_id": "\ud800"}),
    *(deduct(f"A feature that is {value!r}", {"feature": value}) for value in (7, "", True, "x" * 101)),
    *(
        deduct(f"A count that is {value!r}", {"count": value})
        for value in (0, -1, 1_000_001, 10**30, 2.0, 1.5, "2", True, [1])
    ),
    *(
        deduct(f"A key that is {what}", {"idempotency_key": value})
        for what, value in {"empty": "", "a number": 7, "blank": "\u3164", "long": "x" * 256}.items()
    ),
    *bad_bodies(DEDUCT, {"user_id": "usr_1", "feature": ARTICLE}),
    *(deduct(f"With {what}", {}, headers) for what, headers in (WRONG_KEYS | {"a token": USER}).items()),
    ask("A bad body with a wrong key", "POST", DEDUCT, {KEY_HEADER: "wsk_1"} | JSON, "{"),
    deduct("A page of Misar charges", {}, BLOG | MISAR),
    ask("A preflight", "OPTIONS", DEDUCT, MISAR | PREFLIGHT | {"Access-Control-Request-Method": "POST"}),
    *wrong_addresses(DEDUCT, "POST"),
    act("lock_wallet", user_id="usr_1"),
    deduct("The wallet is locked for too long", {"idempotency_key": "article:3"}),
    act("unlock_wallet"),
    deduct("The same key once the wallet is free", {"idempotency_key": "article:3"}),
    deliver("The first payment is disputed", disputed("cs_test_1", -60)),
    get("The debt", f"{BALANCE}?user_id=usr_1"),
    deduct("A charge with a debt", {"idempotency_key": "article:4"}),
    deduct("The same charge with a debt", {"idempotency_key": "article:3"}),
    act("set_limit", name="WALLET_CHARGES_PER_MINUTE", requests=1),
    deduct("The last charge of the minute", {"user_id": "usr_2"}),
    deduct("Too many charges of a product", {"user_id": "usr_2"}),
    deduct("Too many charges, and a wrong key", {}, {KEY_HEADER: "wsk_1"}),
]

RATES_SCRIPT = [
    *KEYS,
    get("The first rates", RATES, {}),
    act("set_rate", feature=VIDEO, credits=7),
    act("set_rate", feature="mail.send", credits=1, active=False),
    get("After changes", RATES, {}),
    get("With a key", RATES),
    get("With a wrong key and a wrong token", RATES, {KEY_HEADER: "wsk_1", "Authorization": "Bearer x"}),
    get("With parameters", f"{RATES}?user_id=%00&limit=x&cursor=y", {}),
    get("A media type and HTML accepted", RATES, JSON | {"Accept": "text/html"}),
    ask("HEAD", "HEAD", RATES, {}),
    *origins(RATES, {}),
    *wrong_addresses(RATES, "GET"),
    get("The address with an ending", f"{RATES}.json", {}),
    get("The address in other letters", "/io/wallet/Rates", {}),
]

TRANSACTIONS_SCRIPT = [
    *KEYS,
    *TOKENS,
    get("An unknown user", f"{TRANSACTIONS}?user_id=usr_1"),
    deliver("A payment of $42", paid("cs_test_1", 42)),
    get("One entry", f"{TRANSACTIONS}?user_id=usr_1"),
    get("One entry with a token", TRANSACTIONS, USER),
    deduct("A charge with a key", KEYED | {"count": 3}),
    deduct("The same charge again", KEYED | {"count": 3}),
    deduct("A charge of another product", {"feature": "mail.send"}, MAIL),
    act("give_back", user_id="usr_1", of="article:1", credits=2, key="form-1"),
    act("adjust", user_id="usr_1", credits=-15, key="form-2"),
    act("adjust", user_id="usr_1", credits=5, key="form-3"),
    deliver("A dispute takes the payment", disputed("cs_test_1", -42)),
    deliver("The dispute is won", disputed("cs_test_1", -42, 42, type="charge.dispute.funds_reinstated")),
    deliver("A payment of another user", paid("cs_test_2", 10, user_id="usr_2")),
    get("Every kind of entry", f"{TRANSACTIONS}?user_id=usr_1"),
    get("Every kind with a token", TRANSACTIONS, USER),
    get("The largest page", f"{TRANSACTIONS}?user_id=usr_1&limit=100"),
    get("The first page", f"{TRANSACTIONS}?user_id=usr_1&limit=3"),
    get("The second page", f"{TRANSACTIONS}?user_id=usr_1&limit=3&cursor={{{{cursor at entry 6}}}}"),
    deduct("A charge between two pages", {}),
    get("The last page", f"{TRANSACTIONS}?user_id=usr_1&limit=3&cursor={{{{cursor at entry 3}}}}"),
    get("The last page with a token", f"{TRANSACTIONS}?limit=2&cursor={{{{cursor at entry 2}}}}", USER),
    get("After the last page", f"{TRANSACTIONS}?user_id=usr_1&cursor={{{{cursor at entry 1}}}}"),
    get("The new first page", f"{TRANSACTIONS}?user_id=usr_1&limit=1"),
    get("A cursor of another user", f"{TRANSACTIONS}?user_id=usr_2&cursor={{{{cursor at entry 1}}}}"),
    get("The id instead of the cursor", f"{TRANSACTIONS}?user_id=usr_1&cursor={{{{entry 1}}}}"),
    *(
        get(f"A cursor that is {what}", f"{TRANSACTIONS}?user_id=usr_1&cursor={cursor}")
        for what, cursor in {
            "empty": "",
            "nonsense": "nonsense",
            "an empty object": "e30",
            "an unknown entry": "eyJpZCI6InR4bl8xIn0",
            "a number": "eyJpZCI6MX0",
            "no UTF-8": "%ff",
        }.items()
    ),
    get("Two cursors", f"{TRANSACTIONS}?user_id=usr_1&cursor=a&cursor=b"),
    *(
        get(f"The limit {limit!r}", f"{TRANSACTIONS}?user_id=usr_1&limit={limit}")
        for limit in ("0", "101", "-1", "", "ten", "1.0", "1e1", "%D9%A3", "0005", "99999")
    ),
    get("Two limits", f"{TRANSACTIONS}?user_id=usr_1&limit=1&limit=2"),
    ask("HEAD", "HEAD", f"{TRANSACTIONS}?user_id=usr_1", BLOG),
    *wrong_readers(TRANSACTIONS),
    *origins(f"{TRANSACTIONS}?limit=1", USER),
    *wrong_addresses(TRANSACTIONS, "GET"),
    act("set_limit", name="WALLET_READS_PER_MINUTE", requests=1),
    get("The first read of a user", f"{TRANSACTIONS}?user_id=usr_3"),
    get("Too many reads of a user", f"{TRANSACTIONS}?user_id=usr_3"),
    get("The balance of the same user", f"{BALANCE}?user_id=usr_3"),
]

TOPUP_SCRIPT = [
    act("start_stripe"),
    *KEYS,
    *TOKENS,
    topup("A checkout", {}),
    topup("The same request opens another checkout", {}),
    topup("The smallest amount", {"amountDollars": 10}),
    topup("The largest amount", {"amountDollars": 100_000}),
    topup("An address of Misar", {"returnUrl": "https://www.misar.blog/write?a=1#top"}),
    topup("An address of another site is ignored", {"returnUrl": "https://evil.example/"}),
    topup("Another product and unknown fields", {"product": "reach, the new one", "unknown": [1]}),
    topup("A user in any script", {"user_id": "ü☃ " + "x" * 252}),
    *(
        topup(f"An amount that is {value!r}", {"amountDollars": value})
        for value in (9, 100_001, 0, -10, 10**30, 10.5, 10.0, "25", True, None, [25])
    ),
    *(
        topup(f"{name} that is {what}", {name: value})
        for name in ("user_id", "product", "returnUrl")
        for what, value in {"null": None, "empty": "", "a number": 7, "with a line break": "a\nb"}.items()
    ),
    topup("A user_id of 256 characters", {"user_id": "x" * 256}),
    topup("A product of 101 characters", {"product": "x" * 101}),
    *(
        post(f"No {left_out}", TOPUP, {name: value for name, value in full.items() if name != left_out})
        for full in [{"user_id": "usr_1", "amountDollars": 25, "product": "blog", "returnUrl": "/"}]
        for left_out in full
    ),
    *bad_bodies(TOPUP, {"user_id": "usr_1", "amountDollars": 25, "product": "blog", "returnUrl": "/"}),
    *(topup(f"With {what}", {}, headers) for what, headers in (WRONG_KEYS | {"a token": USER}).items()),
    ask("A preflight", "OPTIONS", TOPUP, MISAR | PREFLIGHT | {"Access-Control-Request-Method": "POST"}),
    *wrong_addresses(TOPUP, "POST"),
    act("break_stripe", api_failure=500),
    topup("Stripe fails", {}),
    act("break_stripe", api_failure=400),
    topup("Stripe refuses", {}),
    act("break_stripe", api_failure=None),
    topup("Stripe works again", {}),
    get("Nothing was credited", f"{TRANSACTIONS}?user_id=usr_1"),
]

PAID = paid("cs_test_1", 25)
WEBHOOK_SCRIPT = [
    *KEYS,
    deliver("A paid checkout", PAID),
    deliver("The same event again", PAID),
    deliver("Another event of the same payment", PAID | {"id": "evt_2"}),
    deliver(
        "The payment succeeds later", paid("cs_test_1", 25, type="checkout.session.async_payment_succeeded")
    ),
    get("It was credited once", f"{TRANSACTIONS}?user_id=usr_1"),
    deliver("A checkout that is not paid yet", paid("cs_test_2", 30, payment_status="unpaid")),
    deliver(
        "A checkout that expired",
        paid("cs_test_3", 30, type="checkout.session.expired", payment_status="unpaid"),
    ),
    deliver("Less than a dollar", paid("cs_test_4", 0, amount_total=99)),
    deliver("Cents are rounded down", paid("cs_test_5", 0, amount_total=1099)),
    deliver("Another currency", paid("cs_test_6", 25, currency="eur")),
    deliver("A live event for a test key", paid("cs_test_7", 25, livemode=True)),
    deliver("A session that is not ours", paid("cs_test_8", 25, metadata={"type": "another"})),
    deliver("A session without a user", paid("cs_test_9", 25, metadata={"type": "wallet_topup"})),
    deliver("A type of event that is not ours", {"id": "evt_3", "type": "customer.created", "data": {}}),
    deliver("A refund of an unknown payment", refunded("cs_test_10", 5)),
    deliver("A part is refunded", refunded("cs_test_1", 10)),
    deliver("The refund again", refunded("cs_test_1", 10)),
    deliver("A dispute takes the rest", disputed("cs_test_1", -15)),
    deliver("The dispute is won", disputed("cs_test_1", -15, 15, type="charge.dispute.funds_reinstated")),
    get("What came of it", f"{TRANSACTIONS}?user_id=usr_1"),
    *(
        deliver(f"With the {signature}", paid("cs_test_11", 25), f"{{{{{signature}}}}}")
        for signature in (
            "signature of another secret",
            "signature of another body",
            "signature of an hour ago",
            "signature of the next hour",
        )
    ),
    *(
        deliver(f"With the header {header!r}", paid("cs_test_11", 25), header)
        for header in ("", "nonsense", "t=1,v1=00", "v1=00", "t=now,v1=00")
    ),
    post("Without a signature", WEBHOOK, paid("cs_test_11", 25), {}),
    post("With a service key instead", WEBHOOK, paid("cs_test_11", 25)),
    *(
        deliver(f"A signed body that is {what}", body)
        for what, body in {
            "empty": "",
            "no JSON": "nonsense",
            "an array": "[]",
            "without an id": '{"type": "checkout.session.completed"}',
            "without a type": '{"id": "evt_4"}',
            "no UTF-8": b"\xff",
        }.items()
    ),
    post(
        "Of another media type",
        WEBHOOK,
        PAID,
        {"Stripe-Signature": "{{signature}}"},
        {"Content-Type": "text/plain"},
    ),
    ask("A body that is too large", "POST", WEBHOOK, JSON | {"Content-Length": "1048577"}, "{}"),
    ask("A preflight", "OPTIONS", WEBHOOK, MISAR | PREFLIGHT | {"Access-Control-Request-Method": "POST"}),
    *wrong_addresses(WEBHOOK, "POST"),
    get("Nothing more was credited", f"{BALANCE}?user_id=usr_1"),
]

SCRIPTS = {
    "balance": BALANCE_SCRIPT,
    "deduct": DEDUCT_SCRIPT,
    "rates": RATES_SCRIPT,
    "topup_session": TOPUP_SCRIPT,
    "transactions": TRANSACTIONS_SCRIPT,
    "webhook": WEBHOOK_SCRIPT,
}
