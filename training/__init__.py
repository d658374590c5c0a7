"""Trains the built-in German-English models of `translate`."""
