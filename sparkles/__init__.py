"""sparkles: ad-hoc batch jobs from a declarative manifest."""

__version__ = "0.1.0"
