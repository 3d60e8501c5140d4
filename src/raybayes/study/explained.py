"""What is wrong in a study, in one sentence."""

import reprlib
from collections.abc import Mapping
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

NO_TABLE = ("model_type", "model_attributes_type", "dict_type", "union_tag_not_found")
TABLE = "Input should be a table of keys"
SHORT = reprlib.Repr()  # of what a file holds, which may be long or deep
SHORT.maxstring = SHORT.maxother = 100


def _meant(key: str) -> str:
    """The key that a person may have meant."""
    waiting: list[type[BaseModel]] = [BaseModel]
    known: set[str] = set()
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        if model.__module__.startswith("raybayes."):
            known.update(model.model_fields)
    close = get_close_matches(key, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def explained(error: ValidationError) -> str:
    """The first of what is wrong, with its key."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    wanted = first["msg"]
    if first["type"] in NO_TABLE and not isinstance(first["input"], Mapping):
        wanted = TABLE
    if first["type"] == "extra_forbidden":
        wanted = f"There is no such key{_meant(str(first['loc'][-1]))}"
    if first["type"] == "union_tag_invalid":
        wanted = f"Its kind should be one of {first['ctx']['expected_tags']}"
    if not key:  # of several keys together
        return f"{wanted.removeprefix('Value error, ')}{more}"
    return f"key {key!r}: {wanted}, found {SHORT.repr(first['input'])}{more}"
