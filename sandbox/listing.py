"""Reading Stripe's API: one object by its id, and lists with their filters and pages."""

from collections.abc import Callable

from sandbox import store
from sandbox.errors import NoSuchObject
from sandbox.parameters import Parameters
from sandbox.store import Body

Wanted = Callable[[Body], bool]

LIMIT_DEFAULT = 10
LIMIT_MAX = 100


def anything(body: Body) -> bool:
    """Every object is wanted."""
    return True


def retrieved(object_type: str, parameters: Parameters, object_id: str, *, param: str) -> Body:
    """The object with this id; an unknown id raises NoSuchObject."""
    parameters.require_nothing_else()
    document = store.get(object_type, object_id)
    if document is None:
        raise NoSuchObject(object_type, object_id, param=param)
    return document.body


def listed_by_payment(
    object_type: str, parameters: Parameters, *filters: str, address: str, wanted: Wanted = anything
) -> Body:
    """A page of a list that can be filtered by the ids of linked objects, such as `payment_intent`."""
    chosen = {name: value for name in filters if (value := parameters.text(name))}
    return listed(
        object_type,
        parameters,
        address=address,
        linked_to=next(iter(chosen.values()), None),
        wanted=lambda body: wanted(body) and all(body.get(name) == value for name, value in chosen.items()),
    )


def listed(
    object_type: str,
    parameters: Parameters,
    *,
    address: str,
    wanted: Wanted = anything,
    linked_to: str | None = None,
) -> Body:
    """A page of a list, newest first.

    With `linked_to`, the id of an object, only objects of the same Checkout Session are read.
    """
    limit = parameters.integer("limit", least=1, most=LIMIT_MAX) or LIMIT_DEFAULT
    created = _created_filter(parameters)
    cursors = {name: parameters.text(name) for name in ("starting_after", "ending_before")}
    parameters.require_nothing_else()
    if all(cursors.values()):
        raise parameters.invalid(
            "ending_before", "You cannot use both ending_before and starting_after in one request."
        )
    try:
        page = store.page(
            object_type,
            wanted=wanted,
            limit=limit,
            created=created,
            session=None if linked_to is None else _session_of(linked_to),
            **cursors,
        )
    except KeyError as error:
        param = next(name for name, value in cursors.items() if value)
        raise NoSuchObject(object_type, error.args[0], param=param) from None
    data = [document.body for document in page.documents]
    return {"object": "list", "data": data, "has_more": page.has_more, "url": address}


def _session_of(object_id: str) -> str:
    """The session of an object; no session has the empty id."""
    document = store.find(object_id)
    return document.session if document else ""


def _created_filter(parameters: Parameters) -> tuple[int, int]:
    """The first and the last second, by `created=...`, an exact time, or `created[gte]=...` and the like."""
    if parameters.is_text("created"):
        exactly = parameters.integer("created")
        return store.ALWAYS if exactly is None else (exactly, exactly)
    bounds = parameters.branch("created")
    gt, gte, lt, lte = (bounds.integer(name) for name in ("gt", "gte", "lt", "lte"))
    first, last = store.ALWAYS
    return (
        max(first if gte is None else gte, first if gt is None else gt + 1),
        min(last if lte is None else lte, last if lt is None else lt - 1),
    )
