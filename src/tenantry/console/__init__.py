"""/console: the web console, a client of the API like any other."""
