"""Fairlist: a self-hosted server for booking places at events that fill up."""

__version__ = "0.1.0"
