"""The images: `make image-test` builds and runs them for real; the rest of this folder is fast."""
