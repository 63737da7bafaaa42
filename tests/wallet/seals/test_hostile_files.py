"""Files that an attacker made: each is a finding or a sentence, and never a traceback or a full memory."""

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wallet.seals.samples import made_export, made_seals, run, verify, write_rows
from wallet.seals import files, heads
from wallet.seals.files import FileRefused, NotAsWritten

EXPORT = made_export()
SEALS = made_seals(EXPORT)
LINES = [json.dumps(row).encode() for row in EXPORT]


def lines(*changed: bytes, at: int = 1) -> bytes:
    """The export with other lines in the place of one, by default of the second."""
    return b"".join(line + b"\n" for line in [*LINES[:at], *changed, *LINES[at + 1 :]])


ENTRY = next(index for index, row in enumerate(EXPORT) if "entry" in row)
SEAL = next(index for index, row in enumerate(EXPORT) if "seal" in row)
WALLET = SEAL - 1


def with_entry(**fields: object) -> bytes:
    return lines(json.dumps({"entry": {**EXPORT[ENTRY]["entry"], **fields}}).encode(), at=ENTRY)


def with_row(index: int, **fields: object) -> bytes:
    return lines(json.dumps({**EXPORT[index], **fields}).encode(), at=index)


FILES = {
    "empty": b"",
    "no line": b"\n",
    "binary": bytes(range(256)) * 100,
    "not UTF-8": lines(b'{"table": "\xff"}'),
    "UTF-16": "\n".join(map(json.dumps, EXPORT)).encode("utf-16"),
    "not JSON": lines(b"{"),
    "a list": lines(b"[1, 2]"),
    "a number": lines(b"7"),
    "null": lines(b"null"),
    "deep lists": lines(b"[" * 500_000),
    "deep objects": lines(b'{"entry":' * 100_000),
    "deep parts": with_entry(moves=[[[[[]]]]]),
    "a name twice": lines(b'{"table": "a", "table": "b", "key": 1, "hash": "' + b"0" * 64 + b'"}'),
    "half a character": lines(b'{"table": "\\ud800", "key": 1, "hash": "' + b"0" * 64 + b'"}'),
    "half a character in an entry": with_entry(reason="\ud800"),
    "a huge number": lines(b'{"table": "a", "key": ' + b"9" * 5000 + b', "hash": "' + b"0" * 64 + b'"}'),
    "a large number": with_row(1, key=2**63),
    "a float": lines(b'{"table": "a", "key": 1e308, "hash": "' + b"0" * 64 + b'"}'),
    "no number": lines(b'{"table": "a", "key": NaN, "hash": "' + b"0" * 64 + b'"}'),
    "infinite": lines(b'{"table": "a", "key": -Infinity, "hash": "' + b"0" * 64 + b'"}'),
    "true for a number": with_row(1, key=True),
    "a negative number": with_row(SEAL, seal=-1),
    "truncated in a line": b"\n".join(LINES)[:-10],
    "truncated between lines": b"".join(line + b"\n" for line in LINES[:-1]),
    "without the first line": b"".join(line + b"\n" for line in LINES[1:]),
    "twice": b"".join(line + b"\n" for line in LINES) * 2,
    "an unknown row": lines(b'{"something": 1}'),
    "rows of two kinds": lines(json.dumps({**EXPORT[ENTRY], **EXPORT[SEAL]}).encode()),
    "a seal without a wallet": lines(LINES[SEAL]),
    "an entry without a wallet": lines(LINES[ENTRY]),
    "an unknown format": with_row(SEAL, format=99),
    "with_entries is a number": with_row(SEAL, with_entries=1),
    "a digest in capitals": with_row(SEAL, hash="A" * 64),
    "a short digest": with_row(SEAL, entries_digest="ab"),
    "a digest that is no text": with_row(SEAL, hash=[1]),
    "a beginning without a hash": with_row(WALLET, after=5),
    "a hash without a beginning": with_row(WALLET, hash="0" * 64),
    "a large subtree": lines(b'{"subtree": 62, "hash": "' + b"0" * 64 + b'"}', at=2),
    "a misplaced subtree": lines(b'{"subtree": 3, "hash": "' + b"0" * 64 + b'"}', at=2),
    "a huge subtree": lines(b'{"subtree": 9999999999, "hash": "' + b"0" * 64 + b'"}', at=2),
    "an entry that is a list": lines(b'{"entry": []}', at=ENTRY),
    "an entry without fields": lines(b'{"entry": {}}', at=ENTRY),
    "a missing field": lines(LINES[ENTRY].replace(b'"kind"', b'"sort"'), at=ENTRY),
    "a field more": with_entry(more=1),
    "a text for a number": with_entry(credits="1"),
    "a number for a text": with_entry(feature=1),
    "a list for a text": with_entry(reason=["a"]),
    "an object for a text": with_entry(wallet_id={"a": 1}),
    "true for an amount": with_entry(credits=True),
    "null for an amount": with_entry(credits=None),
    "null for a sequence": with_entry(sequence=None),
    "null for a wallet": with_entry(wallet_id=None),
    "null for a time": with_entry(created_at=None),
    "an amount of 80 bits": with_entry(credits=2**80),
    "a sequence of 80 bits": with_entry(sequence=2**80),
    "another spelling of a time": with_entry(created_at="2026-03-01T00:00:00Z"),
    "a time without a zone": with_entry(created_at="2026-03-01T00:00:00.000000"),
    "a time of another zone": with_entry(created_at="2026-03-01T00:00:00.000000+01:00"),
    "a time that no calendar has": with_entry(created_at="0000-00-00T00:00:00.000000+00:00"),
    "the first time with a zone": with_entry(created_at="0001-01-01T00:00:00.000000+23:59"),
    "moves that are no list": with_entry(moves={"lot_id": 1}),
    "moves of texts": with_entry(moves=["a"]),
    "moves without fields": with_entry(moves=[{}]),
    "a period that is a number": with_row(0, since=1),
    "a user that is a number": with_row(0, user=1),
    "a header with more": with_row(0, more=1),
    "a header without": b'{"file": "export", "format": 1}\n',
    "a compressed beginning": gzip.compress(b"".join(LINES))[:20],
    "another compression": b"\x1f\x8b" + b"\xff" * 100,
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_export_is_refused_with_a_sentence(tmp_path, caplog, capsys, name):
    path = tmp_path / "export"
    path.write_bytes(FILES[name])
    assert run("verify_export", str(path)) in (1, 2)
    assert (
        caplog.records == []
    )  # A failure that the command does not know would be logged with its traceback.


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_seal_file_is_refused(tmp_path, name):
    """Some are whole exports up to there, which are no seal files either."""
    path = tmp_path / "seals"
    path.write_bytes(FILES[name].replace(b'"file": "export"', b'"file": "seals"'))
    with pytest.raises(NotAsWritten, match=r"seals(, line \d+)?: "):
        list(heads.SealFile(str(path)))


def refusal_of(path: Path) -> FileRefused | None:
    """Why the verification refused a file; None if it came to its end."""
    try:
        verify(path)
    except FileRefused as refusal:
        return refusal
    return None


@given(st.data())
@settings(max_examples=400)
def test_random_changes_of_octets_end_in_findings_or_a_sentence(tmp_path_factory, data):
    octets = bytearray(b"".join(line + b"\n" for line in LINES))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets)))
        match data.draw(st.sampled_from(["replace", "insert", "delete", "cut"])):
            case "replace":
                octets[at : at + 1] = bytes([data.draw(st.integers(0, 255))])
            case "insert":
                octets[at:at] = data.draw(st.binary(min_size=1, max_size=5))
            case "delete":
                del octets[at : at + data.draw(st.integers(1, 50))]
            case _:
                del octets[at:]
    path = tmp_path_factory.getbasetemp() / "random"
    path.write_bytes(octets)
    refusal = refusal_of(path)
    assert refusal is None or str(refusal).startswith(str(path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
@settings(max_examples=400)
def test_any_json_in_the_place_of_a_value_ends_in_findings_or_a_sentence(tmp_path_factory, data):
    index = data.draw(st.integers(0, len(EXPORT) - 1))
    row = EXPORT[index]
    name = data.draw(st.sampled_from(sorted(row)))
    value = data.draw(JSON)
    if isinstance(row[name], dict):
        value = {**row[name], data.draw(st.sampled_from(sorted(row[name]))): value}
    rows = [*EXPORT[:index], {**row, name: value}, *EXPORT[index + 1 :]]
    path = write_rows(tmp_path_factory.getbasetemp() / "json", rows)
    refusal = refusal_of(path)
    assert refusal is None or str(refusal).startswith(f"{path}, line ")


# --- Memory -----------------------------------------------------------------------------------------


def peak_of_reading(path: Path) -> int:
    """The octets that reading a refused file takes at most."""
    tracemalloc.start()
    try:
        with pytest.raises(NotAsWritten):
            verify(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_compressed_line_without_end_is_given_up(tmp_path, monkeypatch):
    """64 megabytes in 64 kilobytes; a real one would have many gigabytes."""
    monkeypatch.setattr(files, "LINE_OCTETS_MAX", 1024 * 1024)
    with gzip.open(tmp_path / "bomb", "wb") as bomb:
        for _ in range(64):
            bomb.write(b" " * 1024 * 1024)
    assert (tmp_path / "bomb").stat().st_size < 100_000
    assert peak_of_reading(tmp_path / "bomb") < 8 * 1024 * 1024


def test_a_line_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LINE_OCTETS_MAX", 1024 * 1024)
    (tmp_path / "long").write_bytes(b'{"file": "' + b"x" * 32 * 1024 * 1024 + b'"}\n')
    assert peak_of_reading(tmp_path / "long") < 8 * 1024 * 1024


def test_findings_are_counted_and_only_the_first_thousand_kept(tmp_path):
    rows = [*EXPORT[: ENTRY + 1], *[EXPORT[ENTRY]] * 1500, *EXPORT[ENTRY + 1 :]]
    verified = verify(write_rows(tmp_path / "many", rows))
    assert len(verified.findings) == 1000
    assert verified.findings_count > 3000


def test_names_that_would_steer_a_terminal_are_shown_escaped(tmp_path, capsys):
    row = {**EXPORT[WALLET], "wallet": "\x1b[2Jall is well"}
    path = write_rows(tmp_path / "export", [*EXPORT[:WALLET], row, *EXPORT[WALLET + 1 :]])
    assert run("verify_export", str(path)) == 1
    assert "\x1b" not in capsys.readouterr().out


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert run("verify_export", str(tmp_path / "none")) == 2
    assert run("verify_export", str(tmp_path)) == 2
    whole = write_rows(tmp_path / "export", EXPORT)
    assert run("verify_export", str(whole), "--seals", str(tmp_path / "none")) == 2
    kept = write_rows(tmp_path / "seals", SEALS[:-1])
    assert run("verify_export", str(whole), "--seals", str(kept)) == 2
    assert run("verify_export", str(whole), "--seals", str(write_rows(kept, SEALS))) == 0
