"""The demo model: weights, tokenizer and template in `model/`, and the script that made them.

Importing this package loads neither torch nor transformers; `train` and `vocabulary` do.
"""

from pathlib import Path

MODEL_DIR = Path(__file__).parent / "model"
"""What a server is given to serve the demo model."""

__all__ = ["MODEL_DIR"]
