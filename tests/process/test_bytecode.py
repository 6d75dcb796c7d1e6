"""Environments that start with bytecode: Python accepts it, and finds it current or not at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import virtualenv

from nox_envs import discover
from nox_envs.install import bytecode, check, loaded

if TYPE_CHECKING:
    from pathlib import Path

    from nox_envs.interpreter import Interpreter
    from nox_envs.provision import Provisioned
    from support.bench import Bench

pytestmark = pytest.mark.process

BETA: dict[str, Any] = {"dependencies": ["beta==1.0"]}


def run(bench: Bench, *words: str) -> str:
    """What the environment's Python says, with the imports that `-v` tells of."""
    done = subprocess.run(
        [bench.python, "-I", *words], check=True, capture_output=True, text=True,
        env=bench.variables, cwd=bench.root,
    )  # fmt: skip
    return done.stdout + done.stderr


def accepted(said: str) -> list[str]:
    """The modules of site-packages whose bytecode was taken as it is."""
    return [
        line.split("/__pycache__")[0].rpartition("site-packages/")[2]
        for line in said.splitlines()
        if line.endswith(".py") and " matches " in line and "site-packages/" in line
    ]


def written(said: str) -> list[str]:
    """The files that imports left; `_virtualenv.py` is in no RECORD."""
    return [
        line
        for line in said.splitlines()
        if line.startswith(("# wrote ", "# created ")) and "_virtualenv" not in line
    ]


def passed(bench: Bench, code: str = "import alpha, beta") -> Provisioned:
    """An environment in which something has run, with its imports remembered."""
    provisioned = bench.provision(**BETA)
    run(bench, "-c", code)
    loaded.note(provisioned.bytecode, provisioned.interpreter, session="test")
    return provisioned


def pyc(interpreter: Interpreter, name: str) -> Path:
    source = interpreter.purelib / name
    tag = f"cpython-{interpreter.python.replace('.', '')}"
    return source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"


def test_the_second_environment_compiles_nothing(bench: Bench) -> None:
    cold = passed(bench)
    said = run(bench, "-v", "-c", "import alpha, beta")
    assert sorted(accepted(said)) == ["alpha", "beta"], "the first one compiled them itself"
    warm = bench.provision(**BETA)
    assert cold.bytecode == warm.bytecode
    said = run(bench, "-v", "-c", "import alpha, beta; print(alpha.__version__)")
    assert sorted(accepted(said)) == ["alpha", "beta"]
    assert not written(said)
    assert said.splitlines().count("1.1") == 1


def test_the_first_environment_compiles(bench: Bench) -> None:
    bench.provision(**BETA)
    said = run(bench, "-v", "-c", "import alpha, beta")
    assert (accepted(said), len(written(said))) == ([], 2)


def seeded(bench: Bench, *words: str) -> Interpreter:
    """An environment that holds pip alone."""
    shutil.rmtree(bench.environment, ignore_errors=True)
    virtualenv.cli_run(["-q", *words, str(bench.environment)], setup_logging=False)
    return discover.inspect(bench.python)


def test_a_real_package(uv_bench: Bench, tmp_path: Path) -> None:
    """Pip has hundreds of modules of everyday code."""
    store, pip = tmp_path / "store", ("-m", "pip", "--version")
    loads = seeded(uv_bench)
    run(uv_bench, *pip)
    loaded.note(store, loads, session="test")
    names = loaded.names(store, loaded.PIP)
    assert len(names) > 20
    interpreter = seeded(uv_bench)
    assert bytecode.warm(store, interpreter, names, env=uv_bench.variables) == len(names)
    said = run(uv_bench, "-v", *pip)
    assert len([name for name in accepted(said) if name.startswith("pip")]) > 20
    assert not [line for line in written(said) if "site-packages/pip/" in line]
    linked = seeded(uv_bench, "--symlink-app-data")
    for path in (linked.purelib / "pip").resolve().rglob("*.pyc"):
        path.unlink()
    assert bytecode.warm(store, linked, names, env=uv_bench.variables) == 0, "it is virtualenv's"


def test_pip_is_warm_before_it_installs(uv_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = replace(uv_bench, tool="pip")
    monkeypatch.setattr(bench, "make", lambda _interpreter: seeded(bench))
    first = passed(bench)
    second = bench.provision(**BETA)
    kept = pyc(second.interpreter, "pip/__init__.py")
    assert kept.stat().st_nlink > 1, "pip has compiled it when it ran"
    assert first.snapshot is not None
    assert not [path for path in first.snapshot.files if path.endswith(".pyc")]


def test_another_release_does_not_get_the_bytecode_of_this_one(bench: Bench) -> None:
    passed(bench)
    bench.provision(dependencies=["alpha==1.0"])
    assert run(bench, "-c", "import alpha; print(alpha.__version__)").strip() == "1.0"


def test_a_source_that_was_changed_is_what_counts(bench: Bench) -> None:
    passed(bench)
    provisioned = bench.provision(**BETA)
    source = provisioned.interpreter.purelib / "alpha" / "__init__.py"
    source.unlink()
    source.write_text("__version__ = 'mine'\n")
    assert run(bench, "-c", "import alpha; print(alpha.__version__)").strip() == "mine"


@pytest.mark.parametrize(
    ("text", "has_code"),
    [("value = 1\n", True), ("value = (\n", False), ("value = 1 is 1\n", False)],
    ids=["compiles", "is no Python", "warns"],
)
def test_what_is_compiled(uv_bench: Bench, tmp_path: Path, text: str, *, has_code: bool) -> None:
    """A warning belongs to the first import: whoever makes an error of it gets that error."""
    uv_bench.index.wheel("odd", "1.0", modules={"odd.py": text, "even.py": "value = 2\n"})
    interpreter = uv_bench.provision(dependencies=["odd"]).interpreter
    store = tmp_path / "store"
    files = ["odd.py", "even.py"]
    assert bytecode.warm(store, interpreter, files, env=uv_bench.variables) == 1 + has_code
    assert pyc(interpreter, "odd.py").exists() == has_code
    sizes = sorted(path.stat().st_size > 0 for path in store.glob("??/*.pyc"))
    assert sizes == sorted([has_code, True])


def test_a_source_that_is_not_what_record_says_is_not_compiled(
    uv_bench: Bench, tmp_path: Path
) -> None:
    interpreter = uv_bench.provision(**BETA).interpreter
    source = interpreter.purelib / "alpha" / "__init__.py"
    source.unlink()
    source.write_text("import os\n")
    store = tmp_path / "store"
    names = ["alpha/__init__.py"]
    assert bytecode.warm(store, interpreter, names, env=uv_bench.variables) == 0
    assert not list(store.glob("??/*.pyc"))


def test_half_a_file_is_not_kept(uv_bench: Bench, tmp_path: Path) -> None:
    """A disk that fills up may take the first half without a word."""
    resource = pytest.importorskip("resource")
    uv_bench.index.wheel("long", "1.0", modules={"long.py": f"value = {'x' * 9000!r}\n"})
    interpreter = uv_bench.provision(dependencies=["long"]).interpreter
    store, soft_hard = tmp_path / "store", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, soft_hard[1]))
    try:
        assert bytecode.warm(store, interpreter, ["long.py"], env=uv_bench.variables) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft_hard)
    assert not list(store.glob("??/*.pyc"))
    assert bytecode.warm(store, interpreter, ["long.py"], env=uv_bench.variables) == 1


def test_several_at_once(uv_bench: Bench, tmp_path: Path) -> None:
    interpreter = uv_bench.provision(**BETA).interpreter
    several = []
    for number in range(4):
        site = tmp_path / f"site-packages-{number}"
        shutil.copytree(interpreter.purelib, site)
        several.append(replace(interpreter, purelib=site, platlib=site))
    names = ["alpha/__init__.py", "beta/__init__.py"]

    def warm(one: Interpreter) -> int:
        return bytecode.warm(tmp_path / "store", one, names, env=uv_bench.variables)

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(warm, several)) == [2, 2, 2, 2]
    assert len(list(tmp_path.glob("store/??/*.pyc"))) == 2
    assert not list(tmp_path.glob("store/scratch/*"))


def test_a_shelf_is_trimmed_when_something_is_added(
    uv_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bytecode, "_MOST_OF_A_SHELF", 0)
    interpreter = uv_bench.provision(**BETA).interpreter
    source = interpreter.purelib / "alpha" / "__init__.py"
    names, store = ["alpha/__init__.py"], tmp_path / "store"
    assert bytecode.warm(store, interpreter, names, env=uv_bench.variables) == 1
    (kept,) = store.glob("??/*.pyc")
    old = kept.with_name("old.pyc")
    old.write_bytes(b"something")
    kept.unlink()
    pyc(interpreter, "alpha/__init__.py").unlink()
    assert source.exists()
    assert bytecode.warm(store, interpreter, names, env=uv_bench.variables) == 1
    assert (kept.exists(), old.exists()) == (True, False)


def test_a_store_that_is_gone_or_in_the_way_costs_nothing_but_time(uv_bench: Bench) -> None:
    store = passed(uv_bench).bytecode
    for path in sorted(store.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    uv_bench.provision(**BETA)
    store.rmdir()
    store.write_text("in the way")
    uv_bench.provision(**BETA)
    assert len(written(run(uv_bench, "-v", "-c", "import alpha, beta"))) == 2


def test_nothing_is_shared_with_isolation_copy(bench: Bench) -> None:
    passed(bench)
    provisioned = bench.provision(**BETA, isolation="copy")
    place = pyc(provisioned.interpreter, "alpha/__init__.py")
    assert place.stat().st_nlink == 1
    assert provisioned.snapshot is None


def test_an_uninstalled_package_leaves_nothing(bench: Bench) -> None:
    passed(bench)
    provisioned = bench.provision(**BETA)
    interpreter = provisioned.interpreter
    assert pyc(interpreter, "alpha/__init__.py").exists()
    assert check.missing_files(check.installed(interpreter)) == ()
    words: list[str | Path] = [bench.python, "-Im", "pip", "uninstall", "--yes", "--quiet"]
    if bench.tool == "uv":
        uv = [sys.executable, "-m", "uv", "pip", "uninstall", "--quiet"]
        words = [*uv, "--python", bench.python]
    subprocess.run([*words, "alpha"], check=True, env=bench.variables)
    assert not (interpreter.purelib / "alpha").exists()
    assert check.missing_files(check.installed(interpreter)) == ()


def test_an_older_python(uv_bench: Bench) -> None:
    """The one that is furthest from this one."""
    found = [one for one in discover.available(uv_bench.variables)
             if one.implementation == "cpython" and one.version.startswith(("3.8.", "3.9."))]  # fmt: skip
    if not found:
        pytest.skip("needs an older Python")
    path = str(found[0].path)
    provisioned = uv_bench.provision(**BETA, interpreter=path)
    names = ["alpha/__init__.py", "beta/__init__.py"]
    warm = bytecode.warm(
        provisioned.bytecode, provisioned.interpreter, names, env=uv_bench.variables
    )
    assert warm == 2
    said = run(uv_bench, "-v", "-c", "import alpha, beta")
    assert sorted(accepted(said)) == ["alpha", "beta"]
    assert not written(said)
