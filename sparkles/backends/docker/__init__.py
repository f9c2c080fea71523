"""The docker backend of images and containers: the only room of the docker library.

`engine` is the connection, `images` finds and fetches, `runtime` runs, `leftovers` removes what a dead worker left.
"""
