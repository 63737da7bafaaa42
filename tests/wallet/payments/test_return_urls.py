"""Where a user may be sent back to after a checkout."""

import pytest

from wallet.payments import return_urls

HOME = "http://testserver/wallet"

# What is asked for, and where it leads.
HONOURED = [
    # Paths on our own site.
    ("/", "http://testserver/?wallet_topup=success"),
    ("/settings", "http://testserver/settings?wallet_topup=success"),
    ("/settings?tab=billing", "http://testserver/settings?tab=billing&wallet_topup=success"),
    ("/settings#credits", "http://testserver/settings?wallet_topup=success#credits"),
    ("/a?b=c&d=e#f", "http://testserver/a?b=c&d=e&wallet_topup=success#f"),
    ("/a?", "http://testserver/a?wallet_topup=success"),
    ("/@evil.com", "http://testserver/@evil.com?wallet_topup=success"),
    ("/a//b", "http://testserver/a//b?wallet_topup=success"),
    ("/caf%C3%A9", "http://testserver/caf%C3%A9?wallet_topup=success"),
    ("/go?to=https://evil.com", "http://testserver/go?to=https://evil.com&wallet_topup=success"),
    # Misar's own hosts.
    ("https://misar.io", "https://misar.io?wallet_topup=success"),
    ("https://misar.io/", "https://misar.io/?wallet_topup=success"),
    ("https://misar.blog/write", "https://misar.blog/write?wallet_topup=success"),
    ("https://www.misar.blog/write", "https://www.misar.blog/write?wallet_topup=success"),
    ("https://mail.misar.io/a?tab=billing", "https://mail.misar.io/a?tab=billing&wallet_topup=success"),
    ("https://a.b.c.misar.io/x#y", "https://a.b.c.misar.io/x?wallet_topup=success#y"),
    ("https://xn--caf-dma.misar.io/", "https://xn--caf-dma.misar.io/?wallet_topup=success"),
    ("https://misar.io:443/x", "https://misar.io:443/x?wallet_topup=success"),
    ("HTTPS://MISAR.IO/x", "https://MISAR.IO/x?wallet_topup=success"),
    ("https://misar.io/@evil.com", "https://misar.io/@evil.com?wallet_topup=success"),
    ("https://misar.io?x=@evil.com", "https://misar.io?x=@evil.com&wallet_topup=success"),
]

HOSTILE = [
    # A foreign host.
    "https://evil.com/phish",
    "https://evil.com/misar.io",
    "https://evil.com?misar.io",
    "https://evil.com#misar.io",
    "https://evil.com#.misar.io",
    "https://evil.com/.misar.io",
    # Hosts that only look like ours.
    "https://evilmisar.io/",
    "https://misar.io.evil.com/",
    "https://misar.io-evil.com/",
    "https://misario/",
    "https://misar.i\N{CYRILLIC SMALL LETTER O}/",
    "https://m\N{LATIN SMALL LETTER DOTLESS I}sar.io/",
    "https://misar\N{IDEOGRAPHIC FULL STOP}io/",
    "https://evil.com\N{FULLWIDTH SOLIDUS}.misar.io/",
    "https://misar.io./",
    "https://.misar.io/",
    "https://..misar.io/",
    "https://a..misar.io/",
    "https://*.misar.io/",
    "https://evil.com%2f.misar.io/",
    "https://evil.com%00.misar.io/",
    "https://evil.com;.misar.io/",
    "https://evil.com,.misar.io/",
    "https://evil.com'.misar.io/",
    'https://evil.com".misar.io/',
    "https://evil.com<.misar.io/",
    "https://evil.com|.misar.io/",
    "https://evil.com^.misar.io/",
    "https://evil.com`.misar.io/",
    "https://evil.com{}.misar.io/",
    "https://evil.com!.misar.io/",
    "https://evil.com&.misar.io/",
    "https://evil.com=.misar.io/",
    # A user before the host, or a port after it.
    "https://misar.io@evil.com/",
    "https://misar.io:pass@evil.com/",
    "https://evil.com@misar.io/",
    "https://user:pass@misar.io/",
    "https://@misar.io/",
    "https://:@misar.io/",
    "https://misar.io%40evil.com/",
    "https://misar.io:8443/",
    "https://misar.io:80/",
    "https://misar.io:/",
    "https://misar.io:0443/",
    "https://misar.io:443443/",
    "https://misar.io:x/",
    "https://misar.io:443@evil.com/",
    # Addresses with brackets.
    "https://[::1]/",
    "https://[misar.io]/",
    "https://[::1].misar.io/",
    "https://[evil.com].misar.io/",
    "https://127.0.0.1/",
    "https://[",
    # Slashes that browsers read in their own way.
    "//evil.com",
    "//misar.io",
    "///evil.com",
    "////evil.com",
    "/\\evil.com",
    "\\evil.com",
    "\\\\evil.com",
    "/a\\b",
    "https:\\\\misar.io",
    "https://misar.io\\@evil.com/",
    "https://evil.com\\.misar.io/",
    "https://evil.com\\@misar.io/",
    "https:/misar.io",
    "https:misar.io",
    "https:///misar.io",
    "https:////misar.io",
    # Other schemes.
    "http://misar.io/",
    "ftp://misar.io/",
    "javascript:alert(1)",
    "javascript://misar.io/%0aalert(1)",
    "data:text/html,hello",
    "file:///etc/passwd",
    "intent://misar.io/#Intent;scheme=https;end",
    "://misar.io",
    # Neither a path nor an address.
    "misar.io",
    "www.misar.io/x",
    "settings",
    "./settings",
    "../settings",
    "?tab=billing",
    "#credits",
    ".",
    "*",
    # Blanks, and what lies outside ASCII.
    " ",
    " /settings",
    "/settings ",
    "/set tings",
    " https://misar.io/",
    "https://misar.io /",
    "https:// misar.io/",
    "/café",
    "https://misar.io/café",
    "https://misar.io/\N{RIGHT-TO-LEFT OVERRIDE}",
    # Control characters; browsers drop some of them.
    "/\t/evil.com",
    "/\n/evil.com",
    "ht\ntps://misar.io/",
    "https://misar.io/\r\nSet-Cookie: a=b",
    "https://mis\tar.io/",
    "/settings\x00",
    # Longer than any address of ours.
    "/" + "x" * 2048,
    "https://misar.io/" + "x" * 2048,
]


def test_misars_own_addresses_are_honoured(subtests):
    for wanted, found in HONOURED:
        with subtests.test(wanted=wanted):
            assert return_urls.success(wanted) == found


def test_anything_else_is_ignored_and_leads_to_our_wallet_page(subtests):
    for wanted in HOSTILE:
        with subtests.test(wanted=ascii(wanted)):
            assert return_urls.success(wanted) == f"{HOME}?wallet_topup=success"
            assert return_urls.cancelled(wanted) == f"{HOME}?wallet_topup=cancelled"


def test_who_left_the_checkout_is_told_so():
    assert return_urls.cancelled("/a?tab=billing") == "http://testserver/a?tab=billing&wallet_topup=cancelled"


def test_what_the_address_said_before_stays_and_comes_first():
    wanted = "/a?wallet_topup=success"
    assert return_urls.cancelled(wanted) == "http://testserver/a?wallet_topup=success&wallet_topup=cancelled"


def test_the_longest_path_is_honoured():
    path = "/" + "x" * 2047
    assert return_urls.success(path) == f"http://testserver{path}?wallet_topup=success"


def test_the_list_of_hosts_is_a_setting(settings):
    settings.RETURN_URL_HOSTS = ["example.org"]
    assert return_urls.success("https://example.org/a") == "https://example.org/a?wallet_topup=success"
    for other in ("https://misar.io/", "https://www.example.org/"):
        assert return_urls.success(other) == f"{HOME}?wallet_topup=success"


def test_a_star_stands_for_hosts_below_not_for_the_host_itself(settings):
    settings.RETURN_URL_HOSTS = ["*.example.org"]
    assert return_urls.success("https://a.example.org/") == "https://a.example.org/?wallet_topup=success"
    assert return_urls.success("https://example.org/") == f"{HOME}?wallet_topup=success"


def test_our_own_address_is_a_setting(settings):
    settings.PUBLIC_URL = "https://billing.misar.io"
    assert return_urls.success("/a") == "https://billing.misar.io/a?wallet_topup=success"
    assert return_urls.success("javascript:x") == "https://billing.misar.io/wallet?wallet_topup=success"


# --- Links of our own pages -------------------------------------------------------------------------


def test_what_a_checkout_may_lead_to_a_link_may_lead_to(subtests):
    for url, _ in HONOURED:
        with subtests.test(url=url):
            assert return_urls.is_allowed(url)


def test_no_link_leads_anywhere_else_and_nothing_of_it_is_shown(subtests):
    for url in (*HOSTILE, ""):
        with subtests.test(url=ascii(url)):
            assert not return_urls.is_allowed(url)
            assert return_urls.name_of(url) == "Misar"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/", "Misar"),
        ("/settings?to=https://misar.blog/", "Misar"),
        ("https://misar.io", "misar.io"),
        ("https://misar.blog/write?x=1#y", "MisarBlog"),
        ("https://www.misar.blog/write", "MisarBlog"),
        ("https://someone.misar.blog/", "someone.misar.blog"),
        ("https://mail.misar.io/a", "MisarMail"),
        ("https://www.mail.misar.io/a", "MisarMail"),
        ("https://shop.misar.io/a", "shop.misar.io"),
        ("HTTPS://WWW.MISAR.IO:443/x", "misar.io"),
        ("https://wwwx.misar.io/", "wwwx.misar.io"),
        ("https://misar.io/@evil.com", "misar.io"),
        ("https://xn--caf-dma.misar.io/", "xn--caf-dma.misar.io"),
    ],
)
def test_a_link_is_named_after_its_product_or_its_host(url, name):
    assert return_urls.name_of(url) == name
