"""What the operating system gives: memory, locks, files written whole or not at all.

Knows nothing of pictures, jobs or solves. Every other room may call it.
"""
