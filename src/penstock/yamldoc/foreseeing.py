"""What an edited text says, without reading it again where that can be told.

In: a document and edits to its text. Out: the number of the value it then has, or None: read it. A word that stands where
another word stood cannot change how anything around it is read, as long as it holds nothing that YAML gives a meaning to;
nearly every promotion is a few such words, and the parser is most of what a promotion costs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence as Items

from penstock.yamldoc.nodes import Canon, Document, Mapping, Node, Scalar, Sequence

Edit = tuple[int, int, str]

_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/@+-]{0,200}[A-Za-z0-9_])?")
_WITH_COLONS = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/@+:-]{0,200}[A-Za-z0-9_])?")
"""Outside of flow collections a colon with no blank behind it is a letter like any other."""
_QUOTED = re.compile(r"""(?:"[A-Za-z0-9._/@+:= -]{0,200}"|'[A-Za-z0-9._/@+:= -]{0,200}')""")


def number(document: Document, edits: Items[Edit], canon: Canon) -> int | None:
    """The number of the document's value once the edits are made; None where only reading the text can tell."""
    if document.json or document.aliased or document.root is None or not edits:
        return None
    walk = _Walk(document.text, edits, canon)
    found = walk.of(document.root, flow=False)
    return found if walk.left == 0 else None


class _Walk:
    def __init__(self, text: str, edits: Items[Edit], canon: Canon) -> None:
        self._text, self._canon = text, canon
        self._edits = sorted(edits)
        self.left = len(edits)
        """Edits that no scalar accounts for: of a key, of a comment, of several nodes at once."""

    def of(self, node: Node, *, flow: bool) -> int:
        """The number of a node's value; `left` stays above 0 when it cannot be told."""
        if not any(node.start <= start and end <= node.end for start, end, _ in self._edits):
            return self._canon.of(node)
        if isinstance(node, Scalar):
            return self._scalar(node, flow=flow)
        if isinstance(node, Sequence):
            return self._canon.sequence([self.of(item, flow=flow or node.flow) for item in node.items], node.tag)
        if not isinstance(node, Mapping) or node.opaque or "<<" in node.keys:
            return 0
        values = {key: self.of(entry.value, flow=flow or node.flow) for key, entry in node.keys.items()}
        return self._canon.mapping(values, node.tag)

    def _scalar(self, node: Scalar, *, flow: bool) -> int:
        inside = [edit for edit in self._edits if node.start <= edit[0] and edit[1] <= node.end]
        start, end, text = inside[0]
        if len(inside) > 1 or (start, end) != (node.start, node.end) or start == end or node.tag or node.anchor:
            return 0
        if "\n" in self._text[start:end]:
            return 0
        if node.style == "" and (_WORD if flow else _WITH_COLONS).fullmatch(text):
            value = text
        elif node.style and text[:1] == node.style and _QUOTED.fullmatch(text):
            value = text[1:-1]
        else:
            return 0
        self.left -= 1
        return self._canon.of(Scalar(start, end, start, value, node.style))
