"""Operating system services: memory figures, locks, and files that are written completely or not at all.

Knows nothing about pictures, jobs or solves. Every other room may call it.
"""
