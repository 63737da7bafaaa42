"""`manage.py verify_export FILE [--seals FILE | --root HEX] [--json]`: check it without a database."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from typing import Any

from foundation.operators import LookingCommand
from foundation.words import count
from wallet.seals import verifying
from wallet.seals.files import HASH
from wallet.seals.verifying import Finding, Verified


def root(text: str) -> str:
    """Return a root of 64 hexadecimal digits in lower case, or raise ArgumentTypeError."""
    if not HASH.fullmatch(text.lower()):
        raise ArgumentTypeError(f"{text!r} is not a root of 64 hexadecimal digits")
    return text.lower()


class Command(LookingCommand):
    help = (
        "Verify a file of `export_ledger`: recompute every digest and every chain of seals, and the Merkle "
        "root. Needs no database. Exit code 0: the file proves what it has. 1: it does not. 2: could not "
        "read it."
    )
    purpose = "verify"
    requires_system_checks = ()
    needs_database = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE")
        kept = parser.add_mutually_exclusive_group()
        kept.add_argument("--seals", metavar="FILE", help="the seal file that the auditor kept")
        kept.add_argument("--root", type=root, metavar="HEX", help="the root that the auditor kept")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *, file: str, seals: str | None, root: str | None, json: bool, **options: Any) -> None:
        def name(finding: Finding) -> None:
            if not json:  # Print now: a large file takes long.
                self.stdout.write(f"{finding.subject}: {finding.detail}")

        with self.progress("Verifying lines") as advance:
            verified = verifying.verify(file, seal_file=seals, root=root, on_finding=name, on_rows=advance)
        is_compared = seals is not None or root is not None
        self._report(verified, is_compared=is_compared, as_json=json)
        if verified.findings_count:
            self.found()

    def _report(self, verified: Verified, *, is_compared: bool, as_json: bool) -> None:
        if as_json:
            facts = {
                "made_at": verified.made_at.isoformat(),
                "since": verified.since and verified.since.isoformat(),
                "until": verified.until and verified.until.isoformat(),
                "user": verified.user,
                "entries": verified.entries,
                "seals": verified.seals,
                "wallets": verified.exported_wallets,
                "wallets_in_tree": verified.wallets,
                "hidden_wallets": verified.hidden_wallets,
                "root": verified.root,
                "root_compared": is_compared,
                "findings": [asdict(each) for each in verified.findings],
                "findings_count": verified.findings_count,
                "proven": not verified.findings_count,
            }
            self.stdout.write(json.dumps(facts))
            return
        entries = count(verified.entries, "entry", "entries")
        wallets = f"{verified.exported_wallets} of {count(verified.wallets, 'wallet')}"
        hidden = "; the others are hidden and nothing is proven about them" * bool(verified.hidden_wallets)
        seals = count(verified.seals, "seal")
        self.stdout.write(f"{entries}, {seals}, {wallets}{hidden}. Root: {verified.root}")
        if verified.findings_count:
            self.stdout.write(f"{count(verified.findings_count, 'finding')}: this file proves nothing.")
        elif not verified.entries:
            self.stdout.write("The file has no entry, so it proves none.")
        elif is_compared:
            self.stdout.write("Every entry is as it was sealed, and the root is the one that was kept.")
        else:
            self.stdout.write("Every entry is as it was sealed. Compare the root with the one that was kept.")
