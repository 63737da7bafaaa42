"""The names of products on users' pages."""

# A top-up from the wallet's own page has this text as its product.
WALLET = "wallet"


def name_of(product: str) -> str:
    """Return a product's name for a page. The wallet is not a product; its name is "Wallet".

    >>> name_of("blog"), name_of("wallet"), name_of("")
    ('blog', 'Wallet', '')
    """
    return "Wallet" if product == WALLET else product
