"""Nodes that are VMs: the groups that `compute` raises them in, and what is on them."""
