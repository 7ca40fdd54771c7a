"""The house rules that a program can hold: who imports whom, what is imported late, what no file contains."""

import ast
import re
import subprocess
import sys

import pytest

# room -> the rooms that it may import (DESIGN: imports go one way)
ALLOWED = {
    "common": set(),
    "landmarks": {"common"},
    "lang": {"common"},
    "models": {"common"},
    "scoring": {"common"},
    "corpora": {"common", "landmarks", "lang"},
    "data": {"common", "landmarks", "lang"},
    "graph": {"common", "lang"},
    "decoding": {"common", "graph", "models", "lang"},
    "tasks": {"common", "landmarks", "lang", "models", "scoring", "corpora", "data", "graph", "decoding"},
    "cli": {"common"},
    "__main__": {"cli"},  # python -m asl
}
# package -> (where it may be imported at all, where it may be imported at the top of a module)
LATE = {
    "k2": ({"graph", "decoding"}, set()),
    "kaldifst": ({"graph", "decoding"}, set()),
    "kaldi_decoder": ({"graph", "decoding"}, set()),
    "kaldilm": ({"graph"}, set()),
    "lightning": ({"tasks", "data"}, {"tasks", "data"}),
    "mediapipe": ({"landmarks"}, set()),
    "cv2": ({"landmarks"}, set()),
    "pose_format": ({"landmarks"}, set()),
    "distributed": ({"data"}, set()),
    "matplotlib": ({"landmarks", "data", "scoring", "tasks"}, set()),
}
PROBES = {"common/doctor.py", "common/compat.py"}  # they try what is installed, inside functions


def imports(tree):
    """Yield (imported name, line, whether at the top of the module) of every import in ``tree``."""
    late = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, id(node) not in late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            names = [node.module] if node.module != "asl" else [f"asl.{alias.name}" for alias in node.names]
            yield from ((name, node.lineno, id(node) not in late) for name in names)


def room_of(path, root):
    part = path.relative_to(root / "asl").parts[0]
    return part[:-3] if part.endswith(".py") else part


def sources(root):
    files = sorted((root / "asl").rglob("*.py"))
    assert len(files) > 20
    return [path for path in files if path != root / "asl/__init__.py"]


def tracked(root, *patterns):
    """Text of every file that git has or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns], cwd=root, stdout=subprocess.PIPE, check=True
    )
    for name in listed.stdout.decode().splitlines():
        data = (root / name).read_bytes() if (root / name).is_file() else b"\0"
        if b"\0" not in data:
            yield name, data.decode("utf-8")


def test_imports_go_one_way(root):
    wrong = []
    for path in sources(root):
        room = room_of(path, root)
        assert room in ALLOWED, f"{path}: a new room; say above what it may import"
        for name, line, _ in imports(ast.parse(path.read_text(encoding="utf-8"))):
            parts = name.split(".")
            if parts[0] == "asl" and len(parts) > 1 and parts[1] not in ALLOWED[room] | {room}:
                wrong.append(f"{path.relative_to(root)}:{line}: {room} imports {name}")
    assert wrong == []


def test_heavy_packages_are_imported_where_and_when_they_are_used(root):
    wrong = []
    for path in sources(root):
        room, inside = room_of(path, root), path.relative_to(root / "asl").as_posix()
        for name, line, top in imports(ast.parse(path.read_text(encoding="utf-8"))):
            package = name.split(".")[0]
            if package in LATE:
                anywhere, at_top = LATE[package]
                if (room not in anywhere and inside not in PROBES) or (top and room not in at_top):
                    wrong.append(f"{path.relative_to(root)}:{line}: {name}")
    assert wrong == []


@pytest.mark.parametrize(
    "module, unwanted",
    [
        ("asl.cli", ["torch", "numpy", "jsonargparse", "lhotse"]),
        ("asl.common.stages", ["torch", "numpy", "jsonargparse"]),
        ("asl.scoring.score", ["torch", "lhotse", "k2", "lightning"]),
        ("asl.landmarks.reading", ["k2", "lightning", "mediapipe"]),
        ("asl.data.importing", ["k2", "mediapipe"]),
        ("asl.data.extracting", ["k2", "mediapipe", "cv2", "distributed", "lhotse", "torch"]),
    ],
)
def test_importing_a_room_leaves_out_what_it_does_not_need(root, module, unwanted):
    code = f"import sys, {module}; print([m for m in {unwanted!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().strip() == "[]"


def test_no_shell_file_evaluates(root):
    evaluates = re.compile(r"(^|[;&|\s])eval\s")
    for name, text in tracked(root, "*.sh", "utils/*", "tools/*", ".ci/*"):
        found = [line for line in text.splitlines() if evaluates.search(line.split("#")[0])]
        assert found == [], name


def test_no_tracked_file_names_a_place_on_one_machine(root):
    machine = re.compile(r"(^|[^A-Za-z0-9_.])/(home|root|work)/")
    for name, text in tracked(root):
        found = [line for line in text.splitlines() if machine.search(line) and "machine = re.compile" not in line]
        assert found == [], name


def test_no_test_is_skipped(root):
    skips = re.compile(r"pytest\.(skip|importorskip)\b|mark\.(skip|xfail)|pytest\.xfail")
    for name, text in tracked(root, "tests/*.py"):
        if not name.endswith("test_house.py"):
            assert skips.search(text) is None, name


def test_a_file_is_about_one_thing(root):
    long = {n: t.count("\n") for n, t in tracked(root, "asl/*.py", "tests/*.py", "*.sh") if t.count("\n") > 400}
    assert long == {}
    stories = {n: t.count("\n") for n, t in tracked(root, "egs/*/run.sh") if t.count("\n") > 120}
    assert stories == {}
