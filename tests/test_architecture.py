"""The house's own rules, as far as a program can check them (DESIGN, sections 1 and 2)."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
PRODUCT = sorted(
    path for folder in ("worker", "schedules") for path in (ROOT / folder).rglob("*.py") if "versions" not in path.parts
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MODULE_LINES, FUNCTION_LINES, PARAMETERS = 250, 40, 5
BANNED = {
    "manager", "helper", "helpers", "util", "utils", "common", "base", "handler", "service", "processor", "engine",
    "data", "info", "job", "hook", "sink",
}  # fmt: skip
PROVIDERS = {path.name for path in (ROOT / "worker" / "providers").iterdir() if path.is_dir() and path.name[0] != "_"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function))


def at(path: Path, node: ast.stmt | ast.expr) -> str:
    return f"{path.relative_to(ROOT)}:{node.lineno}"


def length(function: Function) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


def test_no_module_is_longer_than_its_budget() -> None:
    assert [] == [str(path.relative_to(ROOT)) for path in PRODUCT if path.read_text().count("\n") > MODULE_LINES]


def test_modules_are_small_as_a_rule() -> None:
    assert median(path.read_text().count("\n") for path in PRODUCT) <= 110


def test_no_function_is_longer_than_its_budget() -> None:
    assert [] == [at(path, each) for path in PRODUCT for each in functions(path) if length(each) > FUNCTION_LINES]


def test_functions_are_small_as_a_rule() -> None:
    assert median(length(each) for path in PRODUCT for each in functions(path)) <= 10


def test_a_function_takes_a_value_rather_than_a_sixth_parameter() -> None:
    def parameters(function: Function) -> int:
        names = [one.arg for one in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
        return len([name for name in names if name not in {"self", "cls"}])

    commands = ROOT / "worker" / "cli"  # there, an option is a parameter
    long = [
        at(path, each)
        for path in PRODUCT
        if commands not in path.parents
        for each in functions(path)
        if parameters(each) > PARAMETERS and each.name != "__init__"
    ]
    assert [] == long


def test_nothing_of_ours_bears_a_banned_name() -> None:
    def words(name: str) -> set[str]:
        return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}

    modules = [path.stem for path in PRODUCT]
    defined = [
        node.name
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, Function | ast.ClassDef)
    ]
    theirs = {"base_url"}  # a key of the configuration, which INTERFACE names
    assert [] == sorted({name for name in modules + defined if words(name) & BANNED} - theirs)


def test_a_providers_slug_never_stands_in_a_comparison() -> None:
    compared = [
        at(path, node)
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        and any(isinstance(side, ast.Constant) and side.value in PROVIDERS for side in (node.left, *node.comparators))
    ]
    assert [] == compared


def test_nothing_is_left_undone() -> None:
    undone = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    assert [] == [str(path.relative_to(ROOT)) for path in PRODUCT if undone.search(path.read_text())]


def test_no_test_patches_by_dotted_path_nor_skips_nor_sleeps() -> None:
    unwanted = re.compile(
        r"\bmock\.patch|\bpatch\(|monkeypatch\.setattr\(\s*[\"']|pytest\.(mark\.)?(skip|xfail)|\btime\.sleep\("
    )
    others = [path for path in TESTS if path != Path(__file__)]
    assert [] == [str(path.relative_to(ROOT)) for path in others if unwanted.search(path.read_text())]


def test_the_floors_hold() -> None:
    found = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout


def test_the_top_level_holds_what_the_design_names_and_nothing_else() -> None:
    tracked = subprocess.run(
        ["/usr/bin/env", "git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    top = {line.split("/")[0] for line in tracked.splitlines() if not line.startswith(".")}
    assert top == {
        "Makefile", "README.md", "benchmarks", "compose.yaml", "docs", "pyproject.toml", "requirements.txt",
        "schedules", "tests", "worker",
    }  # fmt: skip
