"""Pull request text as HTML. In: Markdown as people and Penstock write it. Out: markup in which nothing of the text is active.

A small, closed dialect: headings, paragraphs, quotes, lists, tables, fenced code, rules, `code`, **bold**, *italic*,
links to http(s), and <details><summary>. All text is escaped first; tags are only ever written by this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from markupsafe import Markup

_INLINE = re.compile(
    r"(?P<code>`[^`\n]+`)|\*\*(?P<bold>[^*\n]+)\*\*|(?<!\w)[*_](?P<italic>[^*_\n]+)[*_](?!\w)"
    r"|\[(?P<text>[^\[\]\n]{1,300})\]\((?P<link>https?://[^\s)]+)\)|(?P<bare>https?://[^\s<>)\"'`]+)"
)
_SUMMARY = re.compile(r"^<details>\s*(?:<summary>(?P<title>.*?)</summary>)?\s*(?P<rest>.*)$")
_ITEM = re.compile(r"^(?P<indent> *)(?:[-*+]|\d+[.)])\s+(?P<text>.*)$")
_DIVIDER = re.compile(r"^\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?$")
_DEPTH = 8


def render(text: str) -> Markup:
    """The text as HTML."""
    lines = text.replace("\r\n", "\n").split("\n")
    return Markup("\n".join(_blocks(lines, 0)))  # noqa: S704 - every piece below is escaped where it is made


def _blocks(lines: list[str], depth: int) -> Iterator[str]:
    position = 0
    while position < len(lines):
        line = lines[position].strip()
        if not line or (line.startswith("<!--") and line.endswith("-->")):
            position += 1  # a comment is for machines: it is nowhere on the page
        elif line.startswith("```"):
            position, html = _fence(lines, position)
            yield html
        elif line.startswith("<details>") and depth < _DEPTH:
            position, html = _details(lines, position, depth)
            yield html
        elif line.startswith(">") and depth < _DEPTH:
            position, quoted = _run(lines, position, lambda text: text.startswith(">"))
            yield f"<blockquote>{''.join(_blocks([text[1:].removeprefix(' ') for text in quoted], depth + 1))}</blockquote>"
        elif match := re.match(r"^(#{1,6})\s+(.*)$", line):
            level = min(6, len(match[1]) + 2)  # the page's own headings come first
            yield f"<h{level}>{_inline(match[2])}</h{level}>"
            position += 1
        elif re.match(r"^(-{3,}|\*{3,})$", line):
            yield "<hr>"
            position += 1
        elif "|" in line and position + 1 < len(lines) and _DIVIDER.match(lines[position + 1].strip()):
            position, rows = _run(lines, position, lambda text: "|" in text)
            yield _table(rows)
        elif _ITEM.match(lines[position]):
            position, items = _run(lines, position, lambda text: bool(_ITEM.match(text)), strip=False)
            yield f"<ul>{''.join(f'<li>{_inline(_item(text))}</li>' for text in items)}</ul>"
        else:
            position, words = _run(lines, position, _is_paragraph)
            if not words:  # a block opener too deep to open: show it as it is
                words, position = [line], position + 1
            yield f"<p>{_inline(' '.join(words))}</p>"


def _is_paragraph(text: str) -> bool:
    return bool(text) and not re.match(r"```|<details>|>|#{1,6}\s|[-*+]\s|\d+[.)]\s", text)


def _item(text: str) -> str:
    match = _ITEM.match(text)
    return match["text"] if match else text


def _run(lines: list[str], position: int, belongs: object, *, strip: bool = True) -> tuple[int, list[str]]:
    found: list[str] = []
    while position < len(lines):
        text = lines[position].strip() if strip else lines[position]
        if not text.strip() or not belongs(text):  # type: ignore[operator]
            break
        found.append(text)
        position += 1
    return position, found


def _fence(lines: list[str], position: int) -> tuple[int, str]:
    marker = re.match(r"^\s*(`{3,})", lines[position])
    fence = marker[1] if marker else "```"
    found: list[str] = []
    position += 1
    while position < len(lines) and lines[position].strip() != fence:
        found.append(lines[position])
        position += 1
    text = "\n".join(found)
    return position + 1, f"<pre><code>{escape(text)}</code></pre>"


def _details(lines: list[str], position: int, depth: int) -> tuple[int, str]:
    match = _SUMMARY.match(lines[position].strip())
    title, rest = (match["title"], match["rest"]) if match else (None, "")
    inner, level = [rest] if rest else [], 1
    position += 1
    while position < len(lines) and level:
        line = lines[position].strip()
        if title is None and (alone := re.match(r"^<summary>(.*?)</summary>$", line)):
            title = alone[1]
        else:
            level += line.startswith("<details>") - line.endswith("</details>")
            inner.append(line.removesuffix("</details>") if level == 0 else lines[position])
        position += 1
    if inner and inner[0].endswith("</details>") and rest:  # all of it stood on one line
        inner = [inner[0].removesuffix("</details>")]
    body = "".join(_blocks(inner, depth + 1))
    return position, f"<details><summary>{_inline(title or 'details')}</summary>{body}</details>"


def _table(rows: list[str]) -> str:
    def cells(row: str) -> list[str]:
        inner = row.strip().removeprefix("|").removesuffix("|")
        return [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", inner)]

    head = "".join(f"<th>{_inline(cell)}</th>" for cell in cells(rows[0]))
    body = "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in cells(row)) + "</tr>" for row in rows[2:])
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _inline(text: str) -> str:
    done, position = [], 0
    for match in _INLINE.finditer(text):
        done.append(escape(text[position : match.start()]))
        done.append(_span(match))
        position = match.end()
    done.append(escape(text[position:]))
    return "".join(done)


def _span(match: re.Match[str]) -> str:
    if match["code"]:
        return f"<code>{escape(match['code'][1:-1])}</code>"
    if match["bold"]:
        return f"<strong>{_inline(match['bold'])}</strong>"
    if match["italic"]:
        return f"<em>{_inline(match['italic'])}</em>"
    link = match["link"] or match["bare"]
    return f'<a href="{escape(link)}" rel="noopener noreferrer">{escape(match["text"] or link)}</a>'
