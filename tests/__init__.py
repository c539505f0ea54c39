"""The tests: one file a noun or page."""
