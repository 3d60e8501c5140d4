"""RML files with a value, a parameter, a line or some letters changed."""

import re

from beamlines import ELEMENTS, SOURCES, emitting, small
from studies import UE112

from raybayes.beamline.rml import write_rml
from raybayes.beamline.schema import OBJECTS

VALUES = (
    "0", "1", "2", "3", "-1", "0.5", "1e-300", "1e300", "-1e300", "1e17", "90", "180", "1e400",
    "nan", "inf", "", "abc", "1.5", "-0", "99999999999999999999", "0x10", "1_0", "١",
)  # fmt: skip
NUMBER = re.compile(r">(-?[0-9][0-9.eE+-]*)<")


def texts(tmp_path):
    """A file with each type of source and element, and the shipped beamline."""
    beamlines = [small(type_) for type_ in ELEMENTS] + [emitting(type_) for type_ in SOURCES]
    found = [UE112.read_text()]
    for i, beamline in enumerate(beamlines):
        write_rml(beamline, tmp_path / f"{i}.rml")
        found.append((tmp_path / f"{i}.rml").read_text())
    return found


def a_value(text, rng):
    """One number or choice becomes another."""
    place = rng.choice(list(NUMBER.finditer(text)))
    new = rng.choice(VALUES)
    if rng.random() < 0.4:
        new = repr(float(place[1]) * rng.choice((-1, 0.1, 0.9, 1.1, 10, 1e3, 1e6)))
    return text[: place.start(1)] + new + text[place.end(1) :]


def a_parameter(text, rng):
    """A parameter becomes another one that some object knows."""
    ids = list(re.finditer(r'id="(\w+)"', text))
    place = rng.choice(ids)
    new = rng.choice([id_ for known in OBJECTS.values() for id_ in known])
    return text[: place.start(1)] + new + text[place.end(1) :]


def a_type(text, rng):
    place = rng.choice(list(re.finditer(r'type="([^"]+)"', text)))
    return text[: place.start(1)] + rng.choice(list(OBJECTS)) + text[place.end(1) :]


def a_line(text, rng):
    """A line is lost, doubled, or changes places with another."""
    lines = text.splitlines()
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    change = rng.randrange(3)
    if change == 0:
        del lines[i]
    elif change == 1:
        lines.insert(j, lines[i])
    else:
        lines[i], lines[j] = lines[j], lines[i]
    return "\n".join(lines)


def a_flag(text, rng):
    place = rng.choice(list(re.finditer(r'enabled="([TF])"', text)))
    return (
        text[: place.start()]
        + rng.choice(('enabled="F"', 'auto="T"', 'auto="F"', ""))
        + (text[place.end() :])
    )


def bytes_(text, rng):
    """Some characters are lost or replaced."""
    i = rng.randrange(len(text))
    return (
        text[:i] + rng.choice(("", "<", "&", "\0", "é", '"', "]]>")) + text[i + rng.randrange(9) :]
    )


MUTATIONS = (a_value, a_value, a_value, a_value, a_parameter, a_type, a_line, a_flag, bytes_)
