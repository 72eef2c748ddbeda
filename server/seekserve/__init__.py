"""seekserve: DeepSeek on your own hardware, behind one endpoint."""

__version__ = "0.1.0"
