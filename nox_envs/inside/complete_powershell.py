"""Completion in PowerShell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.inside.completable import asking_for_cells, choices
from nox_envs.inside.shells import quoted_for_powershell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nox_envs.inside.completable import Words

__all__ = ["script"]


def __dir__() -> list[str]:
    return __all__


_SCRIPT = r"""
Register-ArgumentCompleter -Native -CommandName 'nox-envs', 'nox-envs.exe' -ScriptBlock {
    param($word, $ast, $cursor)
    $options = [ordered]@{
@OPTIONS@
    }
    $values = @{
@VALUES@
    }
    $cells = @{
@CELLS@
    }
    $words = @(
        $ast.CommandElements |
            Where-Object { $_.Extent.EndOffset -lt $cursor } |
            ForEach-Object {
                # A word without its quotes, of whichever kind they are.
                $is_text = $_ -is [System.Management.Automation.Language.StringConstantExpressionAst]
                if ($is_text) { $_.Value } else { $_.Extent.Text }
            }
    )
    $typed = $word.TrimStart("'", '"') -replace "''", "'"
    $command = $words[1]
    $last = "$command $($words[-1])"
    $found = @()
    if ($words.Count -lt 2) {
        $found = @($options.Keys)
    } elseif ($words -contains '--' -or -not $options.Contains($command)) {
        return
    } elseif ($values.ContainsKey($last)) {
        $found = $values[$last]
    } elseif ($typed.StartsWith('-')) {
        $found = $options[$command]
    } elseif ($cells.ContainsKey($command) -or $cells.ContainsKey($last)) {
        $more = @()
        foreach ($option in '-f', '--noxfile') {
            $at = [array]::IndexOf($words, $option)
            if ($at -gt 1 -and $at + 1 -lt $words.Count) { $more = '--noxfile', $words[$at + 1] }
        }
        $found = @($null | & $words[0] completion powershell --cells @more 2>$null)
    }
    $found | Where-Object { $_ -and $_.StartsWith($typed) } | ForEach-Object {
        $text = if ($_ -match '^[\w.-]+$') { $_ } else { "'" + ($_ -replace "'", "''") + "'" }
        [System.Management.Automation.CompletionResult]::new($text, $_, 'ParameterValue', $_)
    }
}"""


def script(commands: Mapping[str, Words]) -> str:
    """What the shell reads."""
    values = {f"{name} {option}": choice for name, option, choice in choices(commands)}
    values |= {
        f"{name} {name}": words.takes[0]
        for name, words in commands.items()
        if words.takes and isinstance(words.takes[0], tuple)
    }
    cells = [name for name, words in commands.items() if words.cells]
    cells += asking_for_cells(commands)
    filled = {
        "@OPTIONS@": [_entry(name, list(one.options)) for name, one in commands.items()],
        "@VALUES@": [_entry(*each) for each in values.items()],
        "@CELLS@": [f"        {quoted_for_powershell(one)} = $true" for one in cells],
    }
    text = _SCRIPT.strip("\n")
    for mark, lines in filled.items():
        text = text.replace(f"{mark}\n", "".join(f"{line}\n" for line in lines))
    return text


def _entry(name: str, words: Sequence[str]) -> str:
    listed = ", ".join(map(quoted_for_powershell, words))
    return f"        {quoted_for_powershell(name)} = @({listed})"
