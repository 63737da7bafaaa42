"""Exports that were changed: what the verification names, and what only a kept root can show.

The exports are made without books, so these tests need no database.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.wallet.seals.samples import (
    Row,
    made_export,
    made_seals,
    recomputed,
    rows_of,
    verify,
    write_export,
    write_rows,
    write_seals,
)
from wallet.seals import heads
from wallet.seals.files import NotAsWritten

Rows = list[Row]


def found_in(tmp_path: Path, rows: Rows, **kept: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in verify(write_rows(tmp_path / "changed", rows), **kept).findings:
        found.setdefault(finding.subject, []).append(finding.detail)
    return found


def entry_of(rows: Rows, wallet: str, sequence: int) -> Row:
    return next(row["entry"] for row in rows if row.get("entry", {}).get("id") == f"txn_{wallet}_{sequence}")


def place(rows: Rows, wallet: str, sequence: int) -> int:
    return rows.index({"entry": entry_of(rows, wallet, sequence)})


def seals_of(rows: Rows, wallet: str) -> list[int]:
    """The places of the seals of a wallet."""
    start = next(index for index, row in enumerate(rows) if row.get("wallet") == wallet)
    places = []
    for index in range(start + 1, len(rows)):
        if not ({"seal", "entry"} & rows[index].keys()):
            break
        if "seal" in rows[index]:
            places.append(index)
    return places


def test_the_made_file_is_whole(tmp_path):
    rows = made_export()
    kept = write_rows(tmp_path / "kept", made_seals(rows))
    assert found_in(tmp_path, rows, seals=kept) == {}
    assert found_in(tmp_path, rows, root=rows[-1]["root"]) == {}


# --- Changes of entries -----------------------------------------------------------------------------

ENTRIES = "entries 4 to 6 are not those that were sealed"
CHANGES = {
    "id": "txn_other",
    "kind": "capture",
    "feature": "blog.write",
    "count": 1,
    "product": "blog",
    "idempotency_key": "",
    "stripe_session_id": "cs_1",
    "actor": "user:staff:1",
    "reason": "Because",
    "reverses_id": "txn_usr_1_2",
    "hold_id": "hold_1",
    "held": None,
    "effective_at": "2026-03-01T00:00:00.000001+00:00",
    "created_at": "2025-03-05T00:00:00.000000+00:00",
    "moves": [],
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_field_is_named_with_its_wallet_and_stretch(tmp_path, field):
    rows = made_export()
    entry_of(rows, "usr_1", 5)[field] = CHANGES[field]
    assert found_in(tmp_path, rows) == {"wallet usr_1": [ENTRIES]}


def test_a_changed_field_of_a_part_is_named(tmp_path):
    rows = made_export()
    entry_of(rows, "usr_1", 1)["lot"][0]["expires_at"] = "2027-03-01T00:00:00.000000+00:00"
    entry_of(rows, "ü", 4)["moves"][0]["remaining_after"] = 5
    assert found_in(tmp_path, rows) == {
        "wallet usr_1": ["entries 1 to 3 are not those that were sealed"],
        "wallet ü": ["entries 3 to 4 are not those that were sealed"],
    }


def test_an_amount_that_does_not_fit_the_balances_is_named(tmp_path):
    rows = made_export()
    entry_of(rows, "usr_1", 5)["credits"] = -1
    details = found_in(tmp_path, rows)["wallet usr_1"]
    assert details == ["entry 5 moves -1 credits, and the balance goes from 91 to 86", ENTRIES]


def test_a_wrong_balance_is_named_also_where_all_was_recomputed(tmp_path):
    rows = made_export()
    entry_of(rows, "ü", 1)["balance_after"] = 1000
    found = found_in(tmp_path, recomputed(rows))
    assert found == {
        "wallet ü": [
            "entry 1 moves 100 credits, and the balance goes from 0 to 1000",
            "entry 2 moves -2 credits, and the balance goes from 1000 to 98",
        ]
    }


def test_an_amount_with_all_balances_after_it_is_named(tmp_path):
    rows = made_export()
    entry_of(rows, "usr_1", 2)["credits"] += 1
    for sequence in range(2, 7):
        entry_of(rows, "usr_1", sequence)["balance_after"] += 1
    stretches = ["entries 1 to 3 are not those that were sealed", ENTRIES]
    assert found_in(tmp_path, rows) == {"wallet usr_1": stretches}


@pytest.mark.parametrize("sequence", [4, 5, 6])
def test_a_removed_entry_is_named(tmp_path, sequence):
    rows = made_export()
    del rows[place(rows, "usr_1", sequence)]
    found = found_in(tmp_path, rows)
    gap = f"entry {sequence + 1} comes where entry {sequence} belongs"
    end = "the seal ends with entry 6, the file with entry 5"
    assert (end if sequence == 6 else gap) in found["wallet usr_1"]
    assert ENTRIES in found["wallet usr_1"]
    assert found["counts"] == ["exported_entries is 12 in the last line, and 11 in the file"]


def test_an_inserted_entry_is_named(tmp_path):
    rows = made_export()
    rows.insert(place(rows, "usr_1", 5), {"entry": entry_of(rows, "usr_1", 5)})
    found = found_in(tmp_path, rows)
    assert "entry 5 comes where entry 6 belongs" in found["wallet usr_1"]
    assert ENTRIES in found["wallet usr_1"]


def test_entries_in_another_order_are_named(tmp_path):
    rows = made_export()
    one, other = place(rows, "usr_1", 5), place(rows, "usr_1", 6)
    rows[one], rows[other] = rows[other], rows[one]
    found = found_in(tmp_path, rows)["wallet usr_1"]
    assert "entry 6 comes where entry 5 belongs" in found
    assert ENTRIES in found


def test_entries_with_swapped_numbers_are_named(tmp_path):
    rows = made_export()
    one, other = entry_of(rows, "usr_1", 5), entry_of(rows, "usr_1", 6)
    for name in ("id", "credits", "count", "idempotency_key"):
        one[name], other[name] = other[name], one[name]
    one["balance_after"] = 100 - 2 - 3 - 4 - 6
    assert found_in(tmp_path, rows) == {"wallet usr_1": [ENTRIES]}


def test_the_entry_of_another_wallet_is_named(tmp_path):
    rows = made_export()
    entry_of(rows, "usr_1", 5)["wallet_id"] = "usr_2"
    assert "entry 5 is of another wallet" in found_in(tmp_path, recomputed(rows))["wallet usr_1"]


# --- Changes of seals and heads ---------------------------------------------------------------------


def chain(tmp_path: Path, rows: Rows) -> list[str]:
    return found_in(tmp_path, rows)["wallet usr_1"]


def test_a_recomputed_digest_breaks_the_seal(tmp_path):
    rows = made_export()
    entry_of(rows, "usr_1", 2)["reason"] = "Because"
    first, _ = seals_of(rows, "usr_1")
    rows[first]["entries_digest"] = recomputed(rows)[first]["entries_digest"]
    assert chain(tmp_path, rows) == [
        "the seal of entries 1 to 3 has another hash than its facts and the seal before it give"
    ]


def test_a_recomputed_seal_breaks_the_next_one(tmp_path):
    rows = made_export()
    entry_of(rows, "usr_1", 2)["reason"] = "Because"
    first, _ = seals_of(rows, "usr_1")
    rows[first] = recomputed(rows)[first]
    assert chain(tmp_path, rows) == [
        "the seal of entries 4 to 6 has another hash than its facts and the seal before it give"
    ]


def test_a_recomputed_chain_breaks_the_root(tmp_path):
    rows = made_export()
    entry_of(rows, "usr_1", 2)["reason"] = "Because"
    forged = [*recomputed(rows)[:-1], rows[-1]]
    assert list(found_in(tmp_path, forged)) == ["root"]


def test_a_recomputed_root_is_found_by_what_was_kept_alone(tmp_path):
    """The seal file names the wallet; the root says only that the file is another one."""
    rows = made_export()
    kept, root = write_rows(tmp_path / "kept", made_seals(rows)), rows[-1]["root"]
    entry_of(rows, "usr_2", 2)["reason"] = "Because"
    forged = recomputed(rows)
    assert found_in(tmp_path, forged) == {}
    assert list(found_in(tmp_path, forged, root=root)) == ["root"]
    found = found_in(tmp_path, forged, seals=kept)
    assert found["wallet usr_2"] == ["its seal up to 2 is one with another hash in the seal file"]
    assert list(found) == ["wallet usr_2", "root"]


def test_another_root_in_the_last_line_is_named(tmp_path):
    rows = made_export()
    rows[-1]["root"] = "0" * 64
    assert list(found_in(tmp_path, rows)) == ["root"]


def without_a_seal(rows: Rows) -> Rows:
    first, second = seals_of(rows, "usr_1")
    return rows[:first] + rows[second:]


def without_the_line_of_a_seal(rows: Rows) -> Rows:
    _, second = seals_of(rows, "usr_1")
    return rows[:second] + rows[second + 1 :]


def with_a_seal_twice(rows: Rows) -> Rows:
    first, second = seals_of(rows, "usr_1")
    return rows[:second] + rows[first:]


def with_swapped_seals(rows: Rows) -> Rows:
    first, second = seals_of(rows, "usr_1")
    end = second + 4
    return rows[:first] + rows[second:end] + rows[first:second] + rows[end:]


def with_another_beginning(rows: Rows) -> Rows:
    first, second = seals_of(rows, "usr_1")
    rows[first - 1] |= {"after": 3, "hash": "a" * 64}
    return rows[:first] + rows[second:]


def with_a_link_in_the_middle(rows: Rows) -> Rows:
    first, second = seals_of(rows, "usr_1")
    rows[first]["with_entries"] = False
    return rows[: first + 1] + rows[second:]


@pytest.mark.parametrize(
    "change",
    [
        without_a_seal,
        without_the_line_of_a_seal,
        with_a_seal_twice,
        with_swapped_seals,
        with_another_beginning,
        with_a_link_in_the_middle,
    ],
)
def test_a_chain_that_was_changed_is_named(tmp_path, change):
    rows = made_export()
    assert chain(tmp_path, change(rows))


@pytest.mark.parametrize("change", [with_another_beginning, with_a_link_in_the_middle])
def test_left_out_entries_are_named_also_where_all_was_recomputed(tmp_path, change):
    assert chain(tmp_path, recomputed(change(made_export())))


def of_wallet(rows: Rows, name: str) -> slice:
    start = next(index for index, row in enumerate(rows) if row.get("wallet") == name)
    length = next(n for n, row in enumerate(rows[start + 1 :]) if not ({"seal", "entry"} & row.keys()))
    return slice(start, start + 1 + length)


def test_a_removed_wallet_is_named_by_the_seal_file(tmp_path):
    rows = made_export()
    kept = write_rows(tmp_path / "kept", made_seals(rows))
    del rows[of_wallet(rows, "usr_2")]
    assert set(found_in(tmp_path, rows)) == {"root", "counts"}
    assert found_in(tmp_path, recomputed(rows)) == {}
    found = found_in(tmp_path, recomputed(rows), seals=kept)
    assert found["wallet usr_2"] == ["only the seal file has it"]


def test_a_hidden_wallet_of_an_export_of_everything_is_named(tmp_path):
    rows = made_export()
    head = heads.of_row(made_seals(rows)[-2])
    rows[of_wallet(rows, "ü")] = [{"subtree": 0, "hash": head.leaf().hash.hex()}]
    rows[-1] |= {"exported_wallets": 2, "exported_entries": 8}
    assert found_in(tmp_path, rows) == {"wallets": ["1 of 3 were left out"]}


def test_an_added_wallet_is_named_by_the_seal_file(tmp_path):
    rows = made_export()
    less = [*rows]
    del less[of_wallet(rows, "usr_2")]
    kept = write_rows(tmp_path / "kept", made_seals(recomputed(less)))
    assert found_in(tmp_path, rows, seals=kept)["wallet usr_2"] == ["the seal file does not have it"]


@pytest.mark.parametrize("twice", [False, True])
def test_wallets_twice_or_in_another_order_are_named(tmp_path, twice):
    rows = made_export()
    one, other = rows[of_wallet(rows, "usr_1")], rows[of_wallet(rows, "usr_2")]
    start = of_wallet(rows, "usr_1").start
    rows[start : start + len(one) + len(other)] = [*one, *one] if twice else [*other, *one]
    named = found_in(tmp_path, recomputed(rows))["wallet usr_1"]
    assert named == ["the wallet usr_1 is out of order, or there twice"]


def test_another_user_than_the_header_says_is_named(tmp_path):
    rows = made_export()
    rows[0]["user"] = "usr_1"
    assert found_in(tmp_path, rows) == {
        "wallet usr_2": ["the export is of another user"],
        "wallet ü": ["the export is of another user"],
    }


def test_a_changed_subtree_is_named_by_the_seal_file(sealed, tmp_path):
    seals = tmp_path / "seals"
    write_seals(seals)
    write_export(tmp_path / "export", seals=seals, user="usr_10")
    rows = rows_of(tmp_path / "export")
    subtree = next(row for row in rows if row.get("subtree") == 0)
    subtree["hash"] = "0" * 64
    found = found_in(tmp_path, rows, seals=seals)
    assert ["the seal file has other hashes"] in found.values()
    assert "root" in found


# --- Every field ------------------------------------------------------------------------------------


def test_every_changed_value_of_a_real_export_is_noticed(sealed, tmp_path):
    """Each value of each line but the first, of which only what it says of the period is covered."""
    exported = write_export(tmp_path / "export")
    rows = rows_of(tmp_path / "export")
    changes = 0
    for index, row in enumerate(rows[1:], start=1):
        for changed in variants(row):
            changes += 1
            path = write_rows(tmp_path / "changed", [*rows[:index], changed, *rows[index + 1 :]])
            try:
                findings = verify(path, root=exported.root).findings
            except NotAsWritten:
                continue
            assert findings, changed
    assert changes > 500


def variants(value: Any) -> Iterator[Any]:
    """A JSON value with one value in it changed, or one field removed or added."""
    if isinstance(value, dict):
        for name in value:
            yield {other: value[other] for other in value if other != name}
            yield from ({**value, name: changed} for changed in variants(value[name]))
        yield {**value, "more": 1}
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield value[:index] + value[index + 1 :]
            yield from ([*value[:index], changed, *value[index + 1 :]] for changed in variants(each))
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, str):
        yield value + " "
        yield value[:-1] + ("0" if value[-1:] != "0" else "1") if value else "0"
    else:
        yield 0
        yield ""
