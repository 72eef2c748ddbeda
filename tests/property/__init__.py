"""Properties: what holds for every stream and every request there can be, tried on generated ones."""
