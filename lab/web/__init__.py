"""The page of a workshop: a server from which each participant gets a lab of their own.

A *class* is the seats of one lab. A *seat* is one participant's lab, behind a link of its own. The
server shows their consoles and starts and stops them. Labs do not depend on it: they go on if it
ends, and it finds them when it is started again.
"""
