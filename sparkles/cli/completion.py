"""`sparkles completion`: the script that lets a shell complete our words, and what runs when it asks for some."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

import click
from click.shell_completion import get_completion_class

from sparkles import cli

#: The shells that click has a script for, without the one of Windows.
_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
def completion_cmd(shell: str) -> None:
    """Print the script that completes commands, options, files and the names of jobs.

    Put the line for your shell into the file that it reads when it starts, ~/.bashrc or ~/.zshrc, there below
    compinit. For fish, write the script to a file once. It holds from the next shell on.

    \b
    Examples:
      sparkles completion bash
      eval "$(sparkles completion bash)"
      eval "$(sparkles completion zsh)"
      sparkles completion fish > ~/.config/fish/completions/sparkles.fish
    """
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(cli.main, {}, "sparkles", cli.COMPLETING).source(), nl=False)


def quietly(complete: Callable[[], object]) -> NoReturn:
    """Complete a word, and leave nothing else in the terminal: nobody has asked for a command to run.

    Does not wait for what still asks a store that is far away.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stderr.fileno())
    try:
        complete()
    finally:
        os._exit(0)
