"""The commands of `integration-server`."""
