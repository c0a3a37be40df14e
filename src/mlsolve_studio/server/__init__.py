"""A web server for one person: a guard before everything, routes from others, a socket on the loopback address.

Knows Starlette, uvicorn and the pages' files. Must not know what a run is. Called by the command line, through
`serving.serve`, with the routes of the light table and of the studio.
"""
