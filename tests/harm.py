"""What befalls files: bytes that change, are lost or come twice; values of another type."""

import copy
import math

WORDS = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[2J", b"\r\n", b'"', b"'", b"\\", b"<", b"&", b"]]>",
    b"<!--", b"-->", b"{", b"}", b"[", b"]", b"=", b",", b":", b"nan", b"1e999", b"-1", b"null",
    b"99999999999999999999", b"\xe2\x80\xae", b"true", b"\n\n", b" ",
)  # fmt: skip
OPEN = (b"[", b"{", b'{"a":', b"<a>", b'<group name="g">', b"a.", b"(", b"a={a=", b"[[")
VALUES = (
    None, True, False, 0, -1, 1.5, 10**30, 1e308, math.nan, math.inf, "", "x", "x" * 5000,
    "\x1b[31m\u202e", "a\0b", "1", [], [None], [[]], {}, {"a": {}}, [[1], [2, 3]], {"kind": "no"},
    {"kind": []}, "../../etc/passwd", "/dev/zero",
)  # fmt: skip


def _stretch(data, rng, longest=200):
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randint(1, longest))


def flip(data, rng):
    if not data:
        return data
    i = rng.randrange(len(data))
    return data[:i] + bytes([data[i] ^ 1 << rng.randrange(8)]) + data[i + 1 :]


def cut(data, rng):
    return data[: rng.randrange(len(data) + 1)]


def lose(data, rng):
    start, end = _stretch(data, rng)
    return data[:start] + data[end:]


def blank(data, rng):
    """As a disk does with a block that was never written."""
    start, end = _stretch(data, rng, 4096)
    return data[:start] + bytes(end - start) + data[end:]


def double(data, rng):
    start, end = _stretch(data, rng)
    return data[:end] + data[start:]


def insert(data, rng):
    i = rng.randrange(len(data) + 1)
    return data[:i] + rng.choice((*WORDS, rng.randbytes(rng.randint(1, 30)))) + data[i:]


def nest(data, rng):
    i = rng.randrange(len(data) + 1)
    return data[:i] + rng.choice(OPEN) * rng.choice((3, 90, 2000, 100_000)) + data[i:]


BYTES = (flip, flip, cut, lose, blank, double, insert, insert, nest)


def harmed(data, rng):
    """With one to three of these done to it."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.choice(BYTES)(data, rng)
    return data


def _places(tree):
    """(table or list, key) of each value in a tree of JSON."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def swapped(tree, rng):
    """A tree of JSON with a value of another type, one left out, or one too many."""
    tree = copy.deepcopy(tree)
    places = list(_places(tree))
    if not places:
        return rng.choice(VALUES)
    inside, key = rng.choice(places)
    change = rng.random()
    if change < 0.7:
        inside[key] = rng.choice(VALUES)
    elif change < 0.85:
        del inside[key]
    elif isinstance(inside, dict):
        inside["more"] = rng.choice(VALUES)
    else:
        inside.append(rng.choice(VALUES))
    return tree
