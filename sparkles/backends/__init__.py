"""Backends: one column of adapters each."""
