"""Which characters a text or an id may contain, whether a text shows anything, and where it may be cut.

Python's own tables do not decide this: each version of Python knows another version of Unicode, so two hosts
could disagree about one text. The ranges below are our own. The package `regex` has its own Unicode data.
"""

import re
import unicodedata

import regex

# Free text contains none of these. Unicode never moves a character into or out of these ranges.
REFUSED = (
    r"\x00-\x1f\x7f-\x9f"  # Control characters, with tabs and line breaks.
    r"\u2028\u2029"  # The line separator and the paragraph separator.
    r"\u202a-\u202e\u2066-\u2069"  # Embeddings, overrides and isolates: they reorder the text around a name.
    r"\ud800-\udfff"  # Surrogates.
    r"\ue000-\uf8ff\U000f0000-\U0010ffff"  # Private use.
    r"\ufdd0-\ufdef\ufffe\uffff"  # Characters that Unicode never assigns, also at the end of each plane.
    + "".join(rf"\U{plane:04x}fffe\U{plane:04x}ffff" for plane in range(0x1, 0xF))
)
# An id contains none of these either: most of them are invisible.
REFUSED_IN_IDS = (
    # The format characters of Unicode 17. A later one passes until it is added here, on each host alike.
    r"\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2060-\u2064\u206a-\u206f\ufeff"
    r"\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0001\U000e0020-\U000e007f"
    # The blanks, except the space.
    r"\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
)
# Blanks, control and format characters, and letters and symbols that show nothing: fillers, the empty Braille
# pattern, the null notehead, two blank hieroglyphs.
BLANK = r"\p{White_Space}\p{Cc}\p{Cf}\u115f\u1160\u2800\u3164\uffa0\U0001d159\U00013441\U00013442"

_UNPRINTABLE = re.compile(f"[{REFUSED}]")
_UNPRINTABLE_IN_IDS = re.compile(f"[{REFUSED}{REFUSED_IN_IDS}]")
# Combining marks need a character before them. Variation selectors are marks too.
_VISIBLE = regex.compile(rf"[^{BLANK}\p{{M}}\p{{Default_Ignorable_Code_Point}}]")
_GAP = re.compile(rf"(?<! ) *[{REFUSED}][ {REFUSED}]*")
_CLUSTER = regex.compile(r"\X")


def is_printable(text: str) -> bool:
    """Return whether free text may contain each character: what people write in any script, and emoji.

    Joiners, variation selectors, tags, direction marks, blanks and characters that Unicode has not assigned
    yet are printable. A line break is not.
    """
    return not _UNPRINTABLE.search(text)


def is_printable_in_ids(text: str) -> bool:
    """Return whether an id may contain each character: no format character, and of the blanks only the space.

    Ids are also the names of features and products, keys and tokens.
    """
    return not _UNPRINTABLE_IN_IDS.search(text)


def is_visible(text: str) -> bool:
    """Return whether at least one character of the text shows something."""
    return bool(_VISIBLE.search(text))


def is_text(text: str) -> bool:
    """Return whether the text is valid free text in one line, of any length: printable and visible."""
    return is_printable(text) and is_visible(text)


def is_id(text: str) -> bool:
    """Return whether the text is a valid id of any length: printable in ids, and visible."""
    return is_printable_in_ids(text) and is_visible(text)


def both_forms(text: str) -> set[str]:
    """Return the text as it is, with each accented letter as one character (NFC), and as two or more (NFD).

    A text may be stored in either form, so a search must look for both.

    >>> sorted(map(len, both_forms("Zoë")))
    [3, 4]
    """
    return {text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))}


def beginning(text: str, length: int) -> str:
    """Return the text's beginning, at most `length` code points, cut between two grapheme clusters.

    A grapheme cluster is what a reader sees as one character, such as 👩‍🚀, which has three code points. Only
    a cluster that is longer than `length` is cut inside.

    >>> beginning("Ada 👩‍🚀", 6), beginning("Ada 👩‍🚀", 7)
    ('Ada ', 'Ada 👩\u200d🚀')
    """
    end = 0
    for cluster in _CLUSTER.finditer(text):
        if cluster.end() > length:
            return text[: end or length]
        end = cluster.end()
    return text


def ending(text: str, length: int) -> str:
    """Return the text's end, at most `length` code points, cut like `beginning`."""
    fitting = (each.start() for each in _CLUSTER.finditer(text) if len(text) - each.start() <= length)
    return text[next(fitting, max(len(text) - length, 0)) :]


def initials(text: str) -> str:
    """Return the first grapheme cluster of each of the first two words, in capitals.

    >>> initials("ada lovelace"), initials("👩‍🚀 news")
    ('AL', '👩\u200d🚀N')
    """
    return "".join(word[0] for word in map(_CLUSTER.findall, text.split()[:2])).upper()


def middle_cut(text: str) -> str:
    """Return an id in at most 16 code points: its beginning and its end, if it is longer.

    >>> middle_cut("pi_3OaBcDeFgHiJkLmN"), middle_cut("sub_1OaBcDeFgHiJ")
    ('pi_3OaB…kLmN', 'sub_1OaBcDeFgHiJ')
    """
    return text if len(text) <= 16 else f"{beginning(text, 7)}…{ending(text, 4)}"


def one_line(text: str, length: int | None = None) -> str:
    """Return a text in one line of printable characters, with at most `length` code points.

    Only line breaks and other unprintable characters are replaced, each group of them by one space.

    >>> one_line("Love your\\nweekly deep-dives", 16)
    'Love your weekl…'
    """
    line = _GAP.sub(" ", text).strip()
    return line if length is None or len(line) <= length else f"{beginning(line, length - 1).rstrip()}…"
