"""Diagnose: how a job or a task stands in, why it stands there and what to do about it out."""

from sparkles.diagnose.facts import Facts, Finding
from sparkles.diagnose.jobs import job
from sparkles.diagnose.tasks import task

__all__ = ["Facts", "Finding", "job", "task"]
