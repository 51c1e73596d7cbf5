"""From a document as it came in to the bytes a printer understands, in child processes that may die at any time."""
