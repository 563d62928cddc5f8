"""The organisation itself: what it is, its plan, its broadcasts."""
