"""A Merkle tree over a list of texts, read as a stream: its root, and the proof that some texts are in it.

The tree is that of RFC 6962, section 2.1, with SHA-256. A leaf and an inner node begin with different octets,
so neither can pass for the other. A tree of n leaves has the largest power of two below n on its left.

So the tree is a row of perfect trees, each lower than the one on its left. Memory holds only these: at most
63 hashes, however many leaves there are.
"""

from dataclasses import dataclass, field
from hashlib import sha256

# Trees of up to 2 ** 63 leaves. A higher subtree in a file is a mistake.
HEIGHT_MAX = 62
HASH_OCTETS = 32


class MisplacedSubtree(ValueError):
    """Raised when a subtree cannot begin after so many leaves, or is higher than any tree of this service."""


@dataclass(frozen=True)
class Subtree:
    """A perfect tree of 2 ** `height` leaves, of which only the hash is known."""

    height: int
    hash: bytes

    @property
    def size(self) -> int:
        """How many leaves it has."""
        return 1 << self.height


def leaf(text: bytes) -> Subtree:
    """Return the tree of one leaf."""
    return Subtree(0, sha256(b"\0" + text).digest())


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the inner node over these two."""
    return sha256(b"\1" + left + right).digest()


def _joined(left: Subtree, right: Subtree) -> Subtree:
    return Subtree(left.height + 1, node_hash(left.hash, right.hash))


@dataclass
class Tree:
    """A tree that grows at its right end. `size` is the number of leaves so far."""

    size: int = 0
    _perfect: list[Subtree] = field(default_factory=list)

    def add(self, subtree: Subtree) -> None:
        """Add leaves at the right end, as the subtree over them, or raise MisplacedSubtree."""
        if not 0 <= subtree.height <= HEIGHT_MAX or self.size % subtree.size:
            raise MisplacedSubtree(f"a subtree of height {subtree.height} after {self.size} leaves")
        self.size += subtree.size
        while self._perfect and self._perfect[-1].height == subtree.height:
            subtree = _joined(self._perfect.pop(), subtree)
        self._perfect.append(subtree)

    def root(self) -> bytes:
        """Return the root. That of a tree without leaves is the hash of nothing, as the RFC says."""
        if not self._perfect:
            return sha256(b"").digest()
        *lefts, last = self._perfect
        root = last.hash
        for left in reversed(lefts):
            root = node_hash(left.hash, root)
        return root


@dataclass
class Proof:
    """Collapses the leaves that are not shown into subtrees, from which a reader computes the root again.

    Call `hide` or `show` for each leaf, in the order of the tree, and `rest` after the last one. A reader
    adds the shown leaves and the returned subtrees to a Tree, in the order in which they came.
    """

    tree: Tree = field(default_factory=Tree)
    _hidden: list[Subtree] = field(default_factory=list)

    def hide(self, hidden: Subtree) -> None:
        """Add a leaf that the reader does not get to see."""
        self.tree.add(hidden)
        while self._hidden and self._hidden[-1].height == hidden.height and self._is_aligned(hidden):
            hidden = _joined(self._hidden.pop(), hidden)
        self._hidden.append(hidden)

    def show(self, shown: Subtree) -> list[Subtree]:
        """Add a leaf that the reader gets to see. Return the subtrees between it and the one shown before."""
        self.tree.add(shown)
        return self.rest()

    def rest(self) -> list[Subtree]:
        """Return the subtrees after the last leaf that was shown."""
        hidden, self._hidden = self._hidden, []
        return hidden

    def _is_aligned(self, last: Subtree) -> bool:
        """Whether the last subtree is the right half of a perfect tree, and not the left half of the next."""
        return self.tree.size % (2 * last.size) == 0
