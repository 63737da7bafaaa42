"""Read the billing interval in the name of a subscription's plan.

The API sends no interval, so the name is all there is to read. A wrong interval makes MRR wrong, up to 52
times. So the interval is UNKNOWN if a name can be read in two ways (docs/monetization.md).
"""

import re

from monetization.models import Subscription

Interval = Subscription.Interval

WORDS = {
    **dict.fromkeys(("week", "weekly"), Interval.WEEK),
    **dict.fromkeys(("month", "monthly", "mo", "month-to-month"), Interval.MONTH),
    **dict.fromkeys(("quarter", "quarterly"), Interval.QUARTER),
    **dict.fromkeys(("year", "yearly", "annual", "annually", "annum", "yr"), Interval.YEAR),
}

LETTER = r"[^\W\d_]"
DASH = "\N{HYPHEN}-\N{HORIZONTAL BAR}-"  # For a character class: every dash of Unicode's row, and "-".
# The end of a word: "year" in "years", "yearbook" and "New Year's" has none.
END = rf"(?!['’]?{LETTER})"
ADVERB = "(?:weekly|monthly|quarterly|yearly|annual(?:ly)?|yr)"
NOUN = "(?:week|month|quarter|year)"

# A multiple, a part or the opposite of an interval: "bi-weekly", "six monthly", "half a year",
# "3 times a year", "no monthly fee". But "Tier 2 monthly" is a month: 2 is the number of the tier.
OTHER_INTERVAL = re.compile(
    rf"""
    (?<!{LETTER})
    (?:bi|tri|semi|demi|half|mid|multi|non|no|not|never|without|twice|thrice|[¼-¾⅐-⅞]
      |two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|[a-z]+teen|twenty
      |(?:\d+|two|three|four|five|six)[\s-]*(?:times|x))
    [\W_]*(?:of[\W_]+)?(?:(?:an?|per|every|each)[\W_]+)?(?:{ADVERB}|{NOUN})
    # A number from 2 to 99, at the beginning or after "every", or without a blank: "Pro 6-monthly".
    |(?:^|[(\[,:;]|(?<!{LETTER})(?:every|each))\s*(?!0*1(?!\d))\d{{1,2}}[\s_{DASH}]*{ADVERB}
    |(?<!\S)(?!0*1(?!\d))\d{{1,2}}[{DASH}]?{ADVERB}
    # "every other monthly", "each 3rd yearly", "1/2-yearly", "3× weekly", "monthly x 3".
    |(?:every|each)[\W_]+(?:other|alternate|second|third|fourth|\d+(?:st|nd|rd|th))[\W_]*{ADVERB}
    |\d\s*[/⁄]\s*\d+[\s_{DASH}]*{ADVERB}
    |\d\s*×|×\s*\d|(?<!{LETTER})x\s*\d
    # "4 payments a year" and "3/year", but not "$3/year".
    |(?:\d+|two|three|four|five|six|ten|twelve)\s+(?:payments?|instal?lments?|rates|times)
    |(?<![\w.,$€£¥])(?!0*1(?!\d))\d{{1,2}}\s*/\s*(?:{NOUN}|mo|yr)
    """,
    re.IGNORECASE | re.VERBOSE,
)
# A noun alone may name anything ("Fashion Week", "New Year"). It is the interval only after "per", "/" or
# "1", or if it stands alone between two marks: "month", "Gold (month)", "a year".
INTERVAL = re.compile(
    rf"""
    (?<!{LETTER})(?P<adverb>{ADVERB}){END}
    |(?<![\w-])(?P<rolling>month[\s-]to[\s-]month){END}
    |(?:(?<!{LETTER})per[\s_-]+|/\s*|(?<![\w.,/])1[\s_-]*)(?P<after>{NOUN}|annum|mo|yr){END}
    |(?:^|[(\[,:;|]\s*|\s[{DASH}]\s+|(?<!{LETTER})(?:an?|each|every|one)[\s_-]+)
     (?P<alone>{NOUN})(?=\s*(?:$|[^\w\s'’:{DASH}]|[{DASH}]\s))
    """,
    re.IGNORECASE | re.VERBOSE,
)
# What else speaks of an interval: "months", "biweekly", "midyear", "Year-end", "12 mo", "daily", "lifetime".
TRACE = re.compile(
    rf"""
    (?<!{LETTER})(?:bi|tri|semi|demi|half|mid|multi|new)?(?:{NOUN}|annual|annum)(?:s|ly|long)?(?!{LETTER})
    |(?<!{LETTER})(?:yrs?|hourly|daily|nightly|fortnight(?:ly)?|semester|trimester|(?:bi|tri)ennial(?:ly)?)
     (?!{LETTER})
    |\d[\s_-]*mos?(?!{LETTER})|and\s+a\s+half
    |(?<!{LETTER})(?:lifetime|one[\s-]?(?:time|off)|days?)(?!{LETTER})
    # An interval in another language beside an English one: "Weekly Digest - monatlich".
    |(?<!{LETTER})(?:monat|jahr|jähr|wöch|woche|quartal|mensu|mensil|annue|annuale|anual|seman|settiman|hebdo|trimest)
     {LETTER}
    """,
    re.IGNORECASE | re.VERBOSE,
)


def interval_of(plan: str) -> Interval:
    """Return the billing interval in a plan's name; UNKNOWN if the name says none, or more than one.

    >>> for plan in ("Gold, monthly", "$50/year", "New Year's special - monthly"):
    ...     print(interval_of(plan))
    month
    year
    unknown
    """
    name = plan.strip()
    found = {_meant(match) for match in INTERVAL.finditer(name)}
    if len(found) != 1 or OTHER_INTERVAL.search(name) or TRACE.search(INTERVAL.sub(" ", name)):
        return Interval.UNKNOWN
    return found.pop()


def _meant(match: re.Match[str]) -> Interval:
    word = str(match[str(match.lastgroup)]).lower()
    return WORDS["-".join(word.split())]
