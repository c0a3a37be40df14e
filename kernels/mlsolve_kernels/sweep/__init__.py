"""The whole iteration in one pass over memory."""
