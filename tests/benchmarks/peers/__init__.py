"""Servers to compare with, each of which is run as a program."""
