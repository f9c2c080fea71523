"""Report: jobs, their tasks and manifests in, one page out that needs nothing else. Pure.

Import it only to make a page: it loads Jinja.
"""

from sparkles.report.page import GENERATOR, page
from sparkles.report.subject import Subject

__all__ = ["GENERATOR", "Subject", "page"]
