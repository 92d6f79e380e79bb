"""What may stand in a record of an exported memory: each value by itself; `memory.importing` knows what it is part of.

Pure. A file may come from anywhere: what no memory writes is refused here, so that nobody who reads the memory has to
think of it.
"""

import base64
import math
from typing import Any, TypeGuard, get_args

from memory.exchange import FACT_TURNS, Column
from memory.messages import FactSource
from memory.relations import RELATIONS, is_day
from memory.times import is_on_calendar
from memory.words import storable

_MOST_WHOLE = 2**53
"""Of numbers: what every reader of JSON can hold, and far from where SQLite has no next one to give."""


class RecordError(ValueError):
    """A record that does not fit; the message says which and why, in one line and without its words."""


def plain_value(column: Column, value: object) -> Any:
    """The value as the database wants it, if it refers to nothing else in the file. Raises RecordError."""
    if value is None and column.optional:
        return None
    match column.kind, value:
        case "text", str():
            return storable(value)
        case "relation", str() if value in RELATIONS:
            return value
        case "time", int() | float() if not isinstance(value, bool) and is_on_calendar(value):
            return float(value)
        case "number", int() | float() if not isinstance(value, bool) and abs(value) < math.inf:
            return _as_float(column, value)
        case "flag", bool():
            return value
        case "bytes", str():
            return _decoded(column, value)
        case "id" | "conversation" | "fact", _ if is_number_of_record(value):
            return value
        case "whole" | "mark", int() if not isinstance(value, bool) and 0 <= value <= _MOST_WHOLE:
            return value
    raise RecordError(f"{column.name!r} is missing or not what it must be")


def is_number_of_record(value: object) -> TypeGuard[int]:
    """Whether a turn, a conversation or a fact can have this number."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_WHOLE


def check_fact(values: dict[str, Any]) -> None:
    """That a fact can be said. Raises RecordError."""
    if not values["subject"].strip() or not values["object"].strip():
        raise RecordError("'subject' or 'object' is blank")
    if values["day"] is not None and not is_day(values["day"]):
        raise RecordError("'day' is no MM-DD or YYYY-MM-DD")
    if values["source"] not in get_args(FactSource):
        raise RecordError("'source' is none that facts have")


def cited_turns(record: dict[str, Any]) -> list[Any]:
    """The turns that a fact cites, not looked at yet. Raises RecordError."""
    value = record.get(FACT_TURNS)
    if not isinstance(value, list):
        raise RecordError(f"{FACT_TURNS!r} is missing or not what it must be")
    return value


def _as_float(column: Column, value: float) -> float:
    try:
        return float(value)
    except OverflowError as error:  # a whole number of 400 digits
        raise RecordError(f"{column.name!r} is larger than any number a memory has") from error


def _decoded(column: Column, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as error:  # binascii.Error is one; a letter beyond ASCII gives the plain one
        raise RecordError(f"{column.name!r} is no base64") from error
