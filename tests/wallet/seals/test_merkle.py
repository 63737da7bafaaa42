"""The streaming Merkle tree, compared with the definition of RFC 6962 written down as it stands there."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.seals.merkle import HEIGHT_MAX, MisplacedSubtree, Proof, Subtree, Tree, leaf

LEAVES = st.lists(st.binary(max_size=4), max_size=70)


def defined_root(leaves: list[bytes]) -> bytes:
    """MTH(D[n]) of RFC 6962, section 2.1."""
    n = len(leaves)
    if n == 0:
        return sha256(b"").digest()
    if n == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < n:
        k *= 2
    return sha256(b"\x01" + defined_root(leaves[:k]) + defined_root(leaves[k:])).digest()


def tree_of(parts: list[Subtree]) -> Tree:
    tree = Tree()
    for part in parts:
        tree.add(part)
    return tree


def proof_of(leaves: list[bytes], shown: set[int]) -> tuple[list[Subtree | bytes], bytes]:
    """What a file would have, in its order: the leaves that are shown, and subtrees; and the root."""
    proof = Proof()
    parts: list[Subtree | bytes] = []
    for index, text in enumerate(leaves):
        if index in shown:
            parts += [*proof.show(leaf(text)), text]
        else:
            proof.hide(leaf(text))
    return [*parts, *proof.rest()], proof.tree.root()


def read_again(parts: list[Subtree | bytes]) -> Tree:
    return tree_of([part if isinstance(part, Subtree) else leaf(part) for part in parts])


def test_vectors_of_the_rfcs_reference_implementation():
    """The example of Certificate Transparency's own tests."""
    texts = "|00|10|2021|3031|40414243|5051525354555657|606162636465666768696a6b6c6d6e6f"
    leaves = [leaf(bytes.fromhex(each)) for each in texts.split("|")]
    roots = [tree_of(leaves[:size]).root().hex() for size in (0, 1, 2, 8)]
    assert roots == [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]


@given(LEAVES)
def test_the_root_is_that_of_the_definition(leaves):
    tree = tree_of([leaf(text) for text in leaves])
    assert (tree.root(), tree.size) == (defined_root(leaves), len(leaves))


@given(LEAVES, st.data())
def test_a_proof_gives_the_same_root_whatever_is_shown(leaves, data):
    shown = data.draw(st.sets(st.integers(0, max(len(leaves) - 1, 0))))
    parts, root = proof_of(leaves, shown)
    again = read_again(parts)
    assert (again.root(), again.size, root) == (defined_root(leaves), len(leaves), defined_root(leaves))
    assert [part for part in parts if isinstance(part, bytes)] == [
        text for index, text in enumerate(leaves) if index in shown
    ]


@given(st.integers(1, 300), st.data())
def test_a_proof_of_one_leaf_is_short(size, data):
    """It has a subtree for each height at most twice: once on either side."""
    parts, _ = proof_of([bytes([i % 256]) for i in range(size)], {data.draw(st.integers(0, size - 1))})
    assert len(parts) <= 1 + 2 * size.bit_length()


@given(LEAVES.filter(bool), st.data())
def test_every_single_bit_is_noticed(leaves, data):
    parts, root = proof_of(leaves, data.draw(st.sets(st.integers(0, len(leaves) - 1))))
    index = data.draw(st.integers(0, len(parts) - 1))
    part = parts[index]
    octets = bytearray((part.hash if isinstance(part, Subtree) else part) or b"\0")
    bit = data.draw(st.integers(0, len(octets) * 8 - 1))
    octets[bit // 8] ^= 1 << bit % 8
    parts[index] = Subtree(part.height, bytes(octets)) if isinstance(part, Subtree) else bytes(octets)
    assert read_again(parts).root() != root


@given(LEAVES.filter(lambda leaves: len(leaves) > 1), st.data())
def test_a_removed_repeated_or_moved_part_is_noticed(leaves, data):
    leaves = [bytes([index]) + text for index, text in enumerate(leaves)]  # No two are equal.
    parts, root = proof_of(leaves, data.draw(st.sets(st.integers(0, len(leaves) - 1))))
    index = data.draw(st.integers(0, len(parts) - 1))
    other = data.draw(st.integers(0, len(parts) - 1))
    swapped = [*parts]
    swapped[index], swapped[other] = parts[other], parts[index]
    removed, repeated = parts[:index] + parts[index + 1 :], parts[: index + 1] + parts[index:]
    for changed in (removed, repeated, swapped):
        if changed == parts:
            continue
        try:
            again = read_again(changed)
        except MisplacedSubtree:
            continue
        assert (again.root(), again.size) != (root, len(leaves))


def test_neither_a_leaf_nor_a_node_passes_for_the_other():
    left, right = leaf(b"left"), leaf(b"right")
    both = tree_of([left, right]).root()
    assert tree_of([leaf(left.hash + right.hash)]).root() != both
    assert tree_of([leaf(b"\1" + left.hash + right.hash)]).root() != both


@pytest.mark.parametrize("height", [1, 5, HEIGHT_MAX + 1, 10**9, -1])
def test_a_subtree_that_does_not_fit_is_refused(height):
    tree = tree_of([leaf(b"one")])
    with pytest.raises(MisplacedSubtree):
        tree.add(Subtree(height, b"\0" * 32))
    assert tree.size == 1


def test_memory_does_not_grow_with_the_leaves():
    proof = Proof()
    for index in range(5000):
        proof.hide(leaf(str(index).encode()))
    assert len(proof.tree._perfect) <= 13
    assert len(proof.rest()) <= 13
