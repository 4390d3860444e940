"""The cloud side: SSH endpoint for agents, gateway for integrations, control API and commands."""
