"""What a person sees in a terminal of a server that runs: a conversation with it, and how it does.

Everything that comes from a server or a model is foreign text here: `inert` comes before the screen.
"""
