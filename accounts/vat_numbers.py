"""What a VAT number of Europe looks like, by its first two letters.

This only helps to find a typing error. The shapes of countries change, so no number is refused by them.
"""

import re

# The number after the country's letters, as the European Commission lists it. EL is Greece, and XI is
# Northern Ireland.
SHAPES = {
    "AT": r"U\d{8}",
    "BE": r"[01]?\d{9}",
    "BG": r"\d{9,10}",
    "CHE": r"\d{9}(MWST|TVA|IVA)?",
    "CY": r"\d{8}[A-Z]",
    "CZ": r"\d{8,10}",
    "DE": r"\d{9}",
    "DK": r"\d{8}",
    "EE": r"\d{9}",
    "EL": r"\d{9}",
    "ES": r"[A-Z0-9]\d{7}[A-Z0-9]",
    "FI": r"\d{8}",
    "FR": r"[A-Z0-9]{2}\d{9}",
    "GB": r"\d{9}|\d{12}|(GD|HA)\d{3}",
    "HR": r"\d{11}",
    "HU": r"\d{8}",
    "IE": r"\d[A-Z0-9+*]\d{5}[A-Z]{1,2}",
    "IT": r"\d{11}",
    "LT": r"\d{9}|\d{12}",
    "LU": r"\d{8}",
    "LV": r"\d{11}",
    "MT": r"\d{8}",
    "NL": r"[A-Z0-9+*]{12}",
    "PL": r"\d{10}",
    "PT": r"\d{9}",
    "RO": r"\d{2,10}",
    "SE": r"\d{12}",
    "SI": r"\d{8}",
    "SK": r"\d{10}",
    "XI": r"\d{9}|\d{12}|(GD|HA)\d{3}",
}


def hint(number: str) -> str:
    """Return a sentence if a VAT number does not look like one of its country; otherwise "".

    Blanks, dots and hyphens don't count. A number that begins with no known letters gets no hint.

    >>> hint("DE 123.456.789"), hint("12345"), hint("")
    ('', '', '')
    >>> hint("de12345678")
    'Please check the VAT number: numbers that begin with DE usually have another length or other letters.'
    """
    plain = re.sub(r"[\s.\-]", "", number).upper()
    letters = next((each for each in SHAPES if plain.startswith(each)), "")
    if not letters or re.fullmatch(SHAPES[letters], plain.removeprefix(letters), re.ASCII):
        return ""
    return (
        f"Please check the VAT number: numbers that begin with {letters} usually have another length or "
        "other letters."
    )
