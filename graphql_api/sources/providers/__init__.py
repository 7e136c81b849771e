"""One module per provider: name, URL, attribution, and the parser of its bodies."""
