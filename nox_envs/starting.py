"""The noxfile that a project could start with, from what lies in its directory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement
from packaging.specifiers import InvalidSpecifier
from packaging.utils import canonicalize_name

from nox_envs.pyproject import Pyproject, poetry_specifier, supported_pythons
from nox_envs.tox_ini import Tox

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

__all__ = ["READ", "Start", "noxfile", "start"]


def __dir__() -> list[str]:
    return __all__


READ = (
    "pyproject.toml", "setup.cfg", "setup.py", "tox.ini", ".python-version", "pytest.ini",
    "*requirements*.txt", "*requirements*.in", "requirements/*.txt", "requirements/*.in",
    "uv.lock", "poetry.lock", "Pipfile.lock", "manage.py", "conftest.py", "tests/*.py", "test/*.py",
)  # fmt: skip
"""Globs of the files that say something."""

_LOCKS = ("uv.lock", "poetry.lock", "Pipfile.lock")
_FOR_TESTS = ("test", "tests", "testing")
_FOR_WORK = ("dev", "develop", "development")
_PYTEST = ("pytest", "*session.posargs")
_WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What was found, as the parameters of a session."""

    pythons: tuple[str, ...]
    """The series, oldest first."""
    classified: bool = False
    """Whether they are those that `nox_envs.pythons()` gives."""
    dependencies: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    project: str | None = None
    lock: str | None = None
    matrix: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The values of each axis, by their labels."""
    exclude: tuple[Mapping[str, str], ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    pass_env: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = (_PYTEST,)
    """The words of each; `*session.posargs` stands for itself."""
    taken: tuple[str, ...] = ()
    """The files that it comes from."""
    left: tuple[str, ...] = ()
    """What was seen and not taken over, for people."""


def start(
    files: Mapping[str, str],
    data: Mapping[str, Any],
    *,
    installed: Sequence[str],
    command: Sequence[str] = (),
) -> Start:
    """What a project starts with.

    `files` are the texts of what `READ` finds, by their place in the project, `data` is what
    pyproject.toml says. `installed` are the series that are there, the preferred one first;
    `command` is what to run instead of what is found. Raises `TypeError` for a malformed
    pyproject.toml.
    """
    project = Pyproject.from_dict(data)
    tox = Tox.read(_tox_text(files, data))
    pythons, classified = _pythons(files, project, tox, installed)
    groups = _chosen(project.groups)
    extras = tuple(
        dict.fromkeys([*tox.extras, *(() if groups else _chosen(_extras(files, project)))])
    )
    requirements = tuple(dict.fromkeys([*tox.requirements, *_requirements(files, project)]))
    commands = (tuple(command),) if command else tox.commands or (_command(files, data),)
    lock = next((name for name in _LOCKS if name in files), None)
    left = list(tox.left)
    if lock and (tox.axes or tox.dependencies or tox.requirements):
        left.append(f"{lock}, which need not hold what tox.ini asks for")
        lock = None
    if lock:  # It holds the releases of all of them.
        requirements = ()
    asked = "\n".join([
        *(str(project.groups.get(name)) for name in groups),
        *(str(project.optional.get(canonicalize_name(name))) for name in extras),
        *(files.get(name, "") for name in requirements),
        *project.dependencies, *map(str, project.poetry), *tox.dependencies,
        _old(files) if extras else "",
        *([files[lock]] if lock else []),
    ])  # fmt: skip
    if lock == "Pipfile.lock":
        groups = ("dev",)
    dependencies = list(tox.dependencies)
    if commands[0][0] == "pytest" and not re.search(r"\bpytest\b", asked):
        dependencies.append("pytest")
        if lock:
            left.append(f"{lock}, which has no pytest")
            lock = None
    old = "setup.py" in files or "[metadata]" in files.get("setup.cfg", "")
    return Start(
        pythons=pythons,
        classified=classified,
        dependencies=tuple(dict.fromkeys(dependencies)),
        groups=groups,
        extras=extras,
        requirements=requirements,
        constraints=tox.constraints,
        project="wheel" if old and not data.get("project") and not project.is_package else None,
        lock=lock,
        matrix=tox.matrix,
        exclude=tox.exclude(pythons),
        env=tox.env,
        pass_env=tox.pass_env,
        commands=commands,
        taken=_taken(files, project, requirements, lock, tox),
        left=tuple(left),
    )


def noxfile(found: Start, *, resolved: bool = False) -> str:
    """The text of the noxfile; `resolved` leaves the lock aside."""
    options: list[tuple[str, Any]] = [
        ("matrix", {name: _values(values) for name, values in found.matrix.items()}),
        ("exclude", [dict(rule) for rule in found.exclude]),
        ("project", found.project),
        ("groups", list(found.groups)),
        ("extras", list(found.extras)),
        ("requirements", list(found.requirements)),
        ("constraints", list(found.constraints)),
        ("dependencies", list(found.dependencies)),
        ("lock", None if resolved else found.lock),
        ("env", dict(found.env)),
        ("pass_env", list(found.pass_env)),
    ]
    python = "nox_envs.pythons()" if found.classified else _literal(list(found.pythons))
    body = [f"    session.run({', '.join(map(_word, words))})" for words in found.commands]
    return "\n".join([
        "# /// script",
        '# dependencies = ["nox", "nox-envs[uv]"]',
        "# ///",
        '"""The sessions of this project: `nox -l` lists them."""',
        "",
        "import nox",
        "",
        "import nox_envs",
        "",
        "",
        "@nox_envs.session(",
        f"    python={python},",
        *(line for name, value in options if value for line in _option(name, value)),
        ")",
        "def test(session: nox.Session) -> None:",
        '    """Run the tests."""',
        *body,
        "",
        "",
        "nox_envs.campaigns(test)",
        "",
        "",
        'if __name__ == "__main__":',
        "    nox.main()",
        "",
    ])  # fmt: skip


def _values(labelled: Mapping[str, str]) -> Any:
    """The values of an axis; with their labels only where these say something else."""
    is_plain = all(label == value for label, value in labelled.items())
    return list(labelled) if is_plain else dict(labelled)


def _option(name: str, value: Any) -> list[str]:
    line = f"    {name}={_literal(value)},"
    if len(line) <= _WIDTH or not isinstance(value, dict | list):
        return [line]
    if isinstance(value, list):
        return [f"    {name}=[", *(f"        {_literal(one)}," for one in value), "    ],"]
    inside = [f"        {_literal(key)}: {_literal(one)}," for key, one in value.items()]
    return [f"    {name}={{", *inside, "    },"]


def _literal(value: Any) -> str:
    """As `repr`, with double quotes."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(k)}: {_literal(v)}' for k, v in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    text = repr(value)
    return f'"{text[1:-1]}"' if text[:1] == "'" and '"' not in text else text


def _word(word: str) -> str:
    return word if word.startswith("*") and "session.posargs" in word else _literal(word)


# -- what the files say


def _pythons(
    files: Mapping[str, str], project: Pyproject, tox: Tox, installed: Sequence[str]
) -> tuple[tuple[str, ...], bool]:
    """The Pythons to test on, and whether pyproject.toml names them."""
    named = ".python-version" in files and re.match(r"3\.\d+", files[".python-version"].strip())
    requires = project.requires_python or _poetry_python(project) or _old_requires(files)
    classifiers = project.classifiers or tuple(
        re.findall(r"Programming Language :: Python :: 3\.\d+", _old(files))
    )
    try:
        known = supported_pythons(Pyproject(classifiers=classifiers, requires_python=requires))
    except InvalidSpecifier:
        known = []
    if known and classifiers and any(re.search(r":: 3\.\d", one) for one in classifiers):
        return tuple(known), bool(project.classifiers) and bool(project.has_project)
    if tox.pythons:
        return tox.pythons, False
    if named:
        return (named[0],), False
    there = [one for one in known if one in installed]
    return tuple(there or known[-1:] or installed[:1]), False


def _poetry_python(project: Pyproject) -> str:
    try:
        return poetry_specifier(str(project.poetry.get("python", "")))
    except InvalidRequirement:
        return ""


def _old(files: Mapping[str, str]) -> str:
    return f"{files.get('setup.cfg', '')}\n{files.get('setup.py', '')}"


def _old_requires(files: Mapping[str, str]) -> str:
    found = re.search(r"python_requires\s*=\s*[\"']?([^\"'\n#]+)", _old(files))
    return found[1].strip() if found else ""


def _extras(files: Mapping[str, str], project: Pyproject) -> Collection[str]:
    if project.optional:
        return project.optional
    section = re.search(r"(?ms)^\[options\.extras_require\]\n(.*?)(?=^\[|\Z)", _old(files))
    table = re.search(r"(?s)extras_require\s*=\s*\{(.*?)\}", _old(files))
    return [
        *(re.findall(r"(?m)^([\w-]+)\s*=", section[1]) if section else []),
        *(re.findall(r"[\"']([\w-]+)[\"']\s*:", table[1]) if table else []),
    ]


def _chosen(names: Collection[str]) -> tuple[str, ...]:
    """Those that are for testing; else what developers get."""
    for known in (_FOR_TESTS, _FOR_WORK):
        found = tuple(name for name in names if name in known)
        if found:
            return found
    return ()


def _requirements(files: Mapping[str, str], project: Pyproject) -> Iterator[str]:
    """The requirement files of an application and of its tests; the compiled ones, if there are."""
    known = [
        name for name in sorted(files)
        if "requirements" in name and not re.search(r"doc|lint|build|constraint", name)
        and not (name.endswith(".in") and f"{name[:-3]}.txt" in files)
    ]  # fmt: skip
    tests = [name for name in known if re.search(r"test", name)]
    tests = tests or [name for name in known if re.search(r"dev", name)]
    inner = "\n".join(files[name] for name in tests)
    if not project.has_metadata:
        for stem in ("requirements", "requirements/base", "requirements/main"):
            main = next((name for name in known if name.rpartition(".")[0] == stem), None)
            if main is not None:
                if not re.search(rf"-r\s*\S*{re.escape(main.rpartition('/')[2])}", inner):
                    yield main
                break
    yield from tests


def _command(files: Mapping[str, str], data: Mapping[str, Any]) -> tuple[str, ...]:
    said = f"{data}\n" + "\n".join(text for name, text in files.items() if name not in _LOCKS)
    marks = {"pytest.ini", "conftest.py", "tests/conftest.py", "test/conftest.py"}
    if marks & set(files) or re.search(r"\bpytest\b", said):
        return _PYTEST
    if "manage.py" in files:
        return ("python", "manage.py", "test", "*session.posargs")
    if any("unittest" in text for name, text in files.items() if name.startswith("test")):
        return ("python", "-m", "unittest", "*session.posargs")
    return _PYTEST


def _taken(
    files: Mapping[str, str],
    project: Pyproject,
    requirements: Iterable[str],
    lock: str | None,
    tox: Tox,
) -> tuple[str, ...]:
    found = ["pyproject.toml"] if project.has_metadata or project.groups else []
    found += [name for name in ("setup.cfg", "setup.py") if name in files]
    found += [*requirements, *([lock] if lock else []), *(["tox.ini"] if tox.is_there else [])]
    return tuple(dict.fromkeys([*found, *(one for one in [".python-version"] if one in files)]))


def _tox_text(files: Mapping[str, str], data: Mapping[str, Any]) -> str:
    tool = data.get("tool")
    table = tool.get("tox") if isinstance(tool, Mapping) else None
    legacy = table.get("legacy_tox_ini") if isinstance(table, Mapping) else None
    return files.get("tox.ini") or (legacy if isinstance(legacy, str) else "")
