"""Looks at everything between this machine, its servers and its stores; every file is one group of layers."""
