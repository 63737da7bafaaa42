"""One mailbox has one form, however its address is spelled, and another mailbox never has it."""

import re
import sys
import unicodedata
from functools import partial
from urllib.parse import quote

import idna
import pytest
from django.utils.html import escape
from hypothesis import example, given
from hypothesis import strategies as st

from foundation.erased_texts import holds, without
from foundation.mailboxes import OTHER, mailbox_of

ZOE = "zoe@xn--bcher-kva.example"
DECOMPOSED = unicodedata.normalize("NFD", "bücher")
SPELLINGS = [
    "zoe@bücher.example",
    "zoe@xn--bcher-kva.example",
    "ZOE@BÜCHER.example",
    f"zoe@{DECOMPOSED}.example",
    f"ZOE@{DECOMPOSED.upper()}.EXAMPLE",
    "zoe@bücher\N{IDEOGRAPHIC FULL STOP}example",
    "zoe@bücher\N{FULLWIDTH FULL STOP}example",
    "zoe@bücher\N{HALFWIDTH IDEOGRAPHIC FULL STOP}example",
    "Zoe@XN--BCHER-KVA.Example",
    "zoe@bücher.example\N{IDEOGRAPHIC FULL STOP}",
    "zoe@bü\N{SOFT HYPHEN}cher.example",
    "zoe@bücher.\uff45\uff58ample",  # Two letters in full width.
]


@pytest.mark.parametrize("address", SPELLINGS)
def test_all_spellings_are_one_mailbox(address):
    assert mailbox_of(address) == ZOE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zoë@x.co", "zoe\N{COMBINING DIAERESIS}@X.co"),
        ("\N{KELVIN SIGN}ate@x.co", "kate@x.co"),
        ("ΖΟΣ@x.co", "ζος@x.co"),
        ("ΖΟΣ@x.co", "ζοσ@x.co"),
        ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}an@x.co", "I\N{COMBINING DOT ABOVE}an@x.co"),
        ("zoe@STRA\N{LATIN CAPITAL LETTER SHARP S}E.example", "zoe@xn--strae-oqa.example"),
        ("zoe@straße.example", "zoe@xn--strae-oqa.example"),
        ("zoe@ΟΔΟΣ.example", "zoe@οδοσ.example"),
        ("zoe@☃.net", "zoe@xn--n3h.net"),
        ("zoe@例え.テスト", "zoe@xn--r8jz45g.xn--zckzah"),
        ("zoe@[127.0.0.1]", "ZOE@[127.0.0.1]"),
        ("zoe@LOCALHOST", "zoe@localhost"),
    ],
)
def test_two_spellings_of_a_mailbox(one, other):
    assert mailbox_of(one) == mailbox_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("zoe@straße.example", "zoe@strasse.example"),  # As UTS #46 without transitional mappings says.
        ("zoe@οδος.example", "zoe@οδοσ.example"),
        ("zoe@bücher.example", "zoe@bucher.example"),
        ("zoe@bücher.example", "zoe@buecher.example"),
        ("zoe@bücher.example", "zoe@bücher.example.org"),
        ("\N{LATIN SMALL LETTER DOTLESS I}an@x.co", "ian@x.co"),
        ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}an@x.co", "ian@x.co"),
        ("\N{LATIN SMALL LETTER LONG S}am@x.co", "sam@x.co"),
        ("groß@x.co", "gross@x.co"),
        ("zoe+a@bücher.example", "zoe@bücher.example"),
    ],
)
def test_two_mailboxes_stay_two(one, other):
    assert mailbox_of(one) != mailbox_of(other)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@",
        "zoe",
        "ZOË",
        "zoe@\ud800.example",
        "zoe@\ue000.example",
        "zoe@.",
        "zoe@ü..example",
        "zoe@xn--.example",
        "zoe@xn--ü.example",
        "zoe@-ü-.example",
        "zoe@\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}." * 60,
        "zoe@" + "ü" * 254,
        "zoe@" + "ü." * 10_000,
        "zoe@a\N{FULLWIDTH COMMERCIAL AT}ü.example",
        "\0@\0ü",
    ],
)
def test_an_address_that_is_not_valid_has_a_form_too(address):
    assert mailbox_of(mailbox_of(address)) == mailbox_of(address)
    assert mailbox_of(address.replace("ü", "Ü")) == mailbox_of(address)


LETTERS = st.sampled_from("zZöÖßẞσςΣİıſ\u212a\u0307\u0308\u00ad\u200d\ufe0f☃😀例。．｡.-_@xn1")
ADDRESSES = st.one_of(
    st.text(),
    st.text(LETTERS),
    st.builds("{}@{}".format, st.text(max_size=20), st.text(max_size=40)),
    st.builds("{}@{}.{}".format, st.text(LETTERS), st.text(LETTERS), st.text(LETTERS)),
)


@given(ADDRESSES)
@example("ΖΟΣ@ΟΔΟΣ.ΟΔΟΣ")
@example("@\u0345\u0301")
@example("@\u212a.")
def test_the_form_of_a_form_is_itself(address):
    mailbox = mailbox_of(address)
    assert mailbox_of(mailbox) == mailbox
    assert mailbox_of(unicodedata.normalize("NFD", address)) == mailbox
    assert mailbox_of(unicodedata.normalize("NFC", address)) == mailbox


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_an_ascii_address_in_lower_case_is_its_own_form(text):
    assert mailbox_of(text) == text.lower()
    assert bool(re.search(OTHER, text)) is (text != text.lower())


@given(ADDRESSES)
def test_a_domain_that_the_library_encodes_has_that_form(address):
    domain = unicodedata.normalize("NFC", address.rpartition("@")[2])
    try:
        encoded = idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return
    assert mailbox_of(f"zoe@{domain}").rstrip(".") == f"zoe@{encoded}".rstrip(".")


@pytest.mark.slow
def test_no_character_changes_its_form_twice():
    for code_point in range(sys.maxunicode + 1):
        char = chr(code_point)
        for address in (f"a{char}b@x.co", f"zoe@a{char}b.co"):
            mailbox = mailbox_of(address)
            # The same text has the same mailbox. Most addresses have no other spelling here.
            for spelling in {mailbox, unicodedata.normalize("NFD", address)} - {address}:
                assert mailbox_of(spelling) == mailbox


# --- In texts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given_spelling", SPELLINGS)
@pytest.mark.parametrize(
    "written",
    [
        "zoe@bücher.example",
        "Zoe@BÜCHER.Example",
        "zoe@xn--bcher-kva.example",
        "ZOE@XN--BCHER-KVA.EXAMPLE",
        f"zoe@{DECOMPOSED}.example",
        "zoe@bücher。example",
        "zoe%40b%C3%BCcher.example",
        "ZOE%40B%C3%9CCHER.EXAMPLE",
        "zoe%40b%c3%bccher.example",
        "zoe%40xn--bcher-kva.example",
        "zoe%40bu%CC%88cher.example",
    ],
)
def test_each_spelling_finds_each_in_a_text(given_spelling, written):
    text = f"From <{written}>, {written}."
    assert without(text, given_spelling) == "From <(erased)>, (erased)."


@pytest.mark.parametrize(
    "neighbour",
    [
        "joezoe@bücher.example",
        "a.zoe@bücher.example",
        "zoe@bücher.example.org",
        "zoe@xn--bcher-kva.examples",
        "zoe@bucher.example",
        "zoe@xn--bcher-kvb.example",
        "zoe@mein-bücher.example",
    ],
)
def test_no_neighbour_is_found_in_a_text(neighbour):
    assert not [given for given in SPELLINGS if holds(neighbour, given)]


@pytest.mark.parametrize(
    ("address", "text", "left"),
    [
        ("zoe@example.com", "zoe@\uff45xample.com", "!"),
        ("zoe@bücher.example", "zoe@\uff42ücher.example", "!"),
        ("zoe@\u1ed1c.example", "zoe@ô\u0301c.example", "!"),
        ("zo\u1ed1@x.co", "Zoô\u0301@x.co", "!"),
        ("zoe@example.com", "mailto%3Azoe%40example.com", "mailto%3A!"),
        ("zoe@example.com", "?q%3Dzoe%40example.com%26a", "?q%3D!%26a"),
        ("zoe+tag@example.com", "zoe+tag%40example.com zoe%2Btag@example.com", "! !"),
        ("o'neil@x.co", "o&#x27;neil@x.co o&#39;neil&#64;x.co O%27Neil%40x.co o'neil%40x.co", "! ! ! !"),
        ("a&b@x.co", "a&amp;b@x.co a%26b%40x.co a&b@x.co", "! ! !"),
        ("100%25@x.co", "100%25@x.co 100%2525%40x.co", "! !"),
        ("zoe@x.co", r'{"email": "zoe\u0040x.co"} \nzoe@x.co\n', r'{"email": "!"} \n!\n'),
        ('"a b"@x.co', '"a b"@x.co', "!"),
        ("be@x.co", "5%be@x.co", "5%!"),
        ("nora@x.co", r"C:\nora@x.co", r"C:\!"),
        ("zoe@[127.0.0.1]", "zoe@[127.0.0.1]", "!"),
        ("zoe@x.co", "zoe@x.co。zoe@x.co\u200b.", "!。!\u200b."),
        ("zoe@x.co", "zoe@x.co@zoe@x.co", "!@!"),
        ("a@straße.example", "a@straße.example a@STRAẞE.example a@xn--strae-oqa.example", "! ! !"),
        ("kate@x.co", "\N{KELVIN SIGN}ate@x.co", "!"),
    ],
)
def test_an_address_is_removed_however_it_is_written(address, text, left):
    assert without(text, address) == left.replace("!", "(erased)")


@pytest.mark.parametrize(
    ("address", "neighbour"),
    [
        ("a@straße.example", "a@strasse.example a%40strasse.example A@STRASSE.EXAMPLE"),
        ("a@strasse.example", "a@straße.example a@xn--strae-oqa.example"),
        ("groß@x.co", "gross@x.co GROSS%40x.co"),
        ("a@οδος.example", "a@οδοσ.example"),
        ("\u017fam@x.co", "sam@x.co SAM@x.co"),
        ("sam@x.co", "\u017fam@x.co"),
        ("ian@x.co", "\u0131an@x.co"),
        ("zoe@x.co", "%2Bzoe%40x.co jos%C3%A9zoe%40x.co e\u0301zoe@x.co zoe@x.co\u0301 zoe@x.co\xadm"),
        ("zoe@x.co", "zoe%40x.com zoe%40x.co.uk zoe&#64;x.com"),
        ("axb@x.co", "a.b@x.co"),
    ],
)
def test_another_mailbox_stays_in_a_text(address, neighbour):
    assert without(neighbour, address) == neighbour


@given(st.text(), st.text(), st.sampled_from([str, str.upper, quote, escape, partial(quote, safe="")]))
def test_a_plain_address_is_always_removed(before, after, written):
    text = f"{before} <{written('Zoe+a.b@Example.com')}> {after}"
    assert text == without(text, "joe@example.com")
    assert without(text, "zoe+a.b@example.com") == f"{before} <(erased)> {after}"
