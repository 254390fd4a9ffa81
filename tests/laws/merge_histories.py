"""Random histories: a base, edits in the source, hand edits in the target, each written in its own style.

An independent model merges plain values. The merge must agree with it: the same result or the same conflicts, no edit
lost, and no line of the target touched that holds none of the changed fields.
"""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass, field
from typing import Any

import yaml

from penstock import merge

GONE = "<missing>"
STRINGS = [
    "a", "b", "web:1.4.0", "web:1.5.0", "yes", "no", "on", "1.10", "010", "null", "~", "", " lead", "trail ", "a: b", "x #y",
    "- a", "# c", "{}", "[1]", "it's", 'say "x"', "back\\slash", "ünï ☃", "😀", "tab\there", "12:30:45", "2024-01-01", "1e3",
    "0x1F", "*star", "&amp", "!bang", "%pct", "@at", "`tick", "true", "end:", "a,b", "x]", "--port=80", "?q", "=", "<<", "...x",
]  # fmt: skip
TEXTS = ["one\ntwo\nthree\n", "one\ntwo\n", "a\n\nb", "  indented\nless\n", "k=v\nl=w\nm=x\n", "tail\n\n\n"]


def scalar(r: random.Random) -> Any:
    return r.choice(
        [
            lambda: r.choice(STRINGS),
            lambda: r.choice(STRINGS),
            lambda: r.randrange(100),
            lambda: r.choice([True, False, None]),
            lambda: r.choice([0.5, 1.5]),
            lambda: r.choice(TEXTS),
        ]
    )()


@dataclass
class Keyed:
    """A list whose items have a name."""

    items: dict[str, dict[str, Any]] = field(default_factory=dict)


def value(r: random.Random, depth: int) -> Any:
    kind = r.random()
    if depth <= 0 or kind < 0.5:
        return scalar(r)
    if kind < 0.75:
        return mapping(r, depth - 1)
    if kind < 0.88:
        return Keyed({name: item(r, depth - 1) for name in r.sample("pqrstuvw", r.randrange(4))})
    return [scalar(r) for _ in range(r.randrange(4))]


def mapping(r: random.Random, depth: int) -> dict[str, Any]:
    keys = r.sample(["alpha", "beta", "gamma", "delta", "a.b/c", "on", "8080", "x y"], r.randrange(1, 7))
    return {key: value(r, depth) for key in keys}


def item(r: random.Random, depth: int) -> dict[str, Any]:
    found = mapping(r, depth)
    return {key: held for key, held in found.items() if not isinstance(held, dict) or held}


def edited(r: random.Random, old: Any, rate: float, depth: int = 3) -> Any:
    """A copy with random edits."""
    if isinstance(old, dict):
        new: dict[str, Any] = {}
        for key, held in old.items():
            if r.random() < rate / 3:
                continue
            new[key] = edited(r, held, rate, depth - 1)
            if r.random() < rate / 4:
                new.setdefault(r.choice(["new1", "new2", "new3", "new4"]), value(r, depth - 1))
        return new
    if isinstance(old, Keyed):
        items: dict[str, dict[str, Any]] = {}
        for name, held in old.items.items():
            if r.random() < rate / 3:
                continue
            items[name] = edited(r, held, rate, depth - 1)
            if r.random() < rate / 3:
                items.setdefault(r.choice("klmno"), item(r, depth - 2))
        return Keyed(items)
    if r.random() < rate:
        if isinstance(old, list):
            return [scalar(r) for _ in range(r.randrange(4))]
        return value(r, depth - 2) if r.random() < 0.2 else scalar(r)
    return copy.deepcopy(old)


# The model ---------------------------------------------------------------------------------------------------------


def typed(held: Any) -> Any:
    if isinstance(held, Keyed) and held.items:
        return ["keyed", [[name, typed(item)] for name, item in held.items.items()]]
    if isinstance(held, dict):
        return {key: typed(item) for key, item in held.items()}
    if isinstance(held, list | Keyed):
        return [typed(item) for item in held] if isinstance(held, list) else []
    return [type(held).__name__, held]


def plain(held: Any) -> Any:
    if isinstance(held, Keyed):
        return [{"name": name, **plain(item)} for name, item in held.items.items()]
    if isinstance(held, dict):
        return {key: plain(item) for key, item in held.items()}
    if isinstance(held, list):
        return [plain(item) for item in held]
    return held


def equal(one: Any, other: Any) -> bool:
    return typed(one) == typed(other)


def modelled(b: Any, s: Any, t: Any, path: str, conflicts: set[str]) -> Any:
    if equal(s, t):
        return t
    if equal(b, s):
        return t
    if isinstance(s, dict) and isinstance(t, dict) and (b is None or b == GONE or isinstance(b, dict)):
        return modelled_mapping(b if isinstance(b, dict) else {}, s, t, path, conflicts)
    b_items, s_items, t_items = (items_of(side) for side in (b, s, t))
    if s_items is not None and t_items is not None and (s_items or t_items) and (b is None or b == GONE or b_items is not None):
        return Keyed(modelled_mapping(b_items or {}, s_items, t_items, path, conflicts, keyed=True))
    if equal(b, t):
        return s
    conflicts.add(path)
    return t


def items_of(held: Any) -> dict[str, Any] | None:
    """The items of a keyed list; an empty list is one too."""
    return held.items if isinstance(held, Keyed) else {} if held == [] else None


def modelled_mapping(
    b: dict[str, Any], s: dict[str, Any], t: dict[str, Any], path: str, conflicts: set[str], *, keyed: bool = False
) -> Any:
    result: dict[str, Any] = {}
    for key in dict.fromkeys((*t, *s, *b)):
        below = f"{path}[name={key}]" if keyed else f"{path}.{key}" if path else key
        merged = modelled(b.get(key, GONE), s.get(key, GONE), t.get(key, GONE), below, conflicts)
        if merged != GONE or not isinstance(merged, str):
            result[key] = merged
    return result


# The writer --------------------------------------------------------------------------------------------------------


class Style:
    """One way of writing YAML."""

    def __init__(self, r: random.Random, tag: str) -> None:
        self.r = r
        self.tag = tag
        self.step = r.choice([2, 2, 4, 3])
        self.offset = r.choice([0, 0, 2, self.step])
        self.comments = r.choice([0, 0.3, 0.6])
        self.flow = r.choice([0, 0, 0.2])
        self.blank = r.choice([0, 0, 0.15])
        self.count = 0

    def comment(self) -> str:
        self.count += 1
        return f"# {self.tag}{self.count}"

    def document(self, held: dict[str, Any]) -> str:
        if not held:
            return "{}\n"
        lines = self.mapping(held, 0)
        if self.r.random() < 0.3:
            lines.insert(0, self.comment())
        return "\n".join(lines) + "\n"

    def trailing(self) -> str:
        return f"  {self.comment()}" if self.r.random() < self.comments else ""

    def above(self, indent: int) -> list[str]:
        made = []
        if self.r.random() < self.blank:
            made.append("")
        if self.r.random() < self.comments / 2:
            made.append(" " * indent + self.comment())
        return made

    def mapping(self, held: dict[str, Any], indent: int) -> list[str]:
        lines: list[str] = []
        for key, inner in held.items():
            if lines:
                lines += self.above(indent) if lines[-1] and not lines[-1].endswith("\n") else []
            lines += self.entry(self.scalar(key, indent, key=True), inner, indent)
        return lines

    def entry(self, key: str, inner: Any, indent: int) -> list[str]:
        pad = " " * indent
        if isinstance(inner, dict | list | Keyed) and (not plain(inner) or self.r.random() < self.flow):
            return [f"{pad}{key}: {self.inline(inner)}{self.trailing()}"]
        if isinstance(inner, dict):
            return [f"{pad}{key}:{self.trailing()}", *self.mapping(inner, indent + self.step)]
        if isinstance(inner, Keyed):
            return [f"{pad}{key}:{self.trailing()}", *self.items(inner, indent + self.offset)]
        if isinstance(inner, list):
            inside = indent + self.offset
            lines = [f"{pad}{key}:{self.trailing()}"]
            for each in inner:
                text = self.scalar(each, inside)
                lines += [f"{' ' * inside}- {text}" + ("" if "\n" in text else self.trailing())]
            return lines
        text = self.scalar(inner, indent)
        return [f"{pad}{key}: {text}" + ("" if "\n" in text else self.trailing())]

    def items(self, held: Keyed, indent: int) -> list[str]:
        lines: list[str] = []
        for name, inner in held.items.items():
            if lines:
                lines += self.above(indent) if lines[-1] and not lines[-1].endswith("\n") else []
            block = self.mapping({"name": name, **inner}, indent + 2)
            lines += [" " * indent + "- " + block[0][indent + 2 :], *block[1:]]
        return lines

    def scalar(self, held: Any, indent: int, *, key: bool = False, flow: bool = False) -> str:
        if not isinstance(held, str):
            return "null" if held is None else json.dumps(held)
        if (
            held
            and "\n" in held
            and not key
            and not flow
            and not held.startswith(" ")
            and held.strip("\n")
            and self.r.random() < 0.8
        ):
            body = held.rstrip("\n")
            ends = len(held) - len(body)
            sign = "-" if not ends else "" if ends == 1 else "+"
            inside = " " * (indent + self.step)
            lines = [inside + line if line else "" for line in body.split("\n")] + [""] * (ends - 1 if ends > 1 else 0)
            return "\n".join([f"|{sign}", *lines])
        safe = (
            held in ("a", "b", "one", "alpha", "beta", "gamma", "delta", "name")
            or held.startswith(("web:", "new", "a.b"))
            or (len(held) == 1 and held in "pqrstuvwklmo")
        )
        style = self.r.choice(["", "", "'", '"']) if safe else self.r.choice(["'", '"'])
        if style == "'" and ("\n" in held or "\t" in held):
            style = '"'
        if style == "":
            return held
        return "'" + held.replace("'", "''") + "'" if style == "'" else json.dumps(held, ensure_ascii=False)

    def inline(self, held: Any) -> str:
        if isinstance(held, Keyed):
            return "[" + ", ".join(self.inline({"name": name, **inner}) for name, inner in held.items.items()) + "]"
        if isinstance(held, dict):
            return (
                "{"
                + ", ".join(f"{self.scalar(key, 0, key=True, flow=True)}: {self.inline(inner)}" for key, inner in held.items())
                + "}"
            )
        if isinstance(held, list):
            return "[" + ", ".join(self.inline(each) for each in held) + "]"
        return self.scalar(held, 0, flow=True)


def markers(text: str) -> list[str]:
    """The comments of a text, in order."""
    return [word for line in text.split("\n") for word in [line.rpartition("# t")[2]] if "# t" in line and word.isdigit()]


def history(seed: int) -> tuple[Any, Any, Any, str, str, str]:
    r = random.Random(seed)
    base = mapping(r, 3)
    rate = r.choice([0.08, 0.15, 0.4])
    source, target = edited(r, base, rate), edited(r, base, rate)
    style = Style(r, "b")
    base_text = style.document(base)
    return base, source, target, base_text, Style(r, "s").document(source), Style(r, "t").document(target)


def run(seed: int) -> str:
    """Check one history; returns what came of it."""
    base, source, target, base_text, source_text, target_text = history(seed)
    expected_conflicts: set[str] = set()
    expected = modelled(base, source, target, "", expected_conflicts)
    merged = merge.three_way(base_text.encode(), source_text.encode(), target_text.encode(), path="values.yaml")
    found = {str(conflict) for conflict in merged.conflicts if conflict.kind not in ("order",)}
    shown = f"seed {seed}\n--- base\n{base_text}--- source\n{source_text}--- target\n{target_text}"
    # Texts of several lines that both changed may merge by line, where the model sees one value.
    by_line = {path for path in expected_conflicts - found if "\n" in str(at(target, path))}
    assert found == expected_conflicts - by_line, f"{found} != {expected_conflicts}\n{shown}"
    if merged.conflicts:
        assert merged.result == target_text.encode()
        return "conflict"
    assert merged.result is not None
    result = merged.result.decode()
    shown += f"--- result\n{result}"
    if not by_line:
        try:
            loaded = yaml.safe_load(result)
        except yaml.YAMLError as error:
            raise AssertionError(f"{error}\n{shown}") from None
        wanted = plain(expected)
        assert unordered(loaded) == unordered(wanted), f"{loaded}\n{wanted}\n{shown}"
    if base_text == target_text:
        assert result == source_text, shown
    elif equal(expected, target):
        assert result == target_text, shown
        return "unchanged"
    if base_text == target_text:
        return "merged"
    changed = {str(change) for change in merged.changes}
    check_lines(target_text, result, changed, shown)
    return "merged"


def at(held: Any, path: str) -> Any:
    for part in path.replace("[name=", ".").replace("]", "").replace("a.b/c", "a\0b/c").split("."):
        part = part.replace("\0", ".")
        held = held.items.get(part, {}) if isinstance(held, Keyed) else held.get(part, {}) if isinstance(held, dict) else {}
    return held


def unordered(held: Any) -> Any:
    if isinstance(held, list) and held and all(isinstance(each, dict) and "name" in each for each in held):
        return {"keyed": sorted((str(each["name"]), json.dumps(unordered(each), sort_keys=True)) for each in held)}
    if isinstance(held, dict):
        return {str(key): unordered(each) for key, each in held.items()}
    if isinstance(held, list):
        return [unordered(each) for each in held]
    return [type(held).__name__, held]


def check_lines(before: str, after: str, changed: set[str], shown: str) -> None:
    """Every line of the target that holds no changed field is there, in its order."""
    if before.endswith("{}\n"):
        return
    doc = yaml.compose(before, Loader=yaml.SafeLoader)
    touched: set[int] = set()

    def walk(node: Any, path: str, key_line: int) -> None:
        if path in changed:
            touched.update(range(key_line, node.end_mark.line + 1))
            return
        if isinstance(node, yaml.MappingNode):
            for key, inner in node.value:
                walk(inner, f"{path}.{key.value}" if path else key.value, key.start_mark.line)
                prefix = f"{path}.{key.value}" if path else key.value
                if any(name.startswith(prefix) for name in changed) and (
                    node.flow_style or getattr(inner, "flow_style", False) or not inner.value
                ):
                    touched.update(range(key.start_mark.line, inner.end_mark.line + 1))
        elif isinstance(node, yaml.SequenceNode):
            for number, each in enumerate(node.value):
                names = (
                    [inner.value for key, inner in each.value if key.value == "name"]
                    if isinstance(each, yaml.MappingNode)
                    else []
                )
                walk(each, f"{path}[name={names[0]}]" if names else f"{path}[{number}]", each.start_mark.line)

    walk(doc, "", 0)
    if any(not name.partition(".")[0].partition("[")[0] for name in changed):
        return
    lines = before.split("\n")
    left = iter(after.split("\n"))
    emptied = 0
    for number, line in enumerate(lines):
        if number in touched or not line.strip():
            continue
        if line.lstrip().startswith("#"):
            if line not in after.split("\n"):
                emptied += 1
            continue
        if line.rstrip().endswith(":") or ":  #" in line:
            continue  # a header whose collection may have become empty, checked by value
        assert any(line == other for other in left), f"line {number + 1} was touched: {line!r}, changed {changed}\n{shown}"
