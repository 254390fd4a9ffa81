"""The words of a message in the dialect of its reader. In: a message, secrets to mask. Out: text, or a body as JSON.

Commit subjects, names, reasons and error messages are anybody's words: in no dialect may they mention, link, format or break
out. Slack and Teams get them as plain text elements; chat systems that only take one text get them defused; Markdown gets
code spans; a webhook gets them as JSON strings.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from penstock.notify.facts import Message

_LIMIT = 500
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MARKS = {"info": "🔵", "warning": "🟠", "error": "🔴"}
_STYLES = {"info": "accent", "warning": "warning", "error": "attention"}
_DEFUSED = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")", "`": "ˋ", "@": "@\u200b", "|": "¦", "*": "∗", "_": "_\u200b"})


def clean(text: str, masked: Iterable[str] = (), limit: int = _LIMIT) -> str:
    """One line without control and direction characters and without any of the secrets."""
    for secret in sorted((one for one in masked if len(one) >= 4), key=len, reverse=True):
        text = text.replace(secret, "***")
    kept = (" " if char.isspace() else char for char in text if char.isspace() or not _hidden(char))
    line = " ".join("".join(kept).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _hidden(char: str) -> bool:
    return char in _BIDI or unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn")


def headline(message: Message, masked: Iterable[str] = ()) -> str:
    """The sentence with what it quotes, as plain text."""
    return message.headline.format(*(clean(one, masked, 120) for one in message.quoted))


def subject(message: Message, masked: Iterable[str] = ()) -> str:
    """A title: '[fleet] web from dev to staging is proposed'."""
    return f"[{clean(message.fleet, masked, 80)}] {headline(message, masked)}"


def _details(message: Message, masked: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [(name, clean(text, masked)) for name, text in message.details]
    if message.commit:
        pairs.append(("commit", clean(message.commit, masked, 64)))
    if message.pull:
        pairs.append(("pull request", f"#{message.pull}"))
    return pairs


def plain(message: Message, masked: Sequence[str] = ()) -> str:
    """For e-mail: a few lines; mail readers show a plain text as it is."""
    lines = [headline(message, masked), ""]
    lines += [f"{name}: {text}" for name, text in _details(message, masked)]
    if message.url:
        lines.append(message.url)
    return "\n".join(lines).rstrip() + "\n"


def defused(message: Message, masked: Sequence[str] = ()) -> str:
    """For chat systems behind one text field, whatever markup they know: no character of anybody's words can begin any."""
    words = [defuse(headline(message, masked))] + [f"{name}: {defuse(text)}" for name, text in _details(message, masked)]
    return "\n".join([*words, message.url]).rstrip()


def defuse(text: str) -> str:
    """Text in which nothing is a mention, a link or a format."""
    return text.translate(_DEFUSED).replace("://", ":\u200b//")


def slack(message: Message, masked: Sequence[str] = ()) -> dict[str, Any]:
    """An incoming webhook's body: plain_text elements only, in which Slack interprets nothing."""
    title = f"{_MARKS[message.severity]} {subject(message, masked)}"
    blocks: list[dict[str, Any]] = [{"type": "section", "text": _plain_text(title)}]
    if details := _details(message, masked):
        texts = [_plain_text(f"{name}: {text}") for name, text in details]
        blocks.append({"type": "context", "elements": texts[:10]})
    if message.url:
        button = {"type": "button", "text": _plain_text(f"Open #{message.pull}" if message.pull else "Open"), "url": message.url}
        blocks.append({"type": "actions", "elements": [button]})
    return {"text": _slack_escaped(title), "blocks": blocks, "link_names": False, "unfurl_links": False, "unfurl_media": False}


def _plain_text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text[:2900], "emoji": False}


def _slack_escaped(text: str) -> str:
    """The fallback of notifications is read as mrkdwn: its three control characters as entities, no format of it."""
    return defuse(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def teams(message: Message, masked: Sequence[str] = ()) -> dict[str, Any]:
    """A workflow's body: an adaptive card. Its text blocks know some Markdown, so anybody's words are RichTextBlocks."""
    runs = [{"type": "TextRun", "text": subject(message, masked), "weight": "bolder"}]
    body: list[dict[str, Any]] = [
        {"type": "Container", "style": _STYLES[message.severity], "items": [{"type": "RichTextBlock", "inlines": runs}]}
    ]
    for name, text in _details(message, masked):
        inlines = [{"type": "TextRun", "text": f"{name}: ", "isSubtle": True}, {"type": "TextRun", "text": text}]
        body.append({"type": "RichTextBlock", "inlines": inlines})
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if message.url:
        card["actions"] = [
            {"type": "Action.OpenUrl", "title": f"Open #{message.pull}" if message.pull else "Open", "url": message.url}
        ]
    return {"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]}


def webhook(message: Message, masked: Sequence[str] = ()) -> dict[str, Any]:
    """The body of the generic webhook; its fields are listed in the docs and stay."""
    return {
        "event": message.event,
        "severity": message.severity,
        "id": message.key,
        "fleet": clean(message.fleet, masked),
        "environment": clean(message.environment, masked) or None,
        "app": clean(message.unit, masked) or None,
        "text": headline(message, masked),
        "details": dict(_details(message, masked)),
        "commit": message.commit or None,
        "pull": message.pull or None,
        "url": message.url or None,
    }


def markdown(message: Message, masked: Sequence[str] = ()) -> str:
    """For a comment on a forge: anybody's words in code spans, where nothing is markup or a mention."""
    words = message.headline.format(*(_code(clean(one, masked, 120)) for one in message.quoted))
    lines = [f"**{words[:1].upper()}{words[1:]}.**", ""]
    lines += [f"- {name}: {_code(text)}" for name, text in _details(message, masked) if name != "pull request"]
    return "\n".join(lines).rstrip() + "\n"


def _code(text: str) -> str:
    return f"`{text.replace('`', 'ˋ')}`" if text else "`''`"
