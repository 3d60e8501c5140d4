"""Values of the wrong type, and what is no file: a sentence with the key, never a traceback."""

import os

import pytest
from studies import TINY, command

from raybayes.errors import InputError, shown
from raybayes.study.plan import LARGEST, is_all
from raybayes.study.study import read_study

TOP, _, TABLES = TINY.partition("[parameters]")
MARGINAL = "[-0.06, 0.06]"
UNIONS = {"engine": "tracer", "density": "flow", "density.embedding": "mlp"}  # and a kind of each
WORDS = {"word": '"%s"', "number": "3", "list": "[1]", "lists": "[[1], 2]", "true": "true",
         "date": "1979-05-27", "nan": "nan", "empty": '""'}  # fmt: skip
KINDS = {"unknown": '"magic"', "list": '["%s"]', "table": "{a = 1}", "number": "1", "nan": "nan"}


def refused(text, tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_study(path)
    return shown(caught.value)


def with_key(key, value):
    """TINY with `key = value` at its top, and no table of that name."""
    table, _, inner = key.partition(".")
    value = f"{{{inner} = {value}}}" if inner else value
    head, found, rest = TABLES.partition(f"[{table}]")
    rest = rest.partition("\n[")[2]
    tables = f"{head}[{rest}" if found and rest else head
    return f"{TOP}{table} = {value}\n[parameters]{tables}"


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("key", UNIONS)
def test_a_word_where_a_table_belongs(key, word, tmp_path):
    value = WORDS[word].replace("%s", UNIONS[key])
    said = refused(with_key(key, value), tmp_path)
    name = "density.flow.embedding" if "." in key else key
    assert f"key '{name}': Input should be a table of keys, found" in said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", UNIONS)
def test_kinds_that_are_none(key, kind, tmp_path):
    value = "{kind = " + KINDS[kind].replace("%s", UNIONS[key]) + "}"
    said = refused(with_key(key, value), tmp_path)
    assert f"Its kind should be one of '{UNIONS[key]}'" in said


@pytest.mark.parametrize("word", WORDS)
def test_priors_that_are_none(word, tmp_path):
    said = refused(TINY.replace(MARGINAL, WORDS[word].replace("%s", "normal")), tmp_path)
    assert "key 'parameters.M4.rotationXerror" in said


@pytest.mark.parametrize("kind", KINDS)
def test_priors_of_no_kind(kind, tmp_path):
    value = "{kind = " + KINDS[kind].replace("%s", "normal") + "}"
    assert "Its kind should be one of 'uniform'" in refused(TINY.replace(MARGINAL, value), tmp_path)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    "key", ["training", "detector", "tracing", "failures", "observation", "pretraining"]
)
def test_other_tables(key, word, tmp_path):
    assert f"key '{key}': Input should be a table" in refused(with_key(key, WORDS[word]), tmp_path)


@pytest.mark.parametrize("word", WORDS)
def test_settings(word, tmp_path):
    assert "key 'settings" in refused(with_key("settings", WORDS[word]), tmp_path)
    assert "key 'settings" in refused(with_key("settings", f"[{WORDS[word]}]"), tmp_path)
    text = with_key("settings", f"[{{detector = {WORDS[word]}}}]")
    assert "key 'settings.0.detector" in refused(text, tmp_path)


TEXTS = {
    "nested lists": "a = " + "[" * 990,
    "nested lines": "a = " + "[\n" * 50_000,
    "nested tables": "a = " + "{a = " * 190,
    "a long number": "a = " + "9" * 990,
    "a long line": "a = " + "9" * 5000,
    "dots": "a." * 45_000 + "a = 1",
    "dots on many lines": "".join(f"a{i}." + "a." * 480 + "a = 1\n" for i in range(95)),
    "a broken line": "name = ",
    "control letters": 'name = "\x1b[2J"\na = 1',
    "keys twice": "seed = 1\nseed = 2",
}


@pytest.mark.parametrize("case", TEXTS)
def test_texts_that_are_none(case, tmp_path):
    assert refused(TEXTS[case], tmp_path).isprintable()
    assert is_all(tmp_path / "s.toml") in (True, False)


def test_a_study_that_is_too_long(tmp_path):
    assert "larger than the 0.1 MB" in refused("#" * (LARGEST + 1), tmp_path)


@pytest.mark.parametrize("name", ["a" * 400, "a\\u0000b", "", ".", "/dev/zero", "pipe"])
def test_beamlines_that_are_no_file(name, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    said = refused(TINY.replace("ue112_pgm1.rml", name), tmp_path)
    assert "cannot be read" in said and "give an RML file" in said


def no_study(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    return [*(tmp_path / name for name in ("pipe", "binary", ".", "a" * 400)), "/dev/zero"]


def test_what_is_no_file(tmp_path):
    for path in no_study(tmp_path):
        with pytest.raises(InputError, match="cannot be read as a study"):
            read_study(path)


@pytest.mark.parametrize("job", ["run", "simulate", "check-simulator"])
def test_commands_say_it(job, tmp_path):
    for path in no_study(tmp_path):
        out = [] if job == "check-simulator" else ["--out", tmp_path / "out"]
        result = command(job, path, *out)
        assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.stderr


@pytest.mark.parametrize("job", ["check", "report", "infer"])
def test_folders_that_are_none(job, tmp_path):
    (tmp_path / "x.csv").write_text("1")
    for out in (*no_study(tmp_path), tmp_path / "none"):
        result = command(job, out, *([tmp_path / "x.csv"] if job == "infer" else []))
        assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.stderr
