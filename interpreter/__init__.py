"""Runs definitions on Temporal."""
