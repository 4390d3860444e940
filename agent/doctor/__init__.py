"""Layered checks of a store, shared by agent and server."""
