"""Delivery: how the worker program gets to VMs."""
