"""What a user asks for: options, arrangements, sizes on paper, and the job file that stores them.

Knows which pictures are named, not what is in them, and nothing of how a solve works. Called by run, solving, film
and the command line.
"""
