"""Templating: templates and values in, manifests' text out. The one room of Jinja: import it only to render."""

from sparkles.templating.render import Template, render
from sparkles.templating.values import assign, assignment, merged, read_values

__all__ = ["Template", "assign", "assignment", "merged", "read_values", "render"]
