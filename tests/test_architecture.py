"""The layers of the code: imports run down, and some libraries are imported in one place only."""

import re

import pytest

from tests.source import PRODUCTION, ROOT, imports_of, is_within, name_of, python_files, tree_of

# From top to bottom: each imports only those below it.
FLOORS = ["misar_billing", "demo", "backoffice", "monetization", "wallet", "accounts", "foundation"]
# The same inside the wallet.
ROOMS = ["payments", "seals", "history", "grants", "charges", "prices", "books"]
# The parts of an app that meet the outside. None imports one of another kind.
EDGES = {"api", "pages", "dashboard", "signing_in"}
# The edges, and other modules that deal with HTTP in every app.
OF_HTTP = {
    *EDGES,
    "http",
    "management",
    "authentication",
    "decorators",
    "fields",
    "permissions",
    "throttling",
}
LINES_MAX = 500

FILES = {name_of(path): path for path in python_files()}


def files_of(*packages: str):
    return [(name, path) for name, path in FILES.items() if name.split(".")[0] in packages]


def crossings(files, is_forbidden, **which) -> list[str]:
    """The forbidden imports, as sentences; `is_forbidden` gets the importing and the imported module."""
    return [
        f"{name} imports {module}"
        for name, path in files
        for module in imports_of(path, **which)
        if is_forbidden(name, module)
    ]


def test_imports_run_down():
    def runs_up(name: str, module: str) -> bool:
        above = FLOORS[: FLOORS.index(name.split(".")[0])]
        return module.split(".")[0] in {*above, "tests", "bench", "soak"}

    assert crossings(files_of(*FLOORS), runs_up) == []


def test_no_lower_app_names_a_module_of_an_upper_one_in_a_string():
    """A dotted path counts as an import. (The settings are on the top floor.)"""
    for name, path in files_of(*FLOORS[1:]):
        above = FLOORS[: FLOORS.index(name.split(".")[0])]
        dotted = rf"[\"'](?:{'|'.join(above)})(?:\.[a-z_]+)+[\"']"
        named = {text.strip("\"'") for text in re.findall(dotted, path.read_text())}
        # Only modules and names in them, not labels of models such as wallet.entry.
        modules = {each for each in named if {each, each.rpartition(".")[0]} & (FILES.keys() - set(FLOORS))}
        assert modules == set(), name


def room_of(module: str) -> int | None:
    """The index of a wallet module's room, counted from the top; None if it is in no room."""
    app, _, rest = module.partition(".")
    room = rest.split(".")[0]
    return ROOMS.index(room) if app == "wallet" and room in ROOMS else None


def stands_on_rooms(module: str) -> bool:
    """Whether a module outside the rooms imports one, as the index of the models does."""
    known = FILES.get(module) or FILES.get(module.rpartition(".")[0])
    return known is not None and any(room_of(each) is not None for each in imports_of(known))


def test_a_room_of_the_wallet_imports_only_lower_ones():
    def runs_up(name: str, module: str) -> bool:
        if not is_within(module, "wallet"):
            return False
        here, there = room_of(name), room_of(module)
        assert here is not None
        return stands_on_rooms(module) if there is None else there < here

    rooms = [(name, path) for name, path in FILES.items() if room_of(name) is not None]
    assert {name.split(".")[1] for name, _ in rooms} == set(ROOMS)
    assert crossings(rooms, runs_up) == []


def edge_of(module: str) -> str | None:
    """Which kind of edge a module belongs to: wallet.api.views to api."""
    return next((part for part in module.split(".")[1:2] if part in EDGES), None)


def test_no_edge_imports_an_edge_of_another_kind():
    edges = [(name, path) for name, path in files_of("accounts", "wallet", "monetization") if edge_of(name)]
    assert {edge_of(name) for name, _ in edges} == EDGES
    assert crossings(edges, lambda name, module: edge_of(module) not in (None, edge_of(name))) == []


def test_models_and_verbs_import_no_http_and_no_edge():
    outside = ["rest_framework", "django.http", "django.shortcuts", "drf_spectacular"]
    inner = [
        (name, path)
        for name, path in files_of("foundation", "accounts", "wallet", "monetization")
        if not OF_HTTP & set(name.split(".")) and not name.endswith(".apps")
    ]

    def is_outside(name: str, module: str) -> bool:
        return edge_of(module) is not None or any(is_within(module, package) for package in outside)

    assert crossings(inner, is_outside) == []


@pytest.mark.parametrize(
    ("library", "speaker"),
    [("stripe", "wallet.payments.stripe_gateway"), ("django.contrib.admin", "backoffice")],
)
def test_only_one_place_imports(library, speaker):
    files = [(name, path) for name, path in files_of(*PRODUCTION) if not is_within(name, speaker)]
    # The wiring mounts the admin's addresses.
    mounts = {("misar_billing.urls", "django.contrib.admin")}
    assert (
        crossings(files, lambda name, module: is_within(module, library) and (name, module) not in mounts)
        == []
    )
    assert crossings(files_of(speaker.split(".")[0]), lambda name, module: is_within(module, library))


@pytest.mark.parametrize("kept_out", ["sandbox", "demo"])
def test_a_deployment_loads_neither_the_sandbox_nor_the_demonstration(kept_out):
    """They are not in the image. manage.py and some commands import them only when they run."""

    def is_kept_out(name: str, module: str) -> bool:
        return is_within(module, kept_out)

    assert crossings([*files_of(*PRODUCTION), *files_of("manage")], is_kept_out, lazy=False) == []
    wiring = ("misar_billing.management", "manage")
    rest = [(n, p) for n, p in files_of(*PRODUCTION) if not any(is_within(n, each) for each in wiring)]
    assert crossings(rest, is_kept_out) == []


def test_the_sandbox_imports_only_the_foundation():
    ours = {*FLOORS, "tests", "bench", "soak"} - {"foundation"}
    assert crossings(files_of("sandbox"), lambda name, module: module.split(".")[0] in ours) == []


def test_no_file_is_longer_than_500_lines():
    long = {
        name: lines for name, path in FILES.items() if (lines := path.read_text().count("\n")) > LINES_MAX
    }
    assert long == {}


def test_these_tests_notice_a_forbidden_import():
    assert {room_of("wallet.books.ledger"), room_of("wallet.payments.inbox")} == {0, len(ROOMS) - 1}
    assert stands_on_rooms("wallet.models.Entry")
    assert not stands_on_rooms("wallet.errors.InsufficientCredits")
    assert edge_of("monetization.dashboard.tips.views") == "dashboard"
    assert [edge_of("wallet.history.statements"), edge_of("foundation.http.views")] == [None, None]
    assert tree_of(ROOT / "manage.py").body
