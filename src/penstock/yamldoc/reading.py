"""YAML bytes in, plain Python values out, with go-yaml's meaning and with places for error messages.

`load_all` reads manifests the way kustomize does (kyaml on go-yaml v3); `load_sigs` reads kustomization files
(sigs.k8s.io/yaml on go-yaml v2). Both have two ways in: a fast one (yamlrocks), taken only when a guard finds nothing
in the source that the two could read differently, and an exact one over libyaml's events. The exact way also gives
errors and positions.

Nothing is ever constructed from a tag, nothing is imported or executed, and every document has budgets: file size,
nesting, and what aliases expand to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import yamlrocks

from penstock.model.errors import InputError, Place, Problem
from penstock.model.fieldpath import FieldPath
from penstock.yamldoc import composing, scalars

MAX_FILE_BYTES: Final = 10 * 1024 * 1024
"""The largest file that is parsed; larger ones are refused by their size, before they are read where possible."""

Flavour = Literal["kyaml", "sigs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leniency:
    """What kustomize lets pass and this reader refuses unless told otherwise; each is one documented opt-out."""

    duplicate_keys: bool = False
    """In kustomization files and JSON patches the last of two equal keys wins, without a word."""
    trailing_content: bool = False
    """What follows the end of a document ('...', or a second document in a kustomization file) is dropped."""
    unknown_tags: bool = False
    """!anything is ignored."""
    decode_binary: bool = False
    """!!binary is decoded (and damaged by the decoding); otherwise its base64 text stays."""
    unchecked_data: bool = False
    """Generated ConfigMaps and Secrets may have keys and sizes that no cluster takes."""


STRICT: Final = Leniency()
LENIENT: Final = Leniency(duplicate_keys=True, trailing_content=True, unknown_tags=True, decode_binary=True, unchecked_data=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document: its value and where it stands. The value must not be changed in place when it is shared."""

    value: Any
    path: str
    line: int
    """The line in the file on which the document's content starts, from 1."""
    source: str | bytes = field(repr=False)
    """The document's own text."""
    first_line: int = 1
    """The line in the file of the first line of `source`."""
    alone: bool = True
    """Whether no separator line is in its file: a part of comments only counts here."""
    flavour: Flavour = "kyaml"
    warnings: tuple[Problem, ...] = ()
    """What will not reach the cluster as it is written."""
    unspelled: tuple[FieldPath, ...] = ()
    """Nulls between braces or brackets that nothing spells (`{a: }`)."""
    quoted_times: tuple[tuple[FieldPath, str], ...] = ()
    """Times between braces or brackets, which keep their text, with what they would be elsewhere."""

    def place(self, path: FieldPath = ()) -> Place:
        """Where a field stands (its key, or the list item); the nearest parent that exists when it does not."""
        line, column = composing.locate(self.source, path, self.value)
        return Place(path=self.path, line=self.first_line + line, column=column + 1)

    def scalar_text(self, path: FieldPath) -> str | None:
        """What the file says for a scalar, before any resolving; None when there is no scalar at this path."""
        return composing.scalar_text(self.source, path, self.value)


def load_all(data: bytes, path: str, leniency: Leniency = STRICT) -> list[Document]:
    """Every document of a manifest file that is not empty, in order.

    Raises InputError: bad YAML, duplicate keys (both lines named), keys that are not strings, budgets.
    """
    data = _prepared(data, path)
    parts = _split(data, path)
    documents: list[Document] = []
    line = 1
    for part in parts:
        document = _fast(part, path, line) if not _suspicious(part) else None
        if document is None:
            document = _exact(part, path, line, "kyaml", leniency)
        if document is not None and document.value is not None:
            documents.append(document if len(parts) == 1 else replace(document, alone=False))
        line += part.count(b"\n") + 1  # and the separator's own line
    return documents


def load_sigs(data: bytes, path: str, leniency: Leniency = STRICT) -> Document | None:
    """The one document of a kustomization file (or of a patch read through sigs.k8s.io/yaml), None when it is empty.

    Raises InputError as load_all, and for content after the document unless `leniency` drops it.
    """
    data = _prepared(data, path)
    if not _suspicious(data) and not _SIGS_GUARD.search(data) and b"\n---" not in data:
        document = _fast(data, path, 1, "sigs")
        if document is not None:
            return document if document.value is not None else None
    document = _exact(data, path, 1, "sigs", leniency)
    return document if document is not None and document.value is not None else None


def _prepared(data: bytes, path: str) -> bytes:
    """UTF-8 with line feeds only, or an InputError."""
    if len(data) > MAX_FILE_BYTES:
        raise too_large(path, len(data))
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeDecodeError:
            raise InputError([Problem(what="not valid UTF-16 text", where=Place(path=path), code="YamlEncoding")]) from None
    elif data[:3] == b"\xef\xbb\xbf":
        data = data[3:]
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    return data


def too_large(path: str, size_bytes: int) -> InputError:
    """The refusal of a file over the budget, for callers that know the size before they read."""
    return InputError(
        [
            Problem(
                what=f"the file is too large to parse: {size_bytes} bytes, at most {MAX_FILE_BYTES} are read",
                where=Place(path=path),
                code="YamlFileSize",
            )
        ]
    )


_SEPARATOR = re.compile(rb"\n---([^\n]*)\n")


def _split(data: bytes, path: str) -> list[bytes]:
    """The documents of a stream, split at separator lines as kyaml splits them, before any parsing."""
    if b"\n---" not in data:
        return [data]
    parts: list[bytes] = []
    start = 0
    for match in _SEPARATOR.finditer(data):
        rest = match[1].strip()
        if rest and not rest.startswith(b"#"):
            where = Place(path=path, line=data.count(b"\n", 0, match.start()) + 2, column=5)
            raise InputError(
                [Problem(what="invalid document separator: content after '---' on the same line", where=where, code="YamlSyntax")]
            )
        # not a byte more: a block that keeps its line breaks would count them
        parts.append(data[start : match.start() + 1])
        start = match.end()
    parts.append(data[start:])
    return parts


# What the fast reader and go-yaml may read differently. A hit costs only time: the exact way is taken. Each pattern
# starts with one character class, which the regex engine skips through at memory speed.
_SPECIAL = re.compile(rb"[&*!%@`\r\t\x7f\x00-\x08\x0b-\x1f?~]")
_INDICATOR = re.compile(
    rb"""
      [\r\t\x7f\x00-\x08\x0b-\x1f]               # tabs, control characters, lone carriage returns
    | (?:^[ ]* | [:?-][ ]+ | [,\[{][ ]* | ["']:)(?: # where a token can start:
          [&*!%@`]                                 #   anchors, aliases, tags, reserved indicators
        | ~[ ]*:                                   #   null as a key
        | \?(?:[ ]|$)                              #   '? key'
      )
    """,
    re.VERBOSE | re.MULTILINE,
)
_NUMBER = re.compile(
    rb"""
    [ \n\[{,:"'](?=[-+.0-9])(?:
          [+][0-9._] | -_
        | -?(?:0[0-9_xXoObB] | [0-9.]+_ | [0-9]{16} | \.[0-9iInN])         # other bases, other spellings
        | -0[ ]*(?:$|[,\]}]|[ ]\#)
        | -?[0-9]*\.[0-9]*(?:[eE][-+]?[0-9]+)?[ ]*(?:$|[,\]}]|[ ]\#)     # floats
        | -?[0-9]+[eE][-+]?[0-9]+[ ]*(?:$|[,\]}]|[ ]\#)
        | [0-9]{4}-[0-9]                                                 # dates
        | [+-]?[0-9.][0-9A-Za-z_.+-]*[ ]*:(?:[ ]|$)                      # keys that look like numbers
        | \.\.\.                                                         # document ends
    )
    """,
    re.VERBOSE | re.MULTILINE,
)
_EMPTY_KEY = re.compile(rb"[\n{,-][ ]*:(?:[ \n]|\Z)|[:|>][,\]}]|^[^'\"\n]+['\"][ ]*:(?:[ \n]|\Z)", re.MULTILINE)
# a value or a key that is not there, between braces
_UNSPELLED = re.compile(rb""":[ ]*[,}\]]|(?<!\$)\{[ ]*[^\s:,{}\[\]"'][^:,{}\[\]"'\n]*[,}]|,[^:,{}\[\]"'\n]*\}|,[ ]*,""")
_SPACED_KEY = re.compile(rb"[elEL] +:")
_START = re.compile(rb"[ ]*[:|>]")
_FLOW_BLOCK = re.compile(rb"[,\[{][ ]*[|>]")
# Columns in which an item could be missing its dash: the fast reader makes a new item of such a line. When every dash
# stands in an even column with one blank behind it, no line in an even column can be one.
_ODD_INDENT = re.compile(rb"^(?:[ ][ ])*[ ](?![ \n#])|^[ ]*(?:- )*-(?:[ ]*\n|[ ]{2,}[^ \n])", re.MULTILINE)
_LITERALS = (
    b"true:",
    b"false:",
    b"null:",
    b"True:",
    b"TRUE:",
    b"False:",
    b"FALSE:",
    b"Null:",
    b"NULL:",
    b"<<",
    b"\xc2\x85",
    b"\xe2\x80",
    b"\xef\xbb\xbf",
)
_SIGS_GUARD = re.compile(
    rb"""(?:^[ ]*|[:?-][ ]+|[,\[{][ ]*|["']:)(?:[yY]|[yY]es|YES|[nN]|[nN]o|NO|[oO]n|ON|[oO]ff|OFF)[ ]*(?:$|[:,\]}]|[ ]\#)""",
    re.MULTILINE,
)
_FOLDED_HEADER = re.compile(rb">[-+0-9]*[ ]*(?:\#[^\n]*)?\n")
_BLOCK_HEADER = re.compile(rb"[|>][-+0-9]*[ ]*(?:\#[^\n]*)?\n")
# a value on the line after its key, where the fast reader does not mind how far it is indented
_HANGING = re.compile(rb":[ ]*\n(?:[ ]*\n)*[ ]*(?=[^ \n#-]|-[^ \n])(?:[^\n:]|:(?![ \n]|\Z))*(?:\n|\Z)")
# a second ': ' in one plain value, and keys that end with colons, where the fast reader finds null keys
_TWO_VALUES = re.compile(rb""":[ ]+[^\s"'\[{#][^\n,"'\[\]{}#]*:(?:[ ]|$)|::(?:[ :]|$)|:[ ]+:""", re.MULTILINE)
_FIRST_CONTENT = re.compile(rb"^(?!---(?:[ ]|$)|[ ]*\#|[ ]*$)", re.MULTILINE)


def _suspicious(part: bytes) -> bool:
    if _SPECIAL.search(part) is not None and _INDICATOR.search(part) is not None:
        return True
    if _NUMBER.search(part) is not None or _NUMBER.match(b"\n" + part[:256]) is not None:
        return True
    if _HANGING.search(part) is not None or _TWO_VALUES.search(part) is not None:
        return True
    # no key at the start, or a block text that is the whole document
    if _START.match(part) is not None or b"\n|" in part or b"\n>" in part:
        return True
    if _ODD_INDENT.search(part) is not None or _FLOW_BLOCK.search(part) is not None:
        return True
    if (b"{" in part or b"[" in part) and _UNSPELLED.search(part) is not None:
        return True
    if _EMPTY_KEY.search(part) is not None or _SPACED_KEY.search(part) is not None:
        return True
    for literal in _LITERALS:
        if literal in part:
            return True
    # kyaml changes line breaks of folded blocks (composing.refolded)
    if b">" in part and _FOLDED_HEADER.search(part) is not None:
        return True
    # the fast reader adds a line break to a block scalar that ends with the file
    return not part.endswith(b"\n") and _BLOCK_HEADER.search(part) is not None


_STRICT_OPTIONS: Final = yamlrocks.OPT_DUPLICATE_KEYS_ERROR | yamlrocks.OPT_REJECT_COMPLEX_KEYS


def _fast(part: bytes, path: str, first_line: int, flavour: Flavour = "kyaml") -> Document | None:
    """The document by the fast reader; None when the exact reader has to decide."""
    try:
        values = yamlrocks.loads_all(part, option=_STRICT_OPTIONS)
    except yamlrocks.YAMLRocksError:
        return None
    if len(values) > 1:
        return None
    match = _FIRST_CONTENT.search(part)
    line = first_line + (part.count(b"\n", 0, match.start()) if match else 0)
    value = values[0] if values else None
    return Document(value=value, path=path, line=line, source=part, first_line=first_line, flavour=flavour)


def _exact(part: bytes, path: str, first_line: int, flavour: Flavour, leniency: Leniency) -> Document | None:
    resolver = scalars.resolve if flavour == "kyaml" else scalars.resolve_sigs
    composer = composing.Composer(
        path=path,
        first_line=first_line,
        resolver=resolver,
        sigs=flavour == "sigs",
        last_duplicate_wins=leniency.duplicate_keys,
        drop_trailing=leniency.trailing_content,
        unknown_tags=leniency.unknown_tags,
        decode_binary=leniency.decode_binary,
    )
    composed = composer.compose(part)
    if composed is None:
        return None
    value, line = composed
    return Document(
        value=value,
        path=path,
        line=first_line + line,
        source=part,
        first_line=first_line,
        flavour=flavour,
        warnings=tuple(composer.warnings),
        unspelled=tuple(composer.unspelled),
        quoted_times=tuple(composer.quoted_times),
    )
