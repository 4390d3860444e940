"""What the control API takes and gives, a module per resource. An API key can be written, never read."""
