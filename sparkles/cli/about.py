"""`sparkles explain` and `sparkles version`: what needs no backend."""

from __future__ import annotations

import click

from sparkles import __version__, manifest


@click.command("explain")
@click.argument("field", default="")
def explain_cmd(field: str) -> None:
    """Explain a field of the manifest.

    \b
    Example:
      sparkles explain spec.nodes.max
    """
    click.echo(manifest.explain(field), nl=False)


@click.command("version")
def version_cmd() -> None:
    """Print the version.

    \b
    Example:
      sparkles version
    """
    click.echo(f"sparkles {__version__}")
