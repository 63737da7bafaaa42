"""An auditor's export: entries, the seals that cover them, and the proof that leads from these to the root.

The file has a line for each thing, in this order:

- the first line: when it was made, from which database, and for which period and user
- for the heads of tables and wallets, in the order of the seal file: the head of a table; or a wallet, with
  its last seal before the period; or a subtree of the Merkle tree, for wallets that are not exported
- after a wallet: each of its later seals, up to the head. A seal that covers the period comes with its
  entries. For a later one, the digest of its entries is enough.
- the last line: the counts and the root.

The entries of a period lie between two others, or at an end of the wallet's history. These neighbours are
exported too, so a reader sees that none is missing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, groupby, takewhile
from operator import itemgetter

from foundation.errors import BillingError
from foundation.operators import snapshot
from wallet.seals import entry_lines, files, formats, heads, merkle
from wallet.seals.files import Row, Write
from wallet.seals.heads import Head, SealFile

KIND = "export"
# Entries that are read in one query, and lines that wait for them.
READ_MAX = 2000
WAITING_MAX = 10_000

# For each wallet with entries in the period: the numbers of the first and of the last of them, and its seals,
# beginning with the last two that begin before the neighbour of the first entry.
SEALS = """
    SELECT period.wallet_id, period.first, period.last,
        seal.after, seal.sequence, seal.format, seal.entries_digest, seal.hash
    FROM (
        SELECT wallet_id, min(sequence) AS first, max(sequence) AS last
        FROM public.wallet_entry
        WHERE (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
            AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
            AND (%(user)s::text IS NULL OR wallet_id = %(user)s)
        GROUP BY wallet_id
    ) period
    LEFT JOIN public.wallet_seal seal ON seal.wallet_id = period.wallet_id AND seal.after >= coalesce((
        SELECT min(two.after) FROM (
            SELECT earlier.after FROM public.wallet_seal earlier
            WHERE earlier.wallet_id = period.wallet_id AND earlier.after < greatest(period.first - 1, 1)
            ORDER BY earlier.after DESC LIMIT 2
        ) two
    ), 0)
    ORDER BY period.wallet_id COLLATE "C", seal.after
"""
# The texts of the entries of some stretches, in order.
ENTRIES = """
    SELECT stretch.place, {text}
    FROM unnest(%(wallets)s::text[], %(afters)s::bigint[], %(sequences)s::bigint[])
        WITH ORDINALITY stretch (wallet_id, after, sequence, place)
    JOIN public.wallet_entry entry ON entry.wallet_id = stretch.wallet_id
        AND entry.sequence > stretch.after AND entry.sequence <= stretch.sequence
    ORDER BY stretch.place, entry.sequence
"""


@dataclass(frozen=True)
class Scope:
    """Which entries to export: those since a time and before another, of one user; None is no limit."""

    since: datetime | None = None
    until: datetime | None = None
    user: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether all entries of all wallets are exported."""
        return self.since is None and self.until is None and self.user is None


@dataclass
class Exported:
    """What an export has, and what it could not have. `wallets` and `entries` are those in the file."""

    wallets: int = 0
    entries: int = 0
    unsealed: int = 0  # Entries of the period that no seal covers, or none that the seal file knows.
    root: str = ""
    differences: list[str] = field(default_factory=list)  # Sentences: where seals and books differ.


@dataclass(frozen=True)
class Stretch:
    """Entries of a wallet that are read together: those above `after`, up to and including `sequence`."""

    wallet: str
    after: int
    sequence: int

    @property
    def length(self) -> int:
        """How many entries it has. Their numbers have no gap."""
        return self.sequence - self.after


@dataclass(frozen=True)
class _Seal:
    after: int
    sequence: int
    format: int
    entries_digest: bytes
    hash: bytes

    def row(self, *, with_entries: bool) -> Row:
        return {
            "seal": self.sequence,
            "format": self.format,
            "entries_digest": bytes(self.entries_digest).hex(),
            "hash": bytes(self.hash).hex(),
            "with_entries": with_entries,
        }


class _Lines:
    """Writes lines in order. Entries are read together for many wallets, so lines wait for them."""

    def __init__(self, append: Write, exported: Exported, on_entries: Callable[[int], object]) -> None:
        self._append, self._exported, self._on_entries = append, exported, on_entries
        self._waiting: list[Row | Stretch] = []
        self._format, self._entries_waiting = formats.CURRENT, 0

    def add(self, row: Row) -> None:
        self._waiting.append(row)
        if len(self._waiting) >= WAITING_MAX:
            self.flush()

    def add_subtrees(self, subtrees: list[merkle.Subtree]) -> None:
        for each in subtrees:
            self.add({"subtree": each.height, "hash": each.hash.hex()})

    def add_entries(self, wallet: str, seal: _Seal) -> None:
        """Add the entries that a seal covers."""
        if seal.format != self._format:
            self.flush()  # One query reads entries in one format.
            self._format = seal.format
        for after in range(seal.after, seal.sequence, READ_MAX):
            stretch = Stretch(wallet, after, min(after + READ_MAX, seal.sequence))
            self._waiting.append(stretch)
            self._entries_waiting += stretch.length
            if self._entries_waiting >= READ_MAX:
                self.flush()

    def flush(self) -> None:
        """Write all lines that wait."""
        stretches = [each for each in self._waiting if isinstance(each, Stretch)]
        texts = self._texts_of(stretches) if stretches else {}
        place = 0
        for each in self._waiting:
            if isinstance(each, Stretch):
                place += 1
                self._write_entries(each, texts.get(place, []))
            else:
                self._append(each)
        self._waiting, self._entries_waiting = [], 0

    def _texts_of(self, stretches: list[Stretch]) -> dict[int, list[str]]:
        """Return the canonical texts of the entries, by the place of their stretch in the list, from 1."""
        query = ENTRIES.format(text=formats.FORMATS[self._format].entry.as_sql("entry"))
        texts: dict[int, list[str]] = {}
        with formats.fixed_path() as cursor:
            cursor.execute(
                query,
                {
                    "wallets": [each.wallet for each in stretches],
                    "afters": [each.after for each in stretches],
                    "sequences": [each.sequence for each in stretches],
                },
            )
            for place, text in cursor:
                texts.setdefault(place, []).append(text)
        return texts

    def _write_entries(self, stretch: Stretch, texts: list[str]) -> None:
        rows = formats.FORMATS[self._format].entry
        for text in texts:
            try:
                self._append({"entry": entry_lines.from_canonical(rows, text.encode())})
            except (ValueError, OverflowError) as error:
                raise Unshowable(stretch.wallet) from error
        if len(texts) != stretch.length:
            self._exported.differences.append(
                f"{files.shown(stretch.wallet)}: {len(texts)} entries from {stretch.after + 1} to"
                f" {stretch.sequence}, where its seals cover {stretch.length}."
            )
        self._exported.entries += len(texts)
        self._on_entries(len(texts))


class Unshowable(BillingError):
    """Raised when an entry has a time that no calendar has, such as `infinity`."""

    def __init__(self, wallet: str) -> None:
        super().__init__(f"An entry of {files.shown(wallet)} has a time that no calendar has.")


@dataclass(frozen=True)
class _Wallet:
    """A wallet with entries in the period: the numbers of the first and the last, and the seals of SEALS."""

    name: str
    first: int
    last: int
    seals: Iterator[_Seal]


def _wallets(scope: Scope) -> Iterator[_Wallet]:
    """Yield them in the order of heads. The seals of one can be read until the next one is taken."""
    facts = {"since": scope.since, "until": scope.until, "user": scope.user}
    for name, rows in groupby(heads.fetched(SEALS, facts), key=itemgetter(0)):
        top = next(rows)
        seals = (_Seal(*row[3:]) for row in chain([top], rows) if row[3] is not None)
        yield _Wallet(name, top[1], top[2], seals)


class _Export:
    """The middle of the file: what stands between the first and the last line."""

    def __init__(self, scope: Scope, lines: _Lines, exported: Exported) -> None:
        self._scope, self._lines, self._exported = scope, lines, exported
        self._proof = merkle.Proof()
        self.heads = heads.Heads(self._proof.tree)
        self._wallets = _wallets(scope)
        self._next = next(self._wallets, None)

    def add(self, head: Head) -> None:
        """Write a head with its entries if it is to be exported, else collapse it."""
        self.heads.count(head)
        if head.kind == "table":
            self._lines.add_subtrees(self._proof.show(head.leaf()))
            self._lines.add(head.row())
            return
        self._skip_until(head.name)
        wallet = self._next
        if wallet is None or wallet.name != head.name:
            self._proof.hide(head.leaf())
            if self._scope.is_everything:
                self._differs(head, "it has seals, but no entries")
            return
        self._exported.unsealed += wallet.last - max(min(head.position, wallet.last), wallet.first - 1)
        if head.position < wallet.first:
            self._proof.hide(head.leaf())
        else:
            self._lines.add_subtrees(self._proof.show(head.leaf()))
            self._add_wallet(head, wallet)
        self._next = next(self._wallets, None)

    def end(self) -> None:
        """Write what is left after the last head."""
        self._skip_until(None)
        self._lines.add_subtrees(self._proof.rest())
        self._lines.flush()

    def _skip_until(self, name: str | None) -> None:
        """Count the entries of wallets before this name as unsealed: they have no head."""
        while self._next is not None and (name is None or self._next.name < name):
            self._exported.unsealed += self._next.last - self._next.first + 1
            self._next = next(self._wallets, None)

    def _add_wallet(self, head: Head, wallet: _Wallet) -> None:
        """Write the wallet's seals up to the head, with the entries of those that cover the period."""
        self._exported.wallets += 1
        seals = takewhile(lambda seal: seal.sequence <= head.position, wallet.seals)
        seal = next(seals, None)
        before = None
        if seal is not None and seal.sequence < wallet.first - 1:
            before, seal = seal, next(seals, None)
        self._lines.add(
            {
                "wallet": head.name,
                "after": before.sequence if before else 0,
                "hash": bytes(before.hash).hex() if before else None,
            }
        )
        end = before
        while seal is not None:
            covers = seal.after <= wallet.last
            self._lines.add(seal.row(with_entries=covers))
            if covers:
                self._lines.add_entries(head.name, seal)
            end, seal = seal, next(seals, None)
        if end is None or (end.sequence, bytes(end.hash)) != (head.position, head.hash):
            self._differs(head, f"the books have no seal up to {head.position}, which the seal file has")

    def _differs(self, head: Head, how: str) -> None:
        self._exported.differences.append(f"{files.shown(head.name)}: {how}.")


def write(
    path: str,
    *,
    stdout: files.Output,
    scope: Scope,
    seal_file: str | None = None,
    on_entries: Callable[[int], object] = lambda count: None,
) -> Exported:
    """Write an export in one snapshot. `-` writes to `stdout`.

    The root is that of the books now, or that of a seal file: then what was sealed later is left out. Raises
    FileRefused if the file exists or cannot be written, or if the seal file cannot be read.
    """
    exported = Exported()
    kept = SealFile(seal_file) if seal_file is not None else None
    with files.writing(path, stdout=stdout) as append, snapshot():
        times = {"since": scope.since, "until": scope.until, "seal_file_made_at": kept and kept.made_at}
        texts = {name: at and files.time_text(at) for name, at in times.items()}
        append({**heads.beginning(KIND), **texts, "user": scope.user})
        export = _Export(scope, _Lines(append, exported, on_entries), exported)
        for head in heads.of_books() if kept is None else kept:
            export.add(head)
        export.end()
        summary = export.heads.summary()
        append({**summary, "exported_wallets": exported.wallets, "exported_entries": exported.entries})
        exported.root = summary["root"]
    return exported
