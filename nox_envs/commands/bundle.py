"""Pack the environment of a cell for a machine without a network, or for a function platform."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nox_envs import _files, _loading
from nox_envs.commands.making import make
from nox_envs.commands.words import encoding, say, say_json
from nox_envs.errors import UsageError

if TYPE_CHECKING:
    import argparse

__all__ = ["NAME", "add_arguments", "run"]


def __dir__() -> list[str]:
    return __all__


NAME = "bundle"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The cell, and what is made of it."""
    parser.add_argument("cell", metavar="CELL", help="a cell; its environment is made if need be")
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="default: bundle-CELL, unless there is --target"
    )
    parser.add_argument(
        "--target", metavar="DIR|FILE.zip",
        help="the packages alone, as function platforms want them",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Pack it, prove it, and say what there is."""
    from nox_envs.bundle.packing import pack, unpack  # noqa: PLC0415 - heavy

    loaded = _loading.load(arguments.noxfile, arguments.envdir)
    one = loaded.find(arguments.cell)
    target = Path(arguments.target).absolute() if arguments.target else None
    output = Path(arguments.output or f"bundle-{one.environment.name}").absolute()
    kept = arguments.output is not None or target is None
    for path in filter(None, [output if kept else None, target]):
        _refuse_what_is_there(path)
    make(loaded, one)
    job = loaded.job(one, os.environ)
    with _files.scratch("bundle") as scratch:
        bundle = pack(job, os.environ, output if kept else scratch / "bundle")
        if target is not None:
            unpack(bundle, target, os.environ)
    made = [path for path in (output if kept else None, target) if path]
    if arguments.json:
        say_json(_document(one.name, made, bundle))
    else:
        _tell(one.name, made, bundle)
    return 0


def _refuse_what_is_there(path: Path) -> None:
    if path.is_file() or path.is_symlink() or (path.is_dir() and any(path.iterdir())):
        raise UsageError(
            problem=f"{path} is there already, and is not overwritten",
            advice=("remove it, or name another place",),
        )


def _document(cell: str, made: list[Path], bundle: Any) -> dict[str, Any]:
    return {
        "schema": "nox-envs.bundled/1",
        "cell": cell,
        "paths": [str(path) for path in made],
        "packages": {str(one.name): str(one.version) for one in bundle.wheels},
    }


def _tell(cell: str, made: list[Path], bundle: Any) -> None:
    from nox_envs.report import blocks  # noqa: PLC0415 - heavy
    from nox_envs.report.amounts import size  # noqa: PLC0415 - heavy
    from nox_envs.report.words import count  # noqa: PLC0415 - heavy

    packages = count(len(bundle.wheels), "package")
    lines = [f"{cell}: {packages}, installed from the bundle without a network and compared."]
    lines += [f"  {path}   {size(_bytes(path))}" for path in made]
    say(blocks.text([lines], encoding()))


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)
