"""Engine processes and their lives."""
