"""Pure translation between what clients say and what the engine says."""
