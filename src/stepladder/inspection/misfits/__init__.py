"""Why layers and functions cannot take what they are given, told from their attributes and the shapes alone.

Torch words these mistakes differently on each device, and on the meta device it lets some of them pass, so that
nothing here looks at its messages.
"""
