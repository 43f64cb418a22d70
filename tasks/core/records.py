"""Results as JSON: frozen dataclasses to plain values and back, so that a file's keys are written down once."""

from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def as_json(record: Any) -> Any:
    """What JSON is to hold of a dataclass: its fields, or what its method ``as_json`` returns where it has one.

    A field that is None, and whose default that is, is left out. Fields that are dataclasses stay as they are.

    Raises:
        TypeError: ``record`` is no dataclass.
    """
    if hasattr(record, "as_json"):
        return record.as_json()
    if not is_dataclass(record):
        raise TypeError(f"{type(record).__name__} has no form in JSON")
    values = {field.name: (getattr(record, field.name), field.default) for field in fields(record)}
    return {name: value for name, (value, default) in values.items() if value is not None or default is not None}


def from_json(kind: type[T], value: dict[str, Any]) -> T:
    """The dataclass ``kind`` from what `as_json` made of it and a file gave back; other keys of the file are passed over.

    Raises:
        KeyError: a field without a default is not there.
    """
    hints = get_type_hints(kind)
    made = {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in value or (field.default is MISSING and field.default_factory is MISSING):
            made[field.name] = _typed(hints[field.name], value[field.name])
    return kind(**made)


def _typed(hint: Any, value: Any) -> Any:
    """``value`` as a field of type ``hint``: dataclasses, and lists, tuples and dicts of them."""
    origin, arguments = get_origin(hint), get_args(hint)
    if value is None:
        return None
    if origin in (UnionType, Union):  # of what may be None
        return _typed(next(a for a in arguments if a is not type(None)), value)
    if is_dataclass(hint):
        return from_json(hint, value)  # type: ignore[arg-type]
    if origin is dict:
        return {key: _typed(arguments[1], one) for key, one in value.items()}
    if origin in (list, tuple):
        return origin(_typed(arguments[0], one) for one in value)
    return value
