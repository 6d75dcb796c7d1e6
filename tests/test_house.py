"""The house: imports go downhill, and each outside thing has one door (DESIGN, section 9)."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import nox_envs

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUSE = Path(nox_envs.__file__).parent

FLOORS: dict[str, dict[str, set[str]]] = {
    "0 errors": {"errors": {"errors"}},
    "1 nouns": {
        "cell": {"cell"},
        "interpreter and lock": {"interpreter", "lock"},
        "pyproject": {"pyproject"},
        "outcome": {"outcome"},
    },
    "2 what is asked for": {
        "declaring": {"options", "matrix_options", "declaration", "matrix", "table"},
        # Nouns of the room, which `gather` fills before a resolver is chosen.
        "requesting": {"resolve.requests", "resolve.requirements_file"},
        "starting": {"starting", "tox_ini"},
        "calling": {"called"},
        # Pure, and nouns for reports.
        "inside": {
            "inside", "inside.cells", "inside.cleaning", "inside.completable", "inside.complete_bash", "inside.complete_fish", "inside.complete_powershell",
            "inside.complete_zsh", "inside.completion", "inside.diff",
            "inside.export", "inside.health", "inside.packages", "inside.shells",
        },
    },
    "3 doors": {
        "processes": {"_process", "_forks"},
        "files": {"_files"},
        "http": {"_http", "_http_client"},
        "process trees": {"_processes", "_tree"},
    },
    "4 this machine": {
        "settings": {"settings", "_tool_config", "_variables", "_secrets"},
        "interpreters": {"discover", "_installed"},
    },
    "5 rooms": {
        "resolve": {
            "resolve", "resolve.interface", "resolve.via_uv", "resolve.via_pip", "resolve.index",
            "resolve.index_pages", "resolve.explain", "resolve.explain_uv", "resolve.explain_pip",
            "resolve.explain_words", "resolve.explain_fit", "resolve.explain_misfit",
            "resolve.remembered",
        },
        "install": {
            "install", "install.interface", "install.via_uv", "install.via_pip",
            "install.project", "install.check", "install.stamp", "install.record",
            "install.loaded", "install.bytecode", "install.intact",
        },
        "run": {
            "run", "run.tree", "run.exchange", "run.evidence", "run.journal", "run.judge",
            "run.junit", "run.log", "run.schedule", "run.signature", "run.slots", "run.suspects", "run.trial",
        },
        # Pure: what a campaign has to think about.
        "upgrade": {
            "upgrade", "upgrade.bisect", "upgrade.boundaries", "upgrade.bounds",
            "upgrade.clauses", "upgrade.closures", "upgrade.culprit", "upgrade.descent",
            "upgrade.edit_lines", "upgrade.edit_tables", "upgrade.edits", "upgrade.judged",
            "upgrade.proven",
            "upgrade.guilt", "upgrade.highest", "upgrade.lowest", "upgrade.options",
            "upgrade.rounds", "upgrade.search", "upgrade.split", "upgrade.tally",
        },
        "report": {
            "report", "report.amounts", "report.applied", "report.as_json", "report.as_markdown",
            "report.as_terminal", "report.bisected", "report.blamed", "report.blocks",
            "report.columns", "report.compared", "report.document", "report.drawn", "report.escape", "report.facts",
            "report.floored", "report.gridded", "report.headline", "report.lattice", "report.locked", "report.marks", "report.page",
            "report.paragraphs", "report.progress", "report.shown", "report.summary", "report.tended",
            "report.view",
            "report.words",
        },
    },
    "6 the recipe": {
        "recipe": {"committed", "foreign_locks", "gather", "passes", "planning", "questions", "toolbox", "provision"},
        "snippets": {"snippets"},
    },
    "7 campaigns": {
        "looking": {"checkup", "comparing", "looking", "tending"},
        "without a noxfile": {"borrowed", "bundle", "bundle.contents", "bundle.packing", "trying"},
        "upgrade": {
            "upgrade.apply", "upgrade.bench", "upgrade.bisection", "upgrade.campaign", "upgrade.candidates", "upgrade.column",
            "upgrade.conduct", "upgrade.drive", "upgrade.findings", "upgrade.floors",
            "upgrade.floors_written", "upgrade.promised", "upgrade.relock",
            "upgrade.inquest", "upgrade.lockfiles", "upgrade.past", "upgrade.quests", "upgrade.records", "upgrade.reuse", "upgrade.states",
            "upgrade.sweep", "upgrade.threads", "upgrade.trials", "upgrade.upgrading", "upgrade.work",
        },
    },
    "8 front doors": {"nox": {"_host", "_loading", "_worker", "campaigning", "on_trial", "running", "sessions", ""}},
    "9 the command line": {
        "commands": {
            "cli", "__main__", "commands", "commands.bundle", "commands.campaign", "commands.clean", "commands.completion",
            "commands.diff", "commands.doctor", "commands.export", "commands.init", "commands.making",
            "commands.shell", "commands.show", "commands.try_", "commands.words",
        },
    },
}  # fmt: skip
"""Floor -> group -> modules. Imports go to a lower floor, or stay in the group."""

SEAMS = {("_http", "_http_client"), ("resolve.index", "resolve.index_pages")}
"""One noun in two files: the second is heavy and imported inside a function of the first."""

NOX = {"sessions", "running", "_host", "_loading", "_worker", "campaigning", "on_trial"}
HANDING_ON = {
    "sessions", "running", "campaigning", "on_trial", "cli", "commands.doctor", "commands.export",
    "commands.bundle", "commands.campaign", "commands.clean", "commands.init", "commands.making", "commands.shell", "commands.show", "commands.try_", "commands.words",
}  # fmt: skip
"""They hand `os.environ` on as a mapping, and look nothing up in it."""
# Besides the door: directories of the wheel store and of a scratch, the copy of a tree, and
# hundreds of small files of bytecode.
WRITERS = {"_files", "install.bytecode", "install.project", "run.tree"}
READERS = {
    # Streams, bytes for a digest, and the files of others whose encoding has to be found out.
    "_files", "_process", "_processes", "_tool_config", "bundle.packing", "install.check", "install.project",
    "install.record", "run.tree", "settings",
}  # fmt: skip
HEAVY = {
    "concurrent.futures", "configparser", "csv", "dotenv", "email", "filelock", "http",
    "nox_envs.discover", "nox_envs.provision", "packaging.pylock", "rich", "sqlite3", "tomli_w",
    "urllib.request", "xml", "zipfile",
}  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One import of a module of ours."""

    of: str
    """The module, without `nox_envs.`."""
    name: str
    """What it is called from here on."""
    member: str | None
    """What is taken out of the module; None for the module itself."""
    line: int
    deferred: bool


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(HOUSE.rglob("*.py")):
        words = path.relative_to(HOUSE).with_suffix("").parts
        found[".".join(words[:-1] if words[-1] == "__init__" else words)] = path
    return found


MODULES = modules()


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def full(module: str) -> str:
    return f"nox_envs.{module}".rstrip(".")


def ours(name: str) -> str | None:
    return name.partition(".")[2] if name.partition(".")[0] == "nox_envs" else None


def imports(module: str) -> list[Import]:
    """Every import of ours, under `TYPE_CHECKING` and in functions too."""
    top = {id(node) for node in tree(module).body}
    found = []
    for node in ast.walk(tree(module)):
        deferred = id(node) not in top
        if isinstance(node, ast.ImportFrom) and ours(node.module or "") is not None:
            source = ours(node.module or "") or ""
            for alias in node.names:
                inner = f"{source}.{alias.name}".lstrip(".")
                name = alias.asname or alias.name
                if inner in MODULES:
                    found.append(Import(inner, name, None, node.lineno, deferred))
                else:
                    found.append(Import(source, name, alias.name, node.lineno, deferred))
        elif isinstance(node, ast.Import):
            found += [
                Import(
                    ours(alias.name) or "", alias.asname or alias.name, None, node.lineno, deferred
                )
                for alias in node.names
                if ours(alias.name) is not None
            ]
    return found


def foreign(module: str) -> set[str]:
    """The modules of others that a module imports, wherever it does."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def calls(module: str) -> Iterator[str]:
    """What a module calls: `path.write_text`, `open`."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def place(module: str) -> tuple[str, str]:
    """The floor and the group of a module."""
    for floor, groups in FLOORS.items():
        for group, members in groups.items():
            if module in members:
                return floor, group
    pytest.fail(f"{full(module)} has no floor: give it one in FLOORS of {Path(__file__).name}")


def users(*prefixes: str) -> set[str]:
    """The modules that import one of these modules, or something in it."""
    return {
        module
        for module in MODULES
        for name in foreign(module)
        if any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)
    }


# -- directions -----------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_floor(module: str) -> None:
    place(module)


def test_no_floor_is_kept_for_a_module_that_is_gone() -> None:
    listed = [one for groups in FLOORS.values() for members in groups.values() for one in members]
    assert sorted(listed) == sorted(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_downhill_or_stay_in_the_group(module: str) -> None:
    floor, group = place(module)
    wrong = [
        f"{MODULES[module]}:{one.line}: {full(module)} ({floor}) imports "
        f"{full(one.of)} ({place(one.of)[0]}, {place(one.of)[1]})"
        for one in imports(module)
        if place(one.of)[0] >= floor and place(one.of) != (floor, group)
    ]
    assert not wrong, "\n".join(wrong)


def test_there_is_no_cycle() -> None:
    edges = {
        module: {
            one.of
            for one in imports(module)
            if one.of != module and not (one.deferred and (module, one.of) in SEAMS)
        }
        for module in MODULES
    }
    while leaves := {module for module, needed in edges.items() if not needed & edges.keys()}:
        edges = {module: needed for module, needed in edges.items() if module not in leaves}
    assert not edges, f"these import each other: {sorted(edges)}"


@pytest.mark.parametrize("room", ["resolve", "install", "run"])
def test_the_init_of_a_room_holds_a_docstring_alone(room: str) -> None:
    assert ast.get_docstring(tree(room))
    assert len(tree(room).body) == 1


# -- doors ----------------------------------------------------------------------------


def test_only_the_front_doors_know_nox() -> None:
    assert users("nox") == NOX


def test_one_module_reads_the_environment() -> None:
    readers = {
        module
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in {"os.environ", "os.environb", "os.getenv", "os.putenv"}
    }
    assert readers - HANDING_ON == {"settings", "_worker"}  # A fork is given all of it anew.
    assert not users("os.environ", "os.getenv")


@pytest.mark.parametrize("module", sorted(HANDING_ON))
def test_the_environment_is_handed_on_whole(module: str) -> None:
    handed_on = {
        id(word)
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Call)
        for word in [*node.args, *(keyword.value for keyword in node.keywords)]
    }
    looked_up = [
        node.lineno
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) == "os.environ"
        and id(node) not in handed_on
    ]
    assert not looked_up


def test_one_module_starts_processes() -> None:
    starting = ("subprocess.", "os.system", "os.popen", "os.spawn", "os.exec", "os.fork",
                "os.posix_spawn")  # fmt: skip
    starters = {module for module in MODULES for call in calls(module) if call.startswith(starting)}
    # The warm process forks, and does nothing else.
    assert starters == {"_process", "_worker"}
    assert {call for call in calls("_worker") if call.startswith(starting)} == {"os.fork"}
    # `discover` names the exception of a timeout.
    assert users("subprocess") == {"_process", "discover"}
    assert not users("multiprocessing", "pty")


def test_one_module_goes_to_the_network() -> None:
    assert users("http.client", "ssl") == {"_http_client"}
    # The other two talk to each other.
    assert users("socket") == {"_http_client", "_forks", "_worker"}
    assert users("urllib.request") == {"_files"}
    assert not users("requests", "httpx", "urllib3")
    # For an index that is a directory of this machine.
    taken = {name for name in foreign("_files") if name.startswith("urllib.request")}
    assert taken == {"urllib.request.url2pathname"}


def test_who_writes_files() -> None:
    words = {
        "write_text", "write_bytes", "mkdir", "makedirs", "unlink", "rmdir", "rename", "touch",
        "symlink_to", "hardlink_to", "chmod", "rmtree", "copy", "copy2", "copyfile", "copytree",
        "move", "mkstemp", "mkdtemp", "fdopen", "remove", "replace",
    }  # fmt: skip
    # `str.replace`, `dict.copy` and so on are no writing; nor is going through a door.
    ambiguous = {"copy", "remove", "replace", "rename", "move"}
    writers = set()
    for module in MODULES:
        for call in calls(module):
            owner, _, word = call.rpartition(".")
            if word in ambiguous and owner not in {"os", "shutil"}:
                continue
            if word in words and owner and owner not in {"_files", "tree"}:
                writers.add(module)
    assert writers == WRITERS


def test_who_reads_files() -> None:
    words = {"open", "read_text", "read_bytes"}
    readers = {
        module
        for module in MODULES
        for call in calls(module)
        if call.rpartition(".")[2] in words and call.rpartition(".")[0] not in {"_files", "archive"}
    }
    assert readers == READERS


def test_only_the_door_opens_files_to_write_into_them() -> None:
    writers = {
        module
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in {"open", "fdopen"}
        and any(
            isinstance(word, ast.Constant) and str(word.value).strip("btU+") in {"w", "a", "x"}
            for word in [*node.args, *(keyword.value for keyword in node.keywords)]
        )
    }
    assert writers == {"_files"}


# -- surface --------------------------------------------------------------------------


ROOMS = {"bundle", "commands", "inside", "resolve", "install", "run", "upgrade", "report"}
SPEAKING = [module for module in MODULES if module not in ROOMS]


def rank(name: str) -> int:
    """As ruff sorts `__all__` (RUF022): constants, classes, functions."""
    return 0 if name.isupper() else 1 if name[0].isupper() else 2


@pytest.mark.parametrize("module", SPEAKING)
def test_a_module_says_what_it_offers(module: str) -> None:
    loaded = importlib.import_module(full(module))
    assert loaded.__all__ == sorted(loaded.__all__, key=lambda n: (rank(n), n))
    assert len(set(loaded.__all__)) == len(loaded.__all__)
    assert dir(loaded) == sorted(loaded.__all__)
    missing = [name for name in loaded.__all__ if not hasattr(loaded, name)]
    assert not missing
    private = [name for name in loaded.__all__ if name.startswith("_") and name != "__version__"]
    assert not private


@pytest.mark.parametrize("module", SPEAKING)
def test_what_is_private_stays_at_home(module: str) -> None:
    """Neither `x._y` nor `from x import _y`."""
    taken = imports(module)
    wrong = [f"line {one.line}: {one.member}" for one in taken if (one.member or "")[:1] == "_"
             and one.member != "__version__"]  # fmt: skip
    names = {one.name for one in taken}
    wrong += [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.endswith("__")
        and isinstance(node.value, ast.Name)
        and node.value.id in names
    ]
    assert not wrong


@pytest.mark.parametrize("module", SPEAKING)
def test_what_is_imported_is_offered(module: str) -> None:
    """What is not in `__all__` of a module is its own, too."""
    wrong = [
        f"line {one.line}: {one.member} is not in __all__ of {full(one.of)}"
        for one in imports(module)
        if one.member is not None
        and (one.of, module) not in SEAMS
        and one.member not in importlib.import_module(full(one.of)).__all__
    ]
    assert not wrong


@pytest.mark.process
def test_a_noxfile_pays_for_what_it_uses(tmp_path: Path) -> None:
    code = "import sys, nox; before = set(sys.modules); import nox_envs; "
    code += "print(*sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    loaded = set(done.stdout.split())
    assert "nox_envs.sessions" in loaded
    heavy = {one for one in loaded for name in HEAVY if one == name or one.startswith(f"{name}.")}
    assert not heavy
