"""Draws the pictures of docs/flow-control.md from real runs: `make pictures`."""
