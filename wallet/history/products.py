"""The names of products on users' pages and in mails."""

from collections.abc import Iterable

from django.conf import settings

# A top-up from the wallet's own page has this text as its product.
WALLET = "wallet"


def named(products: Iterable[str]) -> list[tuple[str, str]]:
    """Return these products with their names, in the order of the names, for the choices of a form."""
    pairs = [(product, name_of(product)) for product in products]
    return sorted(pairs, key=lambda pair: pair[1].casefold())


def name_of(product: str) -> str:
    """Return a product's name for a page, from PRODUCT_NAMES. The wallet is not a product; it is "Wallet".

    A product without a name in the setting keeps the text that its service key has.

    >>> name_of("blog"), name_of("shop"), name_of("wallet"), name_of("")
    ('MisarBlog', 'shop', 'Wallet', '')
    """
    names: dict[str, str] = settings.PRODUCT_NAMES
    return "Wallet" if product == WALLET else names.get(product, product)
