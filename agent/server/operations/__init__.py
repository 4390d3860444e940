"""What can be done with agents, connections and client keys; knows no HTTP and no command line."""
