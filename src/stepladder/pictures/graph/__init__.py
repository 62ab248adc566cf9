"""The graph of any net as a picture: ``graph`` gives the figure, ``save`` writes the file."""

from stepladder.pictures.graph.picture import graph, save

__all__ = ["graph", "save"]
