"""Layered checks of a store, made by the agent (for its server, and for its own doctor) and by the server for Cloud."""
