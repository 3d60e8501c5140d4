"""Is every message one line that a terminal may print?"""

import warnings

import pytest
import typer
from typer.testing import CliRunner

from raybayes.cli.frame import one_sentence, warnings_as_sentences
from raybayes.errors import LONGEST, InputError, shorten, shown

MESSAGES = {
    "plain": ("a.rml:3: wrong; mend it", "a.rml:3: wrong; mend it"),
    "empty": ("", ""),
    "lines": ("one\n\ntwo\r\nthree", "one; two; three"),
    "list": ("2 things are wrong:\na\nb", "2 things are wrong: a; b"),
    "colours": ("a\x1b[31mb", "a\\x1b[31mb"),
    "bell and backspace": ("\a\b\x7f\x9b", "\\x07\\x08\\x7f\\x9b"),
    "reading direction": ("\u202ecba\u2066", "\\u202ecba\\u2066"),
    "half a letter": ("\udcff", "\\udcff"),
    "letters of other scripts": ("Größe µm 光", "Größe µm 光"),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_one_printable_line(case):
    message, line = MESSAGES[case]
    assert shown(InputError(message)) == line


def test_long_messages_keep_their_ends():
    line = shown("what: " + "x" * 10_000 + "; do this")
    assert len(line) == LONGEST and line.startswith("what: ") and line.endswith("; do this")
    assert shorten("abc", 3) == "abc" and len(shorten("abcdefghijkl", 9)) == 9


def test_long_lists_show_whole_lines():
    line = shown("20 things are wrong:\n" + "\n".join(f"fault {i} " + "x" * 50 for i in range(20)))
    assert len(line) <= LONGEST and line.endswith("x; ...") and "fault 5" in line
    assert len(shown("1 thing is wrong:\n" + "x" * 1000)) <= LONGEST


def test_the_command_line_shows_them_so():
    app = typer.Typer()

    @app.command()
    def command():
        with one_sentence(), warnings_as_sentences():
            warnings.warn("\x1b[2J\nwarned " + "y" * 900, stacklevel=1)
            raise InputError("\x1b]0;title\x07\n" + "z" * 900)

    result = CliRunner().invoke(app, [])
    warned, refused = result.stderr.splitlines()
    assert result.exit_code == 2 and "\x1b" not in result.stderr
    assert warned.startswith("raybayes: warning: \\x1b[2J") and len(warned) < LONGEST + 30
    assert refused.startswith("raybayes: \\x1b]0;title\\x07") and len(refused) < LONGEST + 30
