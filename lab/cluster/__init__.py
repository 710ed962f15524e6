"""Runs of labs on several machines, with Dask's ``distributed`` (docs/cluster.md)."""
