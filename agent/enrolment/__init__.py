"""Installing an agent with one string, taking it away again, and opening stores."""
