"""What a person wrote as frozen dataclasses: checked by pydantic, its mistakes told by the keys they wrote.

pydantic is imported only where that happens, so that a machine without it can build the dataclasses.
"""

import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, dataclass_transform, get_args, get_origin, get_type_hints

from tasks.core.errors import DeepmineError, nearest

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, TypeAdapter
    from pydantic_core import CoreSchema, ErrorDetails

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """A frozen, keyword-only dataclass."""
    return dataclass(frozen=True, kw_only=True)(kind)


@dataclass(frozen=True)
class Between:
    """Inclusive bounds of a number, for `Annotated[int, Between(1)]`."""

    low: float
    high: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        schema: dict[str, Any] = dict(handler(source))
        number = int if schema["type"] == "int" else float
        schema["ge"] = number(self.low)
        if self.high is not None:
            schema["le"] = number(self.high)
        return schema


@dataclass(frozen=True)
class ByName:
    """Marks a union of dataclasses told apart by their field `name`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        choices = {tag: handler.generate_schema(kind) for kind in get_args(source) for tag in _tags(kind)}
        return {"type": "tagged-union", "choices": choices, "discriminator": "name"}


def parse(kind: type[T], value: Any, where: str) -> T:
    """``value`` (plain YAML or JSON) as the dataclass ``kind``; ``where`` stands before the key in errors.

    Raises:
        DeepmineError: a key is unknown, of a wrong type or an impossible value: one line for each, with its key.
    """
    from pydantic import ValidationError

    try:
        # mypy takes the `__hash__` of the instances for the class's
        made: T = _adapter(kind).validate_json(json.dumps(value, default=str))  # type: ignore[arg-type]
    except ValidationError as error:
        raise DeepmineError(_explain(kind, error.errors(), where)) from None
    return made


def plain(config: Any) -> dict[str, Any]:
    """A configuration object as JSON values, the inverse of `parse`."""
    result: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return result


@cache  # it takes longer to make than to use, and every dataset is of one kind
def _adapter(kind: type) -> "TypeAdapter[Any]":
    from pydantic import ConfigDict, TypeAdapter

    # strict JSON: "3" is no number and true no integer, but a list may be a tuple and 1 a float
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    for part in _dataclasses(kind):
        part.__pydantic_config__ = config  # type: ignore[attr-defined]
    return TypeAdapter(kind)


def _dataclasses(kind: type) -> list[type]:
    """``kind`` and every dataclass its fields reach."""
    found: list[Any] = [kind]
    for owner in found:
        for hint in get_type_hints(owner).values():
            found += [part for part in _members(hint) if is_dataclass(part) and part not in found]
    return found


def _members(hint: Any) -> list[Any]:
    """The plain types inside `Annotated`, unions, tuples and dicts."""
    return [part for inner in get_args(hint) for part in _members(inner)] or [hint]


def _explain(kind: type, errors: "list[ErrorDetails]", where: str) -> str:
    """Pydantic's errors as `file: key: what is wrong`, one line a key."""
    lines: dict[str, dict[str, str]] = {}  # by key: what is wrong, and the value where it says more
    for error in errors:
        keys, owner = _locate(kind, error["loc"])
        message, value = error["msg"].removeprefix("Value error, ").removeprefix("Input "), ""
        if error["type"] == "unexpected_keyword_argument":
            message = f"unknown key.{nearest(keys[-1], [f.name for f in fields(owner)])}"
        elif error["type"] == "union_tag_invalid":
            context = error["ctx"]
            choices = context["expected_tags"].replace("'", "").split(", ")
            keys, message = [*keys, "name"], f"unknown name '{context['tag']}'.{nearest(context['tag'], choices)}"
        elif error["type"] in ("missing", "missing_argument"):
            message = "this key is required"
        elif error["type"] != "value_error":
            value = f", but it is {error['input']!r}"
        lines.setdefault(".".join([where, *keys]), {})[message] = value
    return "\n".join(f"{key}: {' or '.join(found)}{max(found.values())}" for key, found in lines.items())


def _locate(kind: type, loc: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """The keys a person wrote among the parts of pydantic's location, and the dataclass that holds the last."""
    keys: list[str] = []
    owner: Any = kind
    hint: Any = kind
    for part in loc:
        if (
            get_origin(hint) in (UnionType, Union)
            and len(own := [a for a in get_args(hint) if a is not type(None)]) == 1
        ):
            hint = own[0]  # of what may be null pydantic names no member
        tagged = {tag: m for m in _members(hint) if is_dataclass(m) for tag in _tags(m)}
        if part in tagged and len(tagged) > 1:
            hint = owner = tagged[str(part)]
            continue
        if not is_dataclass(hint) and get_origin(hint) in (UnionType, Union):
            continue  # pydantic names the member of a union of plain types here
        keys.append(str(part))
        owner = hint if is_dataclass(hint) else owner
        hint = get_type_hints(owner, include_extras=False).get(str(part), hint) if is_dataclass(hint) else _inner(hint)
    return keys, owner


def _inner(hint: Any) -> Any:
    arguments = [a for a in get_args(hint) if a is not Ellipsis]
    return arguments[-1] if arguments else hint


def _tags(kind: Any) -> tuple[str, ...]:
    return get_args(get_type_hints(kind).get("name", str))
