"""The rules of booking: pure, with no input or output, no clock, no randomness and no asyncio."""
