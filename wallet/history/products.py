"""What users call the products that charge them and that they top up from."""

# The name under which the wallet's own page tops up.
WALLET = "wallet"


def name_of(product: str) -> str:
    """A product as the history shows it: its own name; the wallet, which is none of them, by its title.

    >>> name_of("blog"), name_of("wallet"), name_of("")
    ('blog', 'Wallet', '')
    """
    return "Wallet" if product == WALLET else product
