"""TRUST.md lists every field of a certificate, with what it is: each is changed in each golden certificate."""

import copy
import dataclasses
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shiftproof_kernel
from proofs import certificates
from shiftproof_kernel import Checked, Refusal, check
from shiftproof_kernel.program import digest

PAGE = (Path(shiftproof_kernel.__file__).parent / "TRUST.md").read_text("utf-8")
LISTED = dict(re.findall(r"^\| `([a-z_0-9.]+)`[^|]*\| (\w+)[^|]*\|", PAGE, re.MULTILINE))
MOST = 3
"""So many places of one field are changed in one file."""
TWINS = ("equivariance invariance", "any same", "torus scene", "all these", "map combine")
OTHER = dict(pair.split()[::way] for pair in TWINS for way in (1, -1))
Place = tuple[str | int, ...]


def leaves(data: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """What is no object, and no list of objects or lists."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from leaves(value, (*place, key))
    elif isinstance(data, list) and any(isinstance(value, dict | list) for value in data):
        for number, value in enumerate(data):
            yield from leaves(value, (*place, number))
    else:
        yield place, data


def field(place: Place) -> str:
    """The name under which a place is listed."""
    keys = [key for key in place if isinstance(key, str)]
    names = [".".join(keys[:n]) for n in range(len(keys), 0, -1)]
    return "kind" if keys[-1] == "kind" else next((n for n in names if n in LISTED), names[0])


def changes(value: Any) -> Iterator[Any]:
    """Other values of the kind that could stand there."""
    match value:
        case bool():
            yield not value
        case int():
            yield from (value + 1, value - 1)
        case str():
            yield from (OTHER.get(value, value + "x"), "0" * 64)
        case list():
            yield from (
                [*value, 0],
                value[:-1] if value else [1],
                [n + 1 for n in value if n != []],
            )
        case None:
            yield from (1, [], [1])


def put(data: Any, place: Place, value: Any) -> Any:
    """The certificate with another value at a place, and with right digests."""
    changed = copy.deepcopy(data)
    where = changed
    for key in place[:-1]:
        where = where[key]
    where[place[-1]] = value
    if place[0] == "program":
        changed["program_sha256"] = digest(changed["program"])
    if place != ("sha256",):
        changed["sha256"] = digest({k: v for k, v in changed.items() if k != "sha256"})
    return changed


def outcome(claimed: Checked, changed: Any) -> str:
    """What comes of a changed file."""
    try:
        checked = check(changed)
    except Refusal:
        return "refused"
    if checked.program_sha256 != claimed.program_sha256:
        without = dataclasses.replace(checked, program_sha256=claimed.program_sha256)
        return "another program" if without == claimed else "about another program"
    named = dataclasses.replace(checked, output=claimed.output)
    return "the same" if named == claimed else "another statement"


ALLOWED = {
    "recomputed": {"refused"},
    "question": {"refused", "another statement"},
    "believed": {"refused", "another program", "about another program"},
    "label": {"the same"},
}


@pytest.mark.slow
@pytest.mark.parametrize("path", certificates.files(), ids=lambda path: path.name)
def test_each_field_is_what_the_page_says(path: Path) -> None:
    data = json.loads(path.read_text("utf-8"))
    claimed, chance = check(data), random.Random(path.name)
    places: dict[str, list[tuple[Place, Any]]] = {}
    for place, value in leaves(data):
        places.setdefault(field(place), []).append((place, value))
    assert set(places) == set(LISTED), "a field is not listed, or not there"
    for name, found in places.items():
        for place, value in chance.sample(found, min(MOST, len(found))):
            for other in changes(value):
                if other == value:
                    continue
                allowed = ALLOWED[LISTED[name]]
                if name == "generators.choices":
                    allowed = allowed | {"the same"}
                if name == "program.nodes.source":
                    allowed = {"another program"}
                if name == "kind":
                    allowed = allowed | ALLOWED["believed"]
                assert outcome(claimed, put(data, place, other)) in allowed, (place, value, other)
