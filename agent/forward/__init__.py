"""Forwarding of exchanges to stores; the same on an agent and in Cloud mode."""
