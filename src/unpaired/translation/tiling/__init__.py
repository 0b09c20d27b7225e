"""Pictures larger than memory: translated in pieces, with the whole picture's statistics."""
