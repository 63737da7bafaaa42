"""The only module that converts between credits and cents, and the only one that writes amounts as text.

Credits are whole numbers; 1 credit = US$1. Stripe counts in cents. No amount is ever a float.
"""

CENTS_PER_CREDIT = 100


def credits_from_cents(cents: int) -> int:
    """Return how many credits a payment of US cents buys. A remainder below one dollar buys nothing."""
    return cents // CENTS_PER_CREDIT


def cents_from_dollars(dollars: int) -> int:
    """Return a whole-dollar amount in US cents."""
    return dollars * 100


def signed(amount: int) -> str:
    """Return a number as text with thousands separators and with a plus sign or a minus sign (U+2212).

    >>> signed(1250), signed(-40)
    ('+1,250', '−40')
    """
    return f"{amount:+,}".replace("-", "\N{MINUS SIGN}")


def plain(amount: int) -> str:
    """Return a number as text with thousands separators. Only a negative number has a sign.

    >>> plain(1250), plain(-40)
    ('1,250', '−40')
    """
    return f"{amount:,}".replace("-", "\N{MINUS SIGN}")


def credits(amount: int) -> str:
    """Return an amount of credits with its unit, as text.

    >>> credits(1), credits(-40), credits(1250)
    ('1 credit', '−40 credits', '1,250 credits')
    """
    return f"{plain(amount)} {unit(amount)}"


def unit(amount: int) -> str:
    """Return the word after an amount of credits: "credit" or "credits"."""
    return "credit" if abs(amount) == 1 else "credits"


def dollars(cents: int) -> str:
    """Return US cents as text in dollars.

    >>> dollars(2500), dollars(1999)
    ('$25.00', '$19.99')
    """
    return f"${cents // 100:,}.{cents % 100:02d}"


# --- Currencies and their decimals in Stripe's API (docs.stripe.com/currencies) ----------------------

_TWO_DECIMALS = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CNY "
    "COP CRC CVE CZK DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK "
    "JMD KES KGS KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN "
    "NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SEK SGD SHP SLE SOS SRD STN SZL THB "
    "TJS TOP TRY TTD TWD TZS UAH UGX USD UYU UZS WST XCD YER ZAR ZMW"
)
_NO_DECIMALS = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD JOD KWD OMR TND"

EXPONENTS = (
    dict.fromkeys(_TWO_DECIMALS.split(), 2)
    | dict.fromkeys(_NO_DECIMALS.split(), 0)
    | dict.fromkeys(_THREE_DECIMALS.split(), 3)
)
# Stripe counts ISK and UGX in hundredths but accepts only whole units. In currencies with three decimals, the
# last decimal must be 0.
_STEPS = {"ISK": 100, "UGX": 100} | dict.fromkeys(_THREE_DECIMALS.split(), 10)


def is_currency(code: str) -> bool:
    """Return whether this is an upper-case ISO 4217 code of a currency in which amounts can be recorded."""
    return code in EXPONENTS


def step_of(code: str) -> int:
    """Return the step of a currency. An amount in the smallest unit must be a multiple of this step."""
    return _STEPS.get(code, 1)


def amount(smallest_units: int, code: str) -> str:
    """Return an amount as text, with its currency. A negative amount has a minus sign (U+2212).

    >>> amount(799, "USD"), amount(-500, "JPY"), amount(1234567, "EUR")
    ('7.99 USD', '−500 JPY', '12,345.67 EUR')
    """
    return f"{figure(smallest_units, code)} {code}"


def figure(smallest_units: int, code: str) -> str:
    """Return an amount as text, without its currency.

    >>> figure(-79900, "USD"), figure(1500, "JPY")
    ('−799.00', '1,500')
    """
    whole, _, decimals = decimal_text(abs(smallest_units), code).partition(".")
    sign = "\N{MINUS SIGN}" if smallest_units < 0 else ""
    return f"{sign}{int(whole):,}{'.' if decimals else ''}{decimals}"


def decimal_text(smallest_units: int, code: str) -> str:
    """Return an amount of 0 or more as text for forms and spreadsheets, without separators and currency.

    >>> decimal_text(123450, "USD"), decimal_text(500, "JPY"), decimal_text(5, "KWD")
    ('1234.50', '500', '0.005')
    """
    assert smallest_units >= 0, "forms and spreadsheets have no negative amounts"
    exponent = EXPONENTS[code]
    whole, rest = divmod(smallest_units, 10**exponent)
    return f"{whole}.{rest:0{exponent}d}" if exponent else str(whole)
