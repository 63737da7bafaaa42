"""Books with an entry of each kind, sealed in several steps; and the files of them, made and read again."""

import gzip
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from django.core.management import CommandError, call_command

from tests.wallet import granted, held, racing
from wallet.charges import lapsing
from wallet.seals import entry_lines, export, formats, heads, merkle, sealing, verifying
from wallet.seals.export import Exported, Scope
from wallet.seals.heads import Head
from wallet.seals.verifying import Verified

Row = dict[str, Any]
# By their octets, "Z" comes before "a:b" and "usr_10" before "usr_2". In most languages they come after.
WALLETS = ["Z", "a:b", "usr_1", "usr_10", "usr_2", "Ünë 金", "🪙"]


def full_books(give: Callable[..., Any]) -> None:
    """Fill some wallets and seal them, three times. The fixture `article_rate` is needed."""
    for number, name in enumerate(reversed(WALLETS)):
        give(name, 100 + number)
        racing.charge(2, user_id=name)
    sealing.seal()
    granted.past_grant("usr_2", 3)
    lapsing.lapse_wallet("usr_2")
    granted.grant("usr_1", 10, reason="Für dich: 5:7 – 🪙\n")
    charged = racing.charge(3, key="k1", user_id="usr_1")
    held.capture(held.hold("usr_1", 12), 11)
    racing.refund("r1", {"pk": charged.pk}, 2)
    sealing.seal()
    racing.charge(1, user_id="usr_1")
    racing.charge(1, user_id="usr_10")
    sealing.seal()


def seal_in_stretches(user_id: str, entries: int) -> None:
    """Seal a wallet with so many entries in each seal."""
    list(sealing._seal_batch([user_id], sealing.Sealed(), entries))


def write_seals(path: Path) -> Row:
    """Write the seal file; its last line."""
    return heads.write(str(path), stdout=io.StringIO())


def write_export(path: Path, *, seals: Path | None = None, **scope: Any) -> Exported:
    seal_file = None if seals is None else str(seals)
    return export.write(str(path), stdout=io.StringIO(), scope=Scope(**scope), seal_file=seal_file)


def verify(path: Path, *, seals: Path | None = None, root: str | None = None) -> Verified:
    return verifying.verify(str(path), seal_file=None if seals is None else str(seals), root=root)


def rows_of(path: Path) -> list[Row]:
    octets = path.read_bytes()
    text = gzip.decompress(octets) if path.suffix == ".gz" else octets
    return [json.loads(line) for line in text.splitlines()]


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(command: str, *options: str, **more: Any) -> int:
    """The exit code."""
    try:
        call_command(command, *options, **more)
    except SystemExit as end:
        return int(end.code or 0)
    except CommandError as error:
        return error.returncode
    return 0


# --- Files without books ----------------------------------------------------------------------------

AT = "2026-03-01T00:00:00.000000+00:00"


def made_export() -> list[Row]:
    """The rows of an export of three wallets: two seals of three entries, one of two, two of two."""
    first = {"file": "export", "format": 1, "made_at": AT, "database": "none"}
    rows: list[Row] = [{**first, "since": None, "until": None, "user": None, "seal_file_made_at": AT}]
    rows += [{"table": name, "key": 7, "hash": "ab" * 32} for name in ("accounts_act", "wallet_ratechange")]
    for wallet, stretches in (("usr_1", [3, 3]), ("usr_2", [2]), ("ü", [2, 2])):
        rows.append({"wallet": wallet, "after": 0, "hash": None})
        after = balance = 0
        for length in stretches:
            rows.append({"seal": after + length, "format": 1, "with_entries": True})
            for sequence in range(after + 1, after + length + 1):
                credits = 100 if sequence == 1 else -sequence
                balance += credits
                rows.append({"entry": made_entry(wallet, sequence, credits, balance)})
            after += length
    return recomputed([*rows, {}])


def made_entry(wallet: str, sequence: int, credits: int, balance: int) -> Row:
    """An entry as a line has it: the first one of a wallet is a grant, the others are charges."""
    entry_id = f"txn_{wallet}_{sequence}"
    is_grant = sequence == 1
    entry = {
        "wallet_id": wallet,
        "sequence": sequence,
        "id": entry_id,
        "kind": "grant" if is_grant else "deduct",
        "credits": credits,
        "balance_after": balance,
        "held": 0,
        "feature": "" if is_grant else "mail.send",
        "count": None if is_grant else -credits,
        "product": "mail",
        "idempotency_key": f"key {sequence}",
        "stripe_session_id": "",
        "actor": "service:wsk_test",
        "reason": "Für dich" if is_grant else "",
        "reverses_id": None,
        "hold_id": None,
        "effective_at": AT,
        "created_at": f"2026-03-{sequence:02}T00:00:00.000000+00:00",
        "moves": [{"lot_id": "grant_1", "credits": credits, "remaining_after": balance}],
    }
    if is_grant:
        lot = {"id": "grant_1", "product": "mail", "reason": "Für dich", "credits": credits}
        entry["lot"] = [{**lot, "created_at": AT, "expires_at": AT}]
    return entry


def made_seals(rows: Sequence[Row]) -> list[Row]:
    """The seal file from which such an export would be made; it has no subtrees."""
    first = {name: rows[0][name] for name in ("format", "made_at", "database")}
    made = heads.Heads(merkle.Tree())
    lines = []
    for head in _heads_of(rows):
        made.tree.add(made.count(head).leaf())
        lines.append(head.row())
    return [{"file": "seals", **first}, *lines, made.summary()]


def _heads_of(rows: Sequence[Row]) -> list[Head]:
    found: list[Head] = []
    for row in rows:
        if "table" in row:
            found.append(heads.of_row(row))
        elif "wallet" in row:
            found.append(Head("wallet", row["wallet"], row["after"], b""))
        elif "seal" in row:
            found[-1] = Head("wallet", found[-1].name, row["seal"], bytes.fromhex(row["hash"]))
    return found


def recomputed(rows: Sequence[Row]) -> list[Row]:
    """The file as a forger makes it: each digest, each hash, each count and the root fit what is in it."""
    made = [{**row} for row in rows]
    tree, tables, exported, entries, hidden = merkle.Tree(), 0, 0, 0, 0
    wallet, position, hash = "", 0, None
    for index, row in enumerate(made):
        if "subtree" in row:
            subtree = merkle.Subtree(row["subtree"], bytes.fromhex(row["hash"]))
            tree.add(subtree)
            hidden += subtree.size
        elif "table" in row:
            tree.add(heads.of_row(row).leaf())
            tables += 1
        elif "wallet" in row and "root" not in row:
            wallet, position = row["wallet"], row["after"]
            hash = bytes.fromhex(row["hash"]) if row["hash"] else None
            exported += 1
        elif "seal" in row:
            rows_format = formats.FORMATS[row["format"]].entry
            texts = []
            for following in made[index + 1 :]:
                if "entry" not in following:
                    break
                texts.append(entry_lines.canonical(rows_format, following["entry"]))
            if row["with_entries"]:
                row["entries_digest"] = formats.digest_of(texts).hex()
                entries += len(texts)
            digest = bytes.fromhex(row["entries_digest"])
            hash = formats.hash_of(row["format"], wallet, position, row["seal"], digest, hash)
            row["hash"], position = hash.hex(), row["seal"]
        following = made[index + 1] if index + 1 < len(made) else {}
        if wallet and not ({"seal", "entry"} & following.keys()):
            tree.add(Head("wallet", wallet, position, hash or b"").leaf())
            wallet = ""
    made[-1] = {
        "wallets": exported + hidden,
        "tables": tables,
        "root": tree.root().hex(),
        "exported_wallets": exported,
        "exported_entries": entries,
    }
    return made
