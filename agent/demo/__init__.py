"""The demo: sample store, integration server and agent as three processes on this machine."""
