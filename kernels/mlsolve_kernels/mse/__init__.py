"""Squared error and its gradient."""
