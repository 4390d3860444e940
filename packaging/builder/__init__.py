"""How the packages are made: one step a module; `packaging/build.py` calls them in order."""
