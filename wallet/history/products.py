"""The names of products, as users read them."""

# The product of a top-up from the wallet's own page.
WALLET = "wallet"


def name_of(product: str) -> str:
    """A product as pages show it: by its own name, and the wallet, which is no product, as "Wallet".

    >>> name_of("blog"), name_of("wallet"), name_of("")
    ('blog', 'Wallet', '')
    """
    return "Wallet" if product == WALLET else product
