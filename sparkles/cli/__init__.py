"""The command line. Each command builds a value, calls use cases, prints. Errors rise to `Sparkles.invoke`."""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import sys
from typing import Any

import click

from sparkles import __version__
from sparkles.errors import BackendError, SparklesError

#: Exit code after Ctrl-C.
INTERRUPTED = 130

#: New objects after which Python looks for garbage that refers to itself. A million rows make none of that, and with
#: the usual number a twentieth of the time went into looking.
_GARBAGE = 100_000

#: command: (module, first line of its help). The modules are only loaded for the command that runs.
COMMANDS = {
    "sub": ("submit", "Submit COMMAND as a job and watch it."),
    "apply": ("declare", "Make jobs what their manifests say."),
    "diff": ("declare", "Show what apply would do, and do nothing."),
    "explain": ("about", "Explain a field of the manifest."),
    "get": ("get", "Print the manifest of a job, or the record of a task."),
    "status": ("status", "Show jobs and how far they are."),
    "list": ("list", "List the tasks of a job, or of all jobs of a whole."),
    "workflow": ("steps", "Show the jobs of a workflow, what they need of each other, and how far they are."),
    "logs": ("logs", "Print what tasks have written."),
    "why": ("why", "Say why a job or a task stands where it stands, and what to do."),
    "watch": ("follow", "Follow a job until it has ended."),
    "wait": ("follow", "Wait until a job has ended, without a word but for why tasks failed."),
    "kill": ("control", "Stop the tasks of a job that have not ended."),
    "retry": ("again", "Run the tasks of a job again that failed or were killed."),
    "scale": ("again", "Let at most N nodes serve a job, whatever its manifest says."),
    "delete": ("control", "Remove jobs, and their results if asked to."),
    "report": ("report", "Write a page about a job: what became of it, where its time went, what broke."),
    "fetch": ("fetch", "Copy the results of a job to a folder."),
    "setup": ("setup", "Make what jobs need in a project of Google Cloud."),
    "validate": ("validate", "Try all that jobs stand on, and say what mends what fails."),
    "gc": ("collect", "Find what nobody needs any more, and remove it."),
    "config": ("settings", "Show the settings, and where each comes from."),
    "completion": (
        "completion",
        "Print the script that completes commands, options, files and the names of jobs.",
    ),
    "version": ("about", "Print the version."),
}

#: What the commands are for, in the order in which people need them.
PURPOSES = {
    "Submit": ["sub", "apply", "diff", "explain"],
    "Look": ["status", "list", "workflow", "get", "logs", "why", "watch", "wait", "report", "fetch"],
    "Change": ["kill", "retry", "scale", "delete"],
    "Set up": ["setup", "validate", "gc", "config", "completion", "version"],
}

_EPILOG = """\
Exit codes: 0, all is well; 1, a task failed or was killed, or diff found changes; 2, the request is wrong, and nothing
was changed; 3, something stands against it; 124, wait took too long; 130, interrupted.
"""

#: The names of commands stand in one column, whatever they are for.
_WIDEST = max(map(len, COMMANDS))

#: The variable in which a shell asks for words; click makes it of our name.
COMPLETING = "_SPARKLES_COMPLETE"


class Sparkles(click.Group):
    """The group of all commands."""

    def main(self, *words: Any, **options: Any) -> Any:
        """Run what the command line says, or complete a word of it."""
        if COMPLETING in os.environ:
            from sparkles.cli.completion import quietly

            quietly(lambda: super(Sparkles, self).main(*words, **options))
        return super().main(*words, **options)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Return the commands and options that begin so, without loading the commands."""
        from click.shell_completion import CompletionItem

        fitting = [
            CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return fitting + click.Command.shell_complete(self, ctx, incomplete)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order that people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Load a command."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"sparkles.cli.{COMMANDS[name][0]}")
        command = getattr(module, f"{name}_cmd")
        assert isinstance(command, click.Command)
        if ctx.resilient_parsing:
            from sparkles.cli.candidates import teach

            teach(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command for one that does not exist."""
        from sparkles.errors import nearest

        name = args[0]
        if ctx.resilient_parsing and name not in COMMANDS:
            return name, click.Command(name), []  # a word of it is being completed: to none
        if name not in COMMANDS and not name.startswith("-"):
            ctx.fail(f"no command {name!r}{nearest(name, COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands by what they are for, without loading them."""
        for purpose, some in PURPOSES.items():
            with formatter.section(purpose):
                formatter.write_dl([(name.ljust(_WIDEST), COMMANDS[name][1]) for name in some])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; errors that a user can act on end here, as one message and an exit code."""
        gc.set_threshold(_GARBAGE)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a ? for what the user's locale cannot show, instead of an end
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # a full disk shows here, and not when nobody can say so any more
        except SparklesError as error:
            if ctx.params.get("debug"):
                raise
            _say_error(str(error))
            ctx.exit(error.exit_code)
        except BrokenPipeError:
            # Whoever read our output has enough of it, as `| head` does.
            sys.stdout = None
            ctx.exit(0)
        except OSError as error:
            if ctx.params.get("debug"):
                raise
            where = f"{error.filename}: " if error.filename else ""
            _say_error(f"{where}{error.strerror or error}")
            sys.stdout = None  # what could not be written is not tried once more at the end
            ctx.exit(BackendError.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted; jobs that were submitted go on", err=True)
            ctx.exit(INTERRUPTED)


def _say_error(text: str) -> None:
    """Say what was wrong; of what is not there also if the current folder is not."""
    missing = os.strerror(errno.ENOENT)
    lines = [] if text == missing else text.splitlines()
    if missing in text:
        from sparkles.cli import here

        lines += filter(None, [here.gone()])
    for line in lines or [text]:
        click.echo(f"error: {line}", err=True)


@click.group(
    cls=Sparkles, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="sparkles %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Submit ad-hoc batch jobs: one command, or thousands that differ in a parameter.

    \b
    Example:
      sparkles sub echo hello world
      sparkles sub -u fit.py --params grid.csv python3 fit.py '{lambda}'
    """
