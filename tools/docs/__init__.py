"""The documentation site, built by MkDocs: `make docs`."""
