"""The least that a command line made with click can be."""

import click


@click.command()
@click.argument("name", default="world")
def main(name: str) -> None:
    """Greet."""
    click.echo(f"hello {name}")


main()
