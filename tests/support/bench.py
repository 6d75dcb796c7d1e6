"""A place to try cells: a project, an index on loopback, and real environments."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import virtualenv

from nox_envs import discover, matrix
from nox_envs.declaration import parse
from nox_envs.gather import Noxfile
from nox_envs.install import check
from nox_envs.provision import Job, Provisioned, provision
from support import warm
from support.index import Index, tool_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Bench", "Ran"]


@dataclass(frozen=True)
class Ran:
    """A nox run that has ended."""

    returncode: int
    out: str


@dataclass
class Bench:
    """A project directory with an index, and one of the two tools."""

    root: Path
    index: Index
    tool: str = "uv"
    extra: dict[str, str] = field(default_factory=dict)
    """More variables for the user's shell."""
    recreated: int = 0

    def __post_init__(self) -> None:
        self.project = self.root / "project"
        self.project.mkdir(exist_ok=True)
        (self.root / "home").mkdir(exist_ok=True)

    @property
    def variables(self) -> dict[str, str]:
        """The user's shell: nothing of this machine but where Pythons lie."""
        clean = tool_environment(self.root)
        for name in ("UV_NO_CONFIG", "PIP_CONFIG_FILE"):
            clean.pop(name)
        foreign = ("NOX", "GIT_", "PYTEST_", "COV_")
        clean = {key: value for key, value in clean.items() if not key.startswith(foreign)}
        return {
            **clean,
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root),
            "XDG_CONFIG_DIRS": str(self.root / "home"),
            "UV_DEFAULT_INDEX": self.index.url,
            "PIP_INDEX_URL": self.index.url,
            "NOX_ENVS_INSTALLER": self.tool,
            # Most tests change the index and look at once; what is remembered has its own.
            "NOX_ENVS_REMEMBER": "0",
            # `NOX_ENVS_WORKERS=0 pytest tests/process` has every trial start a nox of its own.
            "NOX_ENVS_WORKERS": os.environ.get("NOX_ENVS_WORKERS", ""),
            **self.extra,
        }

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    # -- cells without nox

    def provision(
        self,
        *,
        reuse: bool = False,
        no_install: bool = False,
        interpreter: str = sys.executable,
        values: dict[str, str] | None = None,
        **options: Any,
    ) -> Provisioned:
        """Provision one cell of a declaration as a nox session would."""
        declaration = parse("test", options, where="noxfile.py:1, session test")
        combinations = list(matrix.combinations(declaration, None))
        labels = next(
            one
            for one in combinations
            if all(one[name].label == label for name, label in (values or {}).items())
        )
        noxfile = self.project / "noxfile.py"
        if not noxfile.exists():
            noxfile.write_text("", encoding="utf-8")
        if not (reuse and self.environment.exists()):
            self.make(interpreter)
            reuse = False
        job = Job(
            name="test",
            cell=matrix.cell_of(declaration, None, labels),
            declaration=declaration,
            noxfile=Noxfile(path=noxfile, line=1),
            environment=self.environment,
            python=self.python,
            cache=self.project / ".nox" / ".cache",
            run=uuid.uuid4().hex,
            token=uuid.uuid4().hex,
            reused=reuse,
            no_install=no_install,
            recreate=lambda: self.make(interpreter),
        )
        return provision(job, self.variables)

    @property
    def environment(self) -> Path:
        return self.project / ".nox" / "test"

    @property
    def python(self) -> Path:
        windows = sys.platform == "win32"
        return self.environment / ("Scripts/python.exe" if windows else "bin/python")

    def make(self, interpreter: str = sys.executable) -> None:
        """Make the empty environment, as nox's own backends do, but with links to a compiled pip.

        pip leaves alone what links lead to. uv does not: it gets no pip.
        """
        self.recreated += 1
        shutil.rmtree(self.environment, ignore_errors=True)
        seeds = "--no-seed" if self.tool == "uv" else "--symlink-app-data"
        words = ["-q", "-p", interpreter, seeds, str(self.environment)]
        virtualenv.cli_run(words, setup_logging=False, env={**os.environ, **self.variables})

    def installed(self) -> dict[str, str]:
        """What the environment holds, seen from outside."""
        found = check.installed(discover.inspect(self.python))
        return {str(one.name): one.version for one in found if one.name != "pip"}

    # -- real nox

    def noxfile(self, text: str) -> Path:
        """Write the noxfile."""
        return self.write("noxfile.py", "import nox\nimport nox_envs\n\n" + textwrap.dedent(text))

    def nox(self, *words: str, **variables: Any) -> Ran:
        """Run nox in the project, or in `cwd`, with more variables in the shell."""
        cwd = variables.pop("cwd", self.project)
        code, out = warm.nox(words, env={**self.variables, **variables}, cwd=cwd)
        return Ran(returncode=code, out=out)

    def wait_for(self, condition: Callable[[], object], seconds: float = 30) -> None:
        """Wait until something has happened; fail if it does not."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.02)
