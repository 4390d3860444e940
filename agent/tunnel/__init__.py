"""The agent's side of the reverse SSH tunnel: token, connection, control channel, and the loop that keeps it up."""
