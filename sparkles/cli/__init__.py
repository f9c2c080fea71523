"""The command line. Each command builds a value, calls use cases, prints. Errors rise to `Sparkles.invoke`."""

from __future__ import annotations

import gc
import importlib
import io
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
    "wait": ("follow", "Wait until a job has ended, without a word."),
    "kill": ("control", "Stop the tasks of a job that have not ended."),
    "retry": ("again", "Run the tasks of a job again that failed or were killed."),
    "scale": ("again", "Let at most N nodes serve a job, whatever its manifest says."),
    "delete": ("control", "Remove jobs, and their results if asked to."),
    "report": ("report", "Write a page about a job: what became of it, where its time went, what broke."),
    "fetch": ("control", "Copy the results of a job to a folder."),
    "setup": ("setup", "Make what jobs need in a project of Google Cloud."),
    "validate": ("validate", "Try all that jobs stand on, and say what mends what fails."),
    "gc": ("collect", "Find what nobody needs any more, and remove it."),
    "config": ("settings", "Show the settings, and where each comes from."),
    "version": ("about", "Print the version."),
}


#: Commands that the manual or the design names and that are not there yet.
PLANNED = {"completion"}


class Sparkles(click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order that people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load a command."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"sparkles.cli.{COMMANDS[name][0]}")
        command = getattr(module, f"{name}_cmd")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command for one that does not exist."""
        from sparkles.errors import nearest

        name = args[0]
        if name in PLANNED:
            raise BackendError(f"{name}: not built yet")
        if name not in COMMANDS and not name.startswith("-"):
            ctx.fail(f"no command {name!r}{nearest(name, COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

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
            for line in str(error).splitlines():
                click.echo(f"error: {line}", err=True)
            ctx.exit(error.exit_code)
        except BrokenPipeError:
            # Whoever read our output has enough of it, as `| head` does.
            sys.stdout = None
            ctx.exit(0)
        except OSError as error:
            if ctx.params.get("debug"):
                raise
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"error: {where}{error.strerror or error}", err=True)
            sys.stdout = None  # what could not be written is not tried once more at the end
            ctx.exit(BackendError.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted; jobs that were submitted go on", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=Sparkles, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="sparkles %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Submit ad-hoc batch jobs: one command, or thousands that differ in a parameter.

    \b
    Example:
      sparkles sub echo hello world
      sparkles sub -u fit.py --params grid.csv python3 fit.py '{lambda}'
    """
