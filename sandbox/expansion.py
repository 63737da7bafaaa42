"""`expand[]`: objects in the place of their ids, at most four levels deep, with Stripe's refusals."""

from collections.abc import Iterable
from typing import Any

from sandbox import store
from sandbox.errors import InvalidParameter
from sandbox.store import Body

LEVELS_MAX = 4
# By type, the fields that can be expanded, each with the types it may lead to. A field without a type is
# always null here: the sandbox has no customers, invoices or transfers.
FIELDS: dict[str, dict[str, tuple[str, ...]]] = {
    "checkout.session": {
        "payment_intent": ("payment_intent",),
        "customer": (),
        "invoice": (),
        "payment_link": (),
        "setup_intent": (),
        "subscription": (),
    },
    "payment_intent": {"latest_charge": ("charge",), "customer": (), "payment_method": ()},
    "charge": {
        "balance_transaction": ("balance_transaction",),
        "payment_intent": ("payment_intent",),
        "customer": (),
        "failure_balance_transaction": (),
    },
    "refund": {
        "balance_transaction": ("balance_transaction",),
        "charge": ("charge",),
        "failure_balance_transaction": ("balance_transaction",),
        "payment_intent": ("payment_intent",),
        "source_transfer_reversal": (),
        "transfer_reversal": (),
    },
    "dispute": {"charge": ("charge",), "payment_intent": ("payment_intent",)},
    "balance_transaction": {"source": ("charge", "refund", "dispute", "payout")},
    "payout": {
        "balance_transaction": ("balance_transaction",),
        "failure_balance_transaction": ("balance_transaction",),
    },
}

Tree = dict[str, Any]


def expand(answer: Body, paths: Iterable[str], *, of: str) -> Body:
    """Expand an object of the type `of`, or a list of such objects; a path that can't be raises.

    All paths are checked before the first object is read.
    """
    is_list = answer["object"] == "list"
    tree: Tree = {}
    for path in paths:
        names = _checked(path, of=of, in_list=is_list)
        branch = tree
        for name in names:
            branch = branch.setdefault(name, {})
    for body in answer["data"] if is_list else [answer]:
        _fill(body, tree)
    return answer


def _checked(path: str, *, of: str, in_list: bool) -> list[str]:
    """The fields of a path, without the `data` of a list."""
    names = path.split(".")
    if len(names) > LEVELS_MAX:
        raise InvalidParameter(f"You cannot expand more than {LEVELS_MAX} levels of a property ({path}).")
    if in_list:
        if names[0] != "data":
            hint = f" You may want to try expanding 'data.{path}' instead."
            raise InvalidParameter(f"This property cannot be expanded ({names[0]}).{hint}")
        names = names[1:]
        if not names:
            raise InvalidParameter("This property cannot be expanded (data).")
    types = {of}
    for name in names:
        targets = [FIELDS[each][name] for each in types if name in FIELDS.get(each, {})]
        if not targets:
            raise InvalidParameter(f"This property cannot be expanded ({name}).")
        types = {each for target in targets for each in target}
        if not types:  # Always null here, so there is nothing to check below it.
            break
    return names


def _fill(body: Body, tree: Tree) -> None:
    for name, below in tree.items():
        known = name in FIELDS[body["object"]]  # A source of another type may lack the field.
        linked = store.find(body[name]) if known and body.get(name) else None
        if linked:
            body[name] = linked.body
            _fill(linked.body, below)
