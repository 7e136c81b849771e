"""Named tuples, for what every new query makes several of."""

new_tuple = tuple.__new__
"""Makes a named tuple of a class and the values of all its fields. The class itself, whose constructor is a Python
function, takes twice as long."""
