"""What runs on this hardware: pure arithmetic and pure rendering, no asyncio, no HTTP."""
