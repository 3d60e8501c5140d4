"""The house: which files there are, how large they grow, and who imports whom."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "raybayes"
TOP = {"__init__", "array_types", "errors", "prior", "store"}
LONGEST = 400  # lines
MOST = 7  # parameters
CODE = {".py", ".js", ".css", ".html", ".jinja"}


def files(folder):
    return sorted(p for p in (ROOT / folder).rglob("*") if p.suffix in CODE)


def test_few_modules_stand_at_the_top():
    assert {path.stem for path in SOURCE.glob("*.py")} == TOP


def test_no_module_imports_itself_on_a_detour():
    """Imports inside functions and those for types alone count, too."""
    graph = grimp.build_graph("raybayes", exclude_type_checking_imports=False)
    found = {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
    assert sum(map(len, found.values())) > 500
    TopologicalSorter(found).prepare()  # names a cycle where there is one


def test_a_cycle_would_be_seen():
    with pytest.raises(ValueError, match="cycle"):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks"])
def test_no_file_is_long(folder):
    long = {str(p): n for p in files(folder) if (n := len(p.read_text().splitlines())) > LONGEST}
    assert files(folder) and not long


def parameters(node):
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [a.arg for a in every if a.arg not in ("self", "cls")]


def test_no_function_takes_many_parameters():
    many, seen = [], 0
    for path in files("src"):
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                seen += 1
                if len(parameters(node)) > MOST:
                    many.append(f"{path}:{node.lineno}: {node.name}")
    assert seen > 1000 and not many


def test_no_function_is_complex():
    """As `ruff check` says, by the limits of pyproject.toml."""
    command = [sys.executable, "-m", "ruff", "check", "--select", "C901,PLR0915", str(SOURCE)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stdout
    assert "max-complexity = 8" in (ROOT / "pyproject.toml").read_text()


def test_arrays_have_one_name():
    """`Array` and its like are written once."""
    again = [
        str(path)
        for path in files("src")
        if path.stem != "array_types" and "\nArray = " in path.read_text()
    ]
    assert not again
