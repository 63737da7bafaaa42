"""wallet/books/ledger.py is the only writer of entries and balances."""

import ast

from tests.source import PRODUCTION, name_of, python_files, tree_of

WRITES = {
    "create",
    "bulk_create",
    "get_or_create",
    "update_or_create",
    "update",
    "bulk_update",
    "delete",
    "save",
}


def writers_of(*models: str, through: str) -> dict[str, list[int]]:
    """The files with a line that makes, changes or removes rows of these models, and which lines."""
    found: dict[str, list[int]] = {}
    for path in python_files(*PRODUCTION):
        if "migrations" in path.parts:
            continue
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and writes(node, models, through):
                found.setdefault(name_of(path), []).append(node.lineno)
    return found


def writes(call: ast.Call, models: tuple[str, ...], through: str) -> bool:
    """`Entry(...)`, `Entry.objects.filter(...).update(...)`, `wallet.entries.create(...)`."""
    if isinstance(call.func, ast.Name):
        return call.func.id in models
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in WRITES:
        return False
    node: ast.expr = call.func.value
    while isinstance(node, ast.Attribute | ast.Call):
        if isinstance(node, ast.Attribute) and node.attr == through:
            return True
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and node.id in models


def test_the_ledger_alone_writes_entries_and_balances():
    assert set(writers_of("Entry", "Wallet", through="entries")) == {"wallet.books.ledger"}


def test_no_sql_in_python_goes_round_the_ledger():
    for path in python_files(*PRODUCTION):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = " ".join(node.value.lower().split()).replace('"', "")
                for verb in ("insert into", "update", "delete from", "truncate"):
                    for table in ("wallet_entry", "wallet_wallet"):
                        assert f"{verb} {table}" not in text, f"{name_of(path)}:{node.lineno}"


def test_this_test_would_notice():
    """The finder itself, on lines it must and must not report."""
    must = (
        "Entry(credits=1)",
        "Entry.objects.create(credits=1)",
        "Wallet.objects.filter(pk=1).update(balance=0)",
        "Wallet.objects.select_for_update().get(pk=1).save()",
        "wallet.entries.create(credits=1)",
        "Entry.objects.all().delete()",
    )
    must_not = (
        "Entry.objects.filter(pk=1).first()",
        "Rate.objects.create()",
        "topup.save()",
        "hash.update(b'')",
    )
    for line in (*must, *must_not):
        (call,) = [node for node in ast.parse(line).body[0].__dict__.values() if isinstance(node, ast.Call)]
        assert writes(call, ("Entry", "Wallet"), "entries") is (line in must), line
