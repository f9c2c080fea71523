"""Manifest: YAML text or a document in, validated manifests out; and back to text, and explained."""

from sparkles.manifest.defaults import with_defaults
from sparkles.manifest.documents import Manifest, check, check_setting, read, read_config
from sparkles.manifest.emit import dump
from sparkles.manifest.explain import describe, explain, known_fields, update_policy
from sparkles.manifest.stored import load, store, to_json

__all__ = [
    "Manifest",
    "check",
    "check_setting",
    "describe",
    "dump",
    "explain",
    "known_fields",
    "load",
    "read",
    "read_config",
    "store",
    "to_json",
    "update_policy",
    "with_defaults",
]
