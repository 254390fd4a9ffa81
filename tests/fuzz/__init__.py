"""Random and broken input for everything that reads a user's files."""
