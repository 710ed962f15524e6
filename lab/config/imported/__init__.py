"""Configurations that others wrote for Xen, as guests and labs in the words of labs.yaml.

Nothing in such a file is run: it is read as text.
"""
