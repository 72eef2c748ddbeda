"""The Console: one page that shows the server working, and the data behind it. Operators' alone."""
