"""The auditor's role, as `database_roles` makes it, can write the files that an auditor takes along."""

import pytest

from tests.wallet.seals.samples import full_books, run, verify, write_seals

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("role", ["auditor", "operator"])
def test_it_exports_the_books_and_writes_the_seal_file(acting_as, give, article_rate, tmp_path, role):
    full_books(give)
    with acting_as(role):
        write_seals(tmp_path / "seals")
        options = ["--to", str(tmp_path / "export"), "--seals", str(tmp_path / "seals")]
        assert run("export_ledger", *options) == 0
    verified = verify(tmp_path / "export", seals=tmp_path / "seals")
    assert (verified.findings, verified.entries) == ([], 22)
