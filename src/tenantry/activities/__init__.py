"""The activity feed, read page by page."""
