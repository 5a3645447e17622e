"""The command line: thin; it parses words, calls the rooms and presents what comes back."""

from iclora.cli.app import app, main

__all__ = ["app", "main"]
