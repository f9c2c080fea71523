"""Ports: the things that a backend provides, a module each. Their docstrings are the contracts that tests check."""
