"""`python -m sparkles`."""

from sparkles.cli import main

if __name__ == "__main__":
    main(prog_name="sparkles")
