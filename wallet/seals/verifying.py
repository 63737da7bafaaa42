"""Verify an auditor's export without a database: each digest, each chain of seals, and the Merkle root.

The file may be hostile. It is read in constant memory. What does not fit is a finding, and what cannot be
read at all raises NotAsWritten.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Any

from wallet.seals import entry_lines, files, formats, heads, merkle
from wallet.seals.export import KIND
from wallet.seals.files import NotAsWritten, Row
from wallet.seals.heads import Head, SealFile

NAMED_MAX = 1000
ROWS_A_STEP = 1000  # Of the progress.


@dataclass(frozen=True)
class Finding:
    """What is wrong in an export: where, and how."""

    subject: str
    detail: str


@dataclass
class Verified:
    """What an export has, and what is wrong with it. Only the first thousand findings are kept.

    `wallets` are those under the root. The file proves nothing about those of them that are hidden in
    subtrees, not even that they have no entry in the period.
    """

    made_at: datetime
    since: datetime | None
    until: datetime | None
    user: str | None
    wallets: int = 0
    exported_wallets: int = 0
    hidden_wallets: int = 0
    seals: int = 0
    entries: int = 0
    root: str = ""
    findings: list[Finding] = field(default_factory=list)
    findings_count: int = 0

    @property
    def is_everything(self) -> bool:
        """Whether the file says that it has all entries of all wallets."""
        return self.since is None and self.until is None and self.user is None

    def includes(self, at: datetime) -> bool:
        """Whether a time is in the period."""
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


OnFinding = Callable[[Finding], object]
Find = Callable[[str, str], None]


def verify(
    path: str,
    *,
    seal_file: str | None = None,
    root: str | None = None,
    on_finding: OnFinding = lambda finding: None,
    on_rows: Callable[[int], object] = lambda count: None,
) -> Verified:
    """Verify an export, and compare it with a seal file or with a root (in hexadecimal digits).

    Raises FileRefused if a file cannot be read, and NotAsWritten if it is not as this service writes it.
    """
    kept = SealFile(seal_file) if seal_file is not None else None
    reader = files.Reader(path)
    with reader.naming_the_line():
        verifier = _Verifier(reader.first(), kept, on_finding)
        for row in reader:
            if reader.line % ROWS_A_STEP == 0:
                on_rows(ROWS_A_STEP)
            if verifier.add(row):
                break
        else:
            raise NotAsWritten("the file breaks off: its last line is missing.")
        for _ in reader:
            raise NotAsWritten("the file goes on after its last line.")
    verifier.compare_root(root)
    return verifier.verified


@dataclass(frozen=True)
class _Seal:
    sequence: int
    format: int
    entries_digest: bytes
    hash: bytes
    with_entries: bool


class _WalletChain:
    """The seals and entries of one wallet, from its last seal before the period up to the head.

    `position` and `hash` are those of the last seal.
    """

    def __init__(self, name: str, after: int, hash: bytes | None, verified: Verified, find: Find) -> None:
        if (after == 0) != (hash is None):
            raise NotAsWritten("a wallet has a hash exactly if its seals do not begin with its first entry.")
        self.name, self.position, self.hash = name, after, hash
        self._verified, self._find = verified, find
        self._seal: _Seal | None = None
        self._has_links = False
        self._digest = sha256()
        self._begins = self._next = after + 1
        self._balance = 0 if after == 0 else None
        self._first_at: datetime | None = None
        self._last_at: datetime | None = None

    def add_seal(self, seal: _Seal) -> None:
        self._end_seal()
        self._begins = self._next = self.position + 1
        what = f"entries {self._begins} to {seal.sequence}"
        if seal.sequence <= self.position:
            self._wrong(f"a seal up to entry {seal.sequence} comes after one up to {self.position}")
        elif self._has_links and seal.with_entries:
            self._wrong(f"the file has {what}, and not those before")
        hash = formats.hash_of(
            seal.format, self.name, self.position, seal.sequence, seal.entries_digest, self.hash
        )
        if hash != seal.hash:
            self._wrong(f"the seal of {what} has another hash than its facts and the seal before it give")
        self._has_links |= not seal.with_entries
        self._seal, self._digest = seal, sha256()
        self.position, self.hash = seal.sequence, seal.hash

    def add_entry(self, line: Row) -> None:
        if self._seal is None or not self._seal.with_entries:
            self._wrong("an entry comes where its seal does not")
            return
        text = entry_lines.canonical(formats.FORMATS[self._seal.format].entry, line)
        self._digest.update(formats.value_of(text))
        sequence = files.number(line, "sequence", at_least=1)
        credits = files.number(line, "credits", at_least=-files.NUMBER_MAX)
        balance = files.number(line, "balance_after", at_least=-files.NUMBER_MAX)
        at = files.moment(line, "created_at")
        if line["wallet_id"] != self.name:
            self._wrong(f"entry {sequence} is of another wallet")
        if sequence != self._next:
            self._wrong(f"entry {sequence} comes where entry {self._next} belongs")
        if self._balance is not None and self._balance + credits != balance:
            self._wrong(
                f"entry {sequence} moves {credits} credits, and the balance goes from {self._balance}"
                f" to {balance}"
            )
        self._next, self._balance = sequence + 1, balance
        if self._first_at is None:
            self._first_at = at
            if sequence > 1 and self._verified.includes(at):
                self._wrong(f"entry {sequence - 1} is missing, which shows where the period begins")
        self._last_at = at

    def end(self) -> None:
        self._end_seal()
        if self._last_at is None:
            self._wrong("the file has none of its entries")
        elif self._has_links and self._verified.includes(self._last_at):
            self._wrong("the entry is missing that shows where the period ends")

    def _end_seal(self) -> None:
        seal = self._seal
        if seal is None or not seal.with_entries:
            return
        if self._next != seal.sequence + 1:
            self._wrong(f"the seal ends with entry {seal.sequence}, the file with entry {self._next - 1}")
        if self._digest.digest() != seal.entries_digest:
            self._wrong(f"entries {self._begins} to {seal.sequence} are not those that were sealed")

    def _wrong(self, detail: str) -> None:
        self._find(f"wallet {self.name}", detail)


class _Comparison:
    """Compares the heads of an export with those of the seal file, both in their order.

    If the export was made from other seals, only the roots are compared: they may be equal nevertheless.
    """

    def __init__(self, kept: SealFile, made_from: datetime | None, find: Find) -> None:
        self._kept, self._heads, self._find = kept, iter(kept), find
        self._is_of_other_seals = kept.made_at != made_from
        # After a head that only one of them has, all others differ.
        self._is_lost = self._is_of_other_seals

    def compare(self, head: Head) -> None:
        if self._is_lost:
            return
        kept = next(self._heads, None)
        if kept == head:
            return
        if kept is not None and kept.order == head.order:
            how = "with another hash" if kept.position == head.position else f"up to {kept.position}"
            self._find(str(head), f"its seal up to {head.position} is one {how} in the seal file")
            return
        self._is_lost = True
        if kept is None or head.order < kept.order:
            self._find(str(head), "the seal file does not have it")
        else:
            self._find(str(kept), "only the seal file has it")

    def compare_subtree(self, subtree: merkle.Subtree) -> None:
        if self._is_lost:
            return
        tree, first, last = merkle.Tree(), None, None
        for last in islice(self._heads, subtree.size):
            first = first or last
            tree.add(last.leaf())
        if tree.size != subtree.size:
            self._is_lost = True
            self._find("heads", "this file has more than the seal file")
        elif tree.root() != subtree.hash:
            which = f"{first} to {last}" if first != last else str(first)
            self._find(which, "the seal file has other hashes")

    def end(self, root: str) -> None:
        """Read the seal file to its end, where its own root is checked."""
        more = sum(1 for _ in self._heads)
        if more and not self._is_lost:
            self._find("heads", f"the seal file has {more} more than this file")
        if self._kept.root.hex() != root:
            why = "; it was made from other seals (export_ledger has --seals)" * self._is_of_other_seals
            self._find("root", f"the seal file has {self._kept.root.hex()}, this file gives {root}{why}")


def _optional(read: Callable[[Row, str], Any], row: Row, name: str) -> Any:
    return None if row[name] is None else read(row, name)


class _Verifier:
    """Reads an export row by row. A method for each kind of row."""

    def __init__(self, first: Row, kept: SealFile | None, on_finding: OnFinding) -> None:
        made_at = heads.begun(first, KIND, "since", "until", "user", "seal_file_made_at")
        times = {name: _optional(files.moment, first, name) for name in ("since", "until")}
        user = _optional(files.text, first, "user")
        self.verified = Verified(made_at, **times, user=user)
        self._on_finding = on_finding
        self._heads = heads.Heads(merkle.Tree())
        self._wallet: _WalletChain | None = None
        made_from = _optional(files.moment, first, "seal_file_made_at")
        self._kept = _Comparison(kept, made_from, self._find) if kept is not None else None

    def add(self, row: Row) -> bool:
        """Verify a row and return whether it is the last one."""
        if "entry" in row:
            self._add_entry(row)
            return False
        if "seal" in row:
            self._add_seal(row)
            return False
        self._end_wallet()
        if "root" in row:
            self._end(row)
            return True
        if "subtree" in row:
            self._add_subtree(row)
        elif "wallet" in row:
            self._begin_wallet(row)
        elif "table" in row:
            self._add_head(heads.of_row(row))
        else:
            raise NotAsWritten("no row of an export.")
        return False

    def compare_root(self, expected: str | None) -> None:
        """Compare the root of the heads in the file with the one that the auditor kept."""
        if expected is not None and expected != self.verified.root:
            self._find("root", f"the heads in this file give {self.verified.root}, not {expected}")

    # --- Kinds of rows ------------------------------------------------------------------------------

    def _begin_wallet(self, row: Row) -> None:
        files.only(row, "wallet", "after", "hash")
        name, after = files.text(row, "wallet"), files.number(row, "after")
        hash = _optional(files.digest, row, "hash")
        self._wallet = _WalletChain(name, after, hash, self.verified, self._find)
        self.verified.exported_wallets += 1
        if self.verified.user is not None and self.verified.user != name:
            self._find(f"wallet {name}", "the export is of another user")

    def _add_seal(self, row: Row) -> None:
        files.only(row, "seal", "format", "entries_digest", "hash", "with_entries")
        if not isinstance(row["with_entries"], bool):
            raise NotAsWritten("with_entries is neither true nor false.")
        if self._wallet is None:
            raise NotAsWritten("a seal that belongs to no wallet.")
        seal = _Seal(
            sequence=files.number(row, "seal", at_least=1),
            format=files.number(row, "format", at_least=1),
            entries_digest=files.digest(row, "entries_digest"),
            hash=files.digest(row, "hash"),
            with_entries=row["with_entries"],
        )
        if seal.format not in formats.FORMATS:
            raise NotAsWritten(f"the format {seal.format} of a seal, which this release does not know.")
        self.verified.seals += 1
        self._wallet.add_seal(seal)

    def _add_entry(self, row: Row) -> None:
        files.only(row, "entry")
        if not isinstance(row["entry"], dict):
            raise NotAsWritten("an entry that is no object.")
        if self._wallet is None:
            raise NotAsWritten("an entry that belongs to no wallet.")
        self.verified.entries += 1
        self._wallet.add_entry(row["entry"])

    def _add_subtree(self, row: Row) -> None:
        files.only(row, "subtree", "hash")
        subtree = merkle.Subtree(files.number(row, "subtree"), files.digest(row, "hash"))
        try:
            self._heads.tree.add(subtree)
        except merkle.MisplacedSubtree as error:
            raise NotAsWritten(f"{error}.") from error
        self.verified.hidden_wallets += subtree.size
        if self._kept is not None:
            self._kept.compare_subtree(subtree)

    def _end(self, row: Row) -> None:
        files.only(row, "wallets", "tables", "root", "exported_wallets", "exported_entries")
        stated = files.digest(row, "root")
        verified = self.verified
        verified.root = self._heads.tree.root().hex()
        verified.wallets = self._heads.wallets + verified.hidden_wallets
        if verified.root != stated.hex():
            self._find("root", f"the heads in this file give {verified.root}; its last line has another one")
        counts = (verified.wallets, self._heads.tables, verified.exported_wallets, verified.entries)
        names = ("wallets", "tables", "exported_wallets", "exported_entries")
        for name, count in zip(names, counts, strict=True):
            if files.number(row, name) != count:
                self._find("counts", f"{name} is {row[name]} in the last line, and {count} in the file")
        if verified.hidden_wallets and verified.is_everything:
            self._find("wallets", f"{verified.hidden_wallets} of {verified.wallets} were left out")
        if self._kept is not None:
            self._kept.end(verified.root)

    # --- Heads --------------------------------------------------------------------------------------

    def _end_wallet(self) -> None:
        wallet, self._wallet = self._wallet, None
        if wallet is not None:
            wallet.end()
            self._add_head(Head("wallet", wallet.name, wallet.position, wallet.hash or b""))

    def _add_head(self, head: Head) -> None:
        try:
            self._heads.count(head)
        except NotAsWritten as error:
            self._find(str(head), str(error).removesuffix("."))
        self._heads.tree.add(head.leaf())
        if self._kept is not None:
            self._kept.compare(head)

    def _find(self, subject: str, detail: str) -> None:
        finding = Finding(files.shown(subject), detail)
        self.verified.findings_count += 1
        if len(self.verified.findings) < NAMED_MAX:
            self.verified.findings.append(finding)
        self._on_finding(finding)
