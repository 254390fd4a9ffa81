"""Field paths of replacements and variables: looking up, finding all matches, creating what is missing.

A path is a tuple of steps as `fieldspecs.split_dotted` makes them: a field, a position, '-' for the last item, '*' for
every item, '[name=value]' for the items where a field (or the item itself, '[=value]') fits. What is found is a Spot: the
container and the key, so that the finder can also write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from penstock.model.values import MISSING
from penstock.render import patterns
from penstock.yamldoc import scalars

Kind = Literal["scalar", "map", "list", ""]
"""What to create where a path leads nowhere; '' creates nothing."""


class PathError(Exception):
    """The path cannot be followed in this object."""


@dataclass(slots=True)
class Spot:
    """A place in a value: container[key]."""

    container: Any
    key: Any

    @property
    def value(self) -> Any:
        return self.container[self.key]

    @value.setter
    def value(self, value: Any) -> None:
        self.container[self.key] = value


_EMPTY: Final[dict[str, Callable[[], Any]]] = {"scalar": str, "map": dict, "list": list}


def lookup(value: Any, path: Sequence[str]) -> Any:
    """The value at a path, MISSING when it is not there. Raises PathError for a step into the wrong kind of value."""
    spot = lookup_spot(value, path)
    return MISSING if spot is None else spot.value


def lookup_spot(value: Any, path: Sequence[str]) -> Spot | None:
    """The place that `lookup` reads, None when it is not there."""
    spot = Spot([value], 0)
    for step in (step.strip() for step in path):
        if not step:
            continue
        value = spot.value
        if value is None:
            return None
        position = _position(step)
        if position is not None or step == "-":
            if not isinstance(value, list):
                raise PathError(f"expected a list at '{step}'")
            index = len(value) - 1 if position is None else position
            if not 0 <= index < len(value):
                return None
            spot = Spot(value, index)
        elif step == "*":
            raise PathError("wildcard is not supported here")
        elif is_item_selector(step):
            index = _first_item(value, step)
            if index < 0:
                return None
            spot = Spot(value, index)
        else:
            if not isinstance(value, dict):
                raise PathError(f"expected a map at '{step}'")
            if step not in value:
                return None
            spot = Spot(value, step)
    return spot


def _position(step: str) -> int | None:
    return int(step) if step.isascii() and step.isdigit() else None


def is_item_selector(step: str) -> bool:
    return step.startswith("[") and step.endswith("]")


def _split_selector(step: str) -> tuple[str, str]:
    name, separator, value = step.removeprefix("[").removesuffix("]").partition("=")
    if not separator:
        raise PathError("list path element must contain fieldName=fieldValue for element to match")
    return name, value


def _first_item(value: Any, step: str) -> int:
    """The position of the item that a selector means, -1 when there is none."""
    name, wanted = _split_selector(step)
    if not isinstance(value, list):
        raise PathError(f"expected a list at '{step}'")
    for index, item in enumerate(value):
        if not name:
            if not isinstance(item, dict | list) and scalars.text_of(item) == wanted:
                return index
        elif isinstance(item, dict) and name in item and scalars.text_of(item[name]) == wanted:
            return index
    return -1


def find(spot: Spot, path: Sequence[str], create: Kind) -> list[Spot]:
    """Every place the path leads to from `spot`, creating the missing ones if asked. Raises PathError."""
    if not path:
        return [spot]
    step, rest = path[0], path[1:]
    position = _position(step)
    if position is not None:
        return _at_position(spot, position, rest, create)
    if is_item_selector(step):
        return _at_items(spot, step, rest, create)
    if step == "*":
        items = _items(spot.value, step)
        return [found for index in range(len(items)) for found in find(Spot(items, index), rest, create)]
    return _at_field(spot, step, rest, create)


def _items(value: Any, step: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise PathError(f"wrong node kind at '{step}': expected SequenceNode")
    return value


def _next_kind(rest: Sequence[str], create: Kind) -> Kind:
    if not rest:
        return create
    return "list" if is_item_selector(rest[0]) or _position(rest[0]) is not None else "map"


def _at_field(spot: Spot, step: str, rest: Sequence[str], create: Kind) -> list[Spot]:
    value = spot.value
    if value is None:
        return []
    if not isinstance(value, dict):
        raise PathError(f"wrong node kind at '{step}': expected MappingNode")
    if step not in value:
        if not create:
            return []
        value[step] = _EMPTY[_next_kind(rest, create)]()
    elif rest and value[step] is not None and not isinstance(value[step], dict | list):
        raise PathError(f"'{step}' is a scalar, the path goes on below it")
    return find(Spot(value, step), rest, create)


def _at_position(spot: Spot, position: int, rest: Sequence[str], create: Kind) -> list[Spot]:
    items = _items(spot.value, str(position))
    if position == len(items) and create:
        items.append(_EMPTY[_next_kind(rest, create)]())
    if position >= len(items):
        raise PathError(f"index {position} specified but only {len(items)} elements found")
    return find(Spot(items, position), rest, create)


def _at_items(spot: Spot, step: str, rest: Sequence[str], create: Kind) -> list[Spot]:
    name, wanted = _split_selector(step)
    items = _items(spot.value, step)
    try:
        pattern = patterns.compiled(wanted)
    except patterns.PatternError as error:
        raise PathError(f"not a regular expression in '{step}': {error}") from None
    for _attempt in range(2):
        found: list[Spot] = []
        for index, item in enumerate(items):
            if not name:
                if not isinstance(item, dict | list) and pattern.search(_printed(item)):
                    found.append(Spot(items, index))
            elif isinstance(item, dict) and name in item and pattern.search(_printed(item[name])):
                found += find(Spot(items, index), rest, create)
        if found or not create or _attempt:
            return found
        items.append({name: scalars.same_as_written(wanted)} if name else scalars.same_as_written(wanted))
    return []


def _printed(value: Any) -> str:
    """A scalar as it would be printed; quotes are part of that."""
    if isinstance(value, str):
        try:
            quoted = not isinstance(scalars.resolve(value), str)
        except scalars.NotFiniteError:
            quoted = True
        return f'"{value}"' if quoted else value.strip()
    return scalars.text_of(value)
